// SPDX-License-Identifier: Apache-2.0
#include "cli/install.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cmd.h"
#include "cli/rollout.h"
#include "cli/unsupported_objects.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"
#include "lib/manifest/manifest.h"

enum { POLL_MS = 100, ESTABLISHED_MS = 30000 };

static const char apply_type[] = "application/apply-patch+yaml";

struct applying {
	struct kube_client *c;
	const struct cluster_objects *objects;
	bool force;
};

static const char *version_of(const json_t *object)
{
	return json_get_text(json_object_get(object, "metadata"), "resourceVersion", "");
}

static int say(const struct cluster_object *o, const char *what)
{
	printf("%s %s\n", o->shown, what);
	return fflush(stdout) ? STATUS_FAILED : 0;
}

static int refused(const struct cluster_object *o, int r, const char *error)
{
	cmd_failed("%s: %s", o->shown, error);
	if (r == -EEXIST)
		cmd_failed("--force takes such fields over");
	if (r == -ENOENT)
		cmd_failed("the cluster has no kind %s of %s", o->kind->kind, o->kind->api_version);
	return STATUS_FAILED;
}

/* What weft has made is weft's, whoever has applied it last. */
static int patch(const struct applying *a, const struct cluster_object *o, const json_t *live)
{
	_cleanup_free_ char *body = json_dumps(o->json, JSON_COMPACT), *path = NULL;
	_cleanup_json_ json_t *now = NULL;
	bool force = a->force || cluster_is_ours(live);
	char error[KUBE_ERROR_MAX];
	int r;

	if (!body || asprintf(&path, "%s?fieldManager=weft&fieldValidation=Strict&force=%s",
			      o->path, force ? "true" : "false") < 0) {
		path = NULL;
		return cmd_failed("out of memory");
	}
	r = cluster_call(a->c, "PATCH", path, apply_type, body, &now, error);
	if (r)
		return refused(o, r, error);
	return say(o, !live					   ? "created"
		      : !strcmp(version_of(live), version_of(now)) ? "unchanged"
								   : "configured");
}

static int apply_object(const struct applying *a, const struct cluster_object *o)
{
	_cleanup_json_ json_t *live = NULL;
	char error[KUBE_ERROR_MAX];
	int r = cluster_get(a->c, o->path, &live, error);

	if (r && r != -ENOENT)
		return refused(o, r, error);
	if (r == -ENOENT) {
		json_decref(live);
		live = NULL;
	}
	if (cluster_is_others_namespace(o, live))
		return say(o, "left as it is");
	return patch(a, o, live);
}

static bool is_crd(const struct cluster_object *o)
{
	return strcmp(o->kind->kind, "CustomResourceDefinition") == 0;
}

static bool is_namespace(const struct cluster_object *o)
{
	return strcmp(o->kind->kind, "Namespace") == 0;
}

/* Of all that are wanted, also after one was refused: the user sees all that is wrong. */
static int apply_those(const struct applying *a, bool (*wanted)(const struct cluster_object *o))
{
	int r = 0;

	for (size_t i = 0; i < a->objects->count; i++)
		if (wanted(&a->objects->items[i]) && apply_object(a, &a->objects->items[i]))
			r = STATUS_FAILED;
	return r;
}

static bool is_other(const struct cluster_object *o)
{
	return !is_crd(o) && !is_namespace(o);
}

/* ---- until the API server serves the kinds ---- */

static const json_t *condition_of(const json_t *object, const char *type)
{
	json_t *conditions = cluster_at(object, "status", "conditions", NULL), *condition;
	size_t i;

	json_array_foreach(conditions, i,
			   condition) if (!strcmp(json_get_text(condition, "type", ""),
						  type)) return condition;
	return NULL;
}

static bool is_established(const json_t *crd)
{
	return !strcmp(json_get_text(condition_of(crd, "Established"), "status", ""), "True");
}

static int not_established(const struct cluster_object *o, const json_t *crd)
{
	const json_t *names = condition_of(crd, "NamesAccepted");
	bool taken = !strcmp(json_get_text(names, "status", ""), "False");

	return cmd_failed("%s is not established%s%s", o->shown, taken ? ": " : "",
			  taken ? json_get_text(names, "message", "") : "");
}

static int wait_established(const struct applying *a, const struct cluster_object *o)
{
	uint64_t end = clock_ms() + ESTABLISHED_MS;
	char error[KUBE_ERROR_MAX];

	for (;;) {
		_cleanup_json_ json_t *crd = NULL;
		int r = cluster_get(a->c, o->path, &crd, error);

		if (r)
			return refused(o, r, error);
		if (is_established(crd))
			return 0;
		if (clock_ms() >= end)
			return not_established(o, crd);
		nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
	}
}

