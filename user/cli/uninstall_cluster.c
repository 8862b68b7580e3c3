// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cmd.h"
#include "cli/install.h"
#include "cli/rollout.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"
#include "lib/crd/crd.h"
#include "lib/manifest/manifest.h"

enum { POLL_MS = 500, AGAIN_MS = 10000 };

struct removing {
	struct kube_client *c;
	uint64_t end; /* of the waiting, by clock_ms() */
};

static int64_t left(const struct removing *rm)
{
	uint64_t now = clock_ms();

	return rm->end > now ? (int64_t)(rm->end - now) : 0;
}

static bool is_kind(const struct cluster_kind *kind, const char *name)
{
	return strcmp(kind->kind, name) == 0;
}

static const struct cluster_kind *kind_named(const char *name)
{
	for (size_t i = 0; i < cluster_kind_count; i++)
		if (is_kind(&cluster_kinds[i], name))
			return &cluster_kinds[i];
	return NULL;
}

static int delete_object(const struct removing *rm, const struct cluster_kind *kind,
			 const json_t *meta)
{
	const char *name = json_get_text(meta, "name", "");
	_cleanup_free_ char *path =
		cluster_path(kind, json_get_text(meta, "namespace", NULL), name);
	_cleanup_free_ char *shown = cluster_shown(kind, name);
	char error[KUBE_ERROR_MAX];
	int r;

	if (!path || !shown)
		return cmd_failed("out of memory");
	r = cluster_call(rm->c, "DELETE", path, "application/json",
			 "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\","
			 "\"propagationPolicy\":\"Background\"}",
			 NULL, error);
	if (r && r != -ENOENT)
		return cmd_failed("%s: %s", shown, error);
	printf("%s deleted\n", shown);
	return fflush(stdout) ? STATUS_FAILED : 0;
}

static int delete_kind(const struct removing *rm, const char *name)
{
	const struct cluster_kind *kind = kind_named(name);
	_cleanup_json_ json_t *items = NULL;
	json_t *item;
	size_t i;
	int r = cluster_list_ours(rm->c, kind, &items);

	json_array_foreach(items, i,
			   item) if (delete_object(rm, kind, json_object_get(item, "metadata")))
		r = STATUS_FAILED;
	return r;
}

/* ---- what goes with the kinds ---- */

static int append_rules(json_t *rules, const char *plural, const json_t *items)
{
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		const json_t *meta = json_object_get(item, "metadata");
		const char *namespace = json_get_text(meta, "namespace", "");

		json_array_append_new(rules, json_textf("%s %s%s%s", plural, namespace,
							*namespace ? "/" : "",
							json_get_text(meta, "name", "")));
	}
	return 0;
}

/* A server that has just been given a kind once more says for some seconds that it is not ready. */
static int get_patiently(const struct removing *rm, const char *path, json_t **out,
			 char error[KUBE_ERROR_MAX])
{
	uint64_t end = clock_ms() + AGAIN_MS;
	int r;

	while ((r = cluster_get(rm->c, path, out, error)) == -EAGAIN && clock_ms() < end) {
		json_decref(*out);
		*out = NULL;
		nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
	}
	return r;
}

/* Users' rules of a kind that is to go. One that the cluster does not have, has none. */
static int find_rules(const struct removing *rm, const json_t *crd, json_t *rules)
{
	const json_t *spec = json_object_get(crd, "spec");
	const char *plural = json_get_text(json_object_get(spec, "names"), "plural", "");
	_cleanup_json_ json_t *list = NULL;
	char path[256], error[KUBE_ERROR_MAX];
	int r;

	snprintf(path, sizeof(path), "/apis/%s/%s/%s", json_get_text(spec, "group", ""),
		 json_get_text(json_array_get(json_object_get(spec, "versions"), 0), "name", ""),
		 plural);
	r = get_patiently(rm, path, &list, error);
	if (r && r != -ENOENT)
		return cmd_failed("%s: %s", plural, error);
	return r ? 0 : append_rules(rules, plural, json_object_get(list, "items"));
}

static int find_all_rules(const struct removing *rm, json_t *rules)
{
	_cleanup_json_ json_t *crds = NULL;
	json_t *crd;
	size_t i;
	int r = cluster_list_ours(rm->c, kind_named("CustomResourceDefinition"), &crds);

	json_array_foreach(crds, i, crd) if (!r) r = find_rules(rm, crd, rules);
	return r;
}

static bool is_agreed(void)
{
	char answer[16] = "";

	fputs("Go on? [y/N] ", stdout);
	fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) &&
	       (!strcmp(answer, "y\n") || !strcmp(answer, "yes\n"));
}

/* Rules are lost with their kinds: not without being asked for. */
static int ask(const struct removing *rm, bool yes)
{
	_cleanup_json_ json_t *rules = json_array();
	json_t *rule;
	size_t i;
	int r = find_all_rules(rm, rules);

	if (r || !json_array_size(rules))
		return r;
	printf("With Istio's kinds, which weft has brought, go their objects:\n");
	json_array_foreach(rules, i, rule) printf("  %s\n", json_string_value(rule));
	fflush(stdout);
	if (yes)
		return 0;
	if (!isatty(STDIN_FILENO))
		return cmd_failed("%zu objects would be lost: --yes is missing",
				  json_array_size(rules));
	return is_agreed() ? 0 : cmd_failed("nothing was deleted");
}

/* ---- namespaces ---- */

/* What may be in a namespace that nobody uses. */
static bool comes_by_itself(const json_t *item)
{
	const char *name = json_get_text(json_object_get(item, "metadata"), "name", "");

	return !strcmp(name, "kube-root-ca.crt") || !strcmp(name, "default");
}