static int wait_for_kinds(const struct applying *a)
{
	int r = 0;

	for (size_t i = 0; i < a->objects->count && !r; i++)
		if (is_crd(&a->objects->items[i]))
			r = wait_established(a, &a->objects->items[i]);
	return r;
}

/* ---- what an earlier manifest had ---- */

static bool is_among(const struct cluster_objects *objects, const struct cluster_kind *kind,
		     const char *namespace, const char *name)
{
	for (size_t i = 0; i < objects->count; i++) {
		const struct cluster_object *o = &objects->items[i];

		if (o->kind == kind && !strcmp(o->name, name) &&
		    !strcmp(o->namespace ? o->namespace : "", namespace))
			return true;
	}
	return false;
}

static int prune_object(const struct applying *a, const struct cluster_kind *kind,
			const json_t *meta)
{
	const char *namespace = json_get_text(meta, "namespace", NULL);
	const char *name = json_get_text(meta, "name", "");
	_cleanup_free_ char *path = cluster_path(kind, namespace, name);
	_cleanup_free_ char *shown = cluster_shown(kind, name);
	char error[KUBE_ERROR_MAX];
	int r;

	if (!path || !shown)
		return cmd_failed("out of memory");
	r = cluster_call(a->c, "DELETE", path, NULL, NULL, NULL, error);
	if (r && r != -ENOENT)
		return cmd_failed("%s: %s", shown, error);
	printf("%s deleted: it is in no manifest any more\n", shown);
	return 0;
}

static int prune_kind(const struct applying *a, const struct cluster_kind *kind)
{
	_cleanup_json_ json_t *items = NULL;
	json_t *item;
	size_t i;
	int r = cluster_list_ours(a->c, kind, &items);

	json_array_foreach(items, i, item)
	{
		const json_t *meta = json_object_get(item, "metadata");

		if (json_object_get(meta, "deletionTimestamp") ||
		    is_among(a->objects, kind, json_get_text(meta, "namespace", ""),
			     json_get_text(meta, "name", "")))
			continue;
		if (prune_object(a, kind, meta))
			r = STATUS_FAILED;
	}
	return r;
}

/* A kind would take the users' rules with it, a namespace whatever is in it: those stay. */
static int prune(const struct applying *a)
{
	int r = 0;

	for (size_t i = 0; i < cluster_kind_count; i++) {
		const char *kind = cluster_kinds[i].kind;

		if (strcmp(kind, "Namespace") != 0 &&
		    strcmp(kind, "CustomResourceDefinition") != 0 &&
		    prune_kind(a, &cluster_kinds[i]))
			r = STATUS_FAILED;
	}
	return r;
}

/* ---- what weft will not do ---- */

static void warn(void *arg, const struct unsupported_kind *k, size_t count, const char *detail)
{
	(void)arg;
	fprintf(stderr, "warning: %s.%s: %s%s\n", k->plural, k->group,
		count ? "" : "can't be listed: ", detail);
}

/* ---- all of it ---- */

static int generate(const struct manifest_input *input, struct cluster_objects *out)
{
	struct values values = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *f;
	int r = manifest_values(input, &values);

	if (!r) {
		f = open_memstream(&text, &size);
		if (f)
			manifest_generate(&values, f);
		if (!f || fclose(f))
			r = cmd_failed("out of memory");
	}
	if (!r)
		r = cluster_objects_parse("manifest", text, size, out);
	values_free(&values);
	return r;
}

static int apply_all(const struct applying *a)
{
	int r = apply_those(a, is_namespace);

	if (!r)
		r = apply_those(a, is_crd);
	if (!r)
		r = wait_for_kinds(a);
	if (!r)
		r = apply_those(a, is_other);
	return r ? r : prune(a);
}

int install_run(const struct install *install)
{
	struct cluster_objects objects = { 0 };
	_cleanup_(kube_client_closep) struct kube_client *c = NULL;
	int64_t timeout;
	int r;

	if (!cluster_parse_timeout(install->timeout, &timeout))
		return cmd_wrong("manifest", "--timeout: a time like 120s is expected, not \"%s\"",
				 install->timeout);
	r = generate(&install->input, &objects);
	if (!r)
		r = cluster_open(&install->cluster, &c);
	if (!r) {
		const struct applying a = { c, &objects, install->force };

		r = apply_all(&a);
		if (!r && timeout)
			r = rollout_wait(c, timeout);
		unsupported_objects(c, warn, NULL);
	}
	cluster_objects_free(&objects);
	return r;
}