static int has_any(const struct removing *rm, const char *resource, const char *namespace,
		   char *what, size_t size)
{
	_cleanup_json_ json_t *list = NULL;
	char path[512], error[KUBE_ERROR_MAX];
	const char *slash = strrchr(resource, '/');
	json_t *items, *item;
	size_t i;
	int r;

	snprintf(path, sizeof(path), "/%.*s/namespaces/%s/%s", (int)(slash - resource), resource,
		 namespace, slash + 1);
	r = cluster_get(rm->c, path, &list, error);
	if (r)
		return r == -ENOENT ? 0 : cmd_failed("%s: %s", slash + 1, error);
	items = json_object_get(list, "items");
	json_array_foreach(items, i, item) if (!comes_by_itself(item) && !cluster_is_ours(item))
		snprintf(what, size, "%s %s", slash + 1,
			 json_get_text(json_object_get(item, "metadata"), "name", ""));
	return 0;
}

/* The name of something in the namespace that is not weft's, in `what`; "" if there is nothing. */
static int look_into(const struct removing *rm, const char *namespace, char *what, size_t size)
{
	static const char *const resources[] = {
		"api/v1/pods",
		"api/v1/services",
		"api/v1/configmaps",
		"api/v1/secrets",
		"api/v1/serviceaccounts",
		"api/v1/persistentvolumeclaims",
		"apis/apps/v1/deployments",
		"apis/apps/v1/daemonsets",
		"apis/apps/v1/statefulsets",
		"apis/batch/v1/jobs",
	};
	int r = 0;

	*what = 0;
	for (size_t i = 0; i < sizeof(resources) / sizeof(*resources) && !r && !*what; i++)
		r = has_any(rm, resources[i], namespace, what, size);
	return r;
}

static int delete_namespace(const struct removing *rm, const json_t *namespace)
{
	const json_t *meta = json_object_get(namespace, "metadata");
	const char *name = json_get_text(meta, "name", "");
	char what[300] = "";
	int r = 0;

	if (strcmp(name, MANIFEST_NAMESPACE) != 0)
		r = look_into(rm, name, what, sizeof(what));
	if (r)
		return r;
	if (!*what)
		return delete_object(rm, kind_named("Namespace"), meta);
	printf("namespace/%s stays: %s is in it\n", name, what);
	return 0;
}

static int delete_namespaces(const struct removing *rm)
{
	_cleanup_json_ json_t *items = NULL;
	json_t *item;
	size_t i;
	int r = cluster_list_ours(rm->c, kind_named("Namespace"), &items);

	json_array_foreach(items, i, item) if (delete_namespace(rm, item)) r = STATUS_FAILED;
	return r;
}

/* Kinds go once their objects have, a namespace once all that is in it has. *what: one that is
 * still there. */
static int look_for_rest(const struct removing *rm, char *what, size_t size)
{
	static const char *const kinds[] = { "Namespace", "CustomResourceDefinition" };
	json_t *item;
	size_t i;
	int r = 0;

	*what = 0;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds) && !r; k++) {
		_cleanup_json_ json_t *items = NULL;

		r = cluster_list_ours(rm->c, kind_named(kinds[k]), &items);
		json_array_foreach(items, i, item)
		{
			const json_t *meta = json_object_get(item, "metadata");

			if (json_object_get(meta, "deletionTimestamp"))
				snprintf(what, size, "%s %s", kinds[k],
					 json_get_text(meta, "name", ""));
		}
	}
	return r;
}

static int wait_for_rest(const struct removing *rm)
{
	char what[300];

	for (;;) {
		int r = look_for_rest(rm, what, sizeof(what));

		if (r || !*what)
			return r;
		if (!left(rm))
			return cmd_failed("%s is still being deleted: `kubectl describe` says what "
					  "it waits for",
					  what);
		nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
	}
}

/* ---- all of it ---- */

/* Agents detach from their nodes once their DaemonSet is gone, and need their rights until then. */
static int remove_all(const struct removing *rm)
{
	static const char *const rest[] = { "Deployment",
					    "Service",
					    "ConfigMap",
					    "PodMonitor",
					    "PrometheusRule",
					    "ClusterRoleBinding",
					    "ClusterRole",
					    "RoleBinding",
					    "Role",
					    "ServiceAccount",
					    "CustomResourceDefinition" };
	int r = delete_kind(rm, "DaemonSet");

	if (!r)
		r = rollout_wait_gone(rm->c, left(rm));
	if (r)
		return r;
	puts("no agent is left on any node");
	for (size_t i = 0; i < sizeof(rest) / sizeof(*rest); i++)
		if (delete_kind(rm, rest[i]))
			r = STATUS_FAILED;
	if (delete_namespaces(rm))
		r = STATUS_FAILED;
	return r ? r : wait_for_rest(rm);
}

int uninstall_run(const struct uninstall *uninstall)
{
	_cleanup_(kube_client_closep) struct kube_client *c = NULL;
	struct removing rm;
	int64_t timeout;
	int r;

	if (!cluster_parse_timeout(uninstall->timeout, &timeout))
		return cmd_wrong("uninstall", "--timeout: a time like 120s is expected, not \"%s\"",
				 uninstall->timeout);
	r = cluster_open(&uninstall->cluster, &c);
	if (r)
		return r;
	rm = (struct removing){ .c = c };
	r = ask(&rm, uninstall->yes);
	rm.end = clock_ms() + (uint64_t)timeout;
	return r ? r : remove_all(&rm);
}
