// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "lib/base/json_io.h"
#include "lib/manifest/manifest.h"
#include "lib/schema/decode.h"

static int open_config(const struct cluster_options *options, struct kube_config **out,
		       char error[KUBE_ERROR_MAX])
{
	if (options->kubeconfig)
		return kube_config_load(options->kubeconfig, options->context, out, error);
	return kube_config_default(options->context, out, error);
}

int cluster_open(const struct cluster_options *options, struct kube_client **out)
{
	struct kube_config *config = NULL;
	char error[KUBE_ERROR_MAX] = "";
	int r = open_config(options, &config, error);

	if (r)
		return cmd_failed("%s", *error ? error : strerror(-r));
	r = kube_client_open(config, out);
	return r ? cmd_failed("%s", strerror(-r)) : 0;
}

static int call(struct kube_client *c, const struct kube_request *request, json_t **out,
		char error[KUBE_ERROR_MAX])
{
	struct kube_reply reply = { 0 };
	int r;

	*error = 0;
	r = kube_call(c, request, &reply, error);
	if (r && !*error)
		snprintf(error, KUBE_ERROR_MAX, "%s", strerror(-r));
	json_clean(error);
	if (out)
		*out = reply.body ? json_loadb(reply.body, reply.size, 0, NULL) : NULL;
	if (out && !r && !*out) {
		snprintf(error, KUBE_ERROR_MAX, "the API server's answer is no JSON");
		r = -EPROTO;
	}
	kube_reply_free(&reply);
	return r;
}

int cluster_call(struct kube_client *c, const char *method, const char *path, const char *type,
		 const char *body, json_t **out, char error[KUBE_ERROR_MAX])
{
	const struct kube_request request = {
		.method = method,
		.path = path,
		.type = body ? type : NULL,
		.body = body,
		.size = body ? strlen(body) : 0,
	};

	return call(c, &request, out, error);
}

int cluster_get(struct kube_client *c, const char *path, json_t **out, char error[KUBE_ERROR_MAX])
{
	return cluster_call(c, "GET", path, NULL, NULL, out, error);
}

int cluster_list_metadata(struct kube_client *c, const char *path, json_t **out,
			  char error[KUBE_ERROR_MAX])
{
	const struct kube_request request = {
		.method = "GET",
		.path = path,
		.accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
	};

	return call(c, &request, out, error);
}

json_t *cluster_at(const json_t *object, ...)
{
	json_t *at = (json_t *)object;
	const char *name;
	va_list names;

	va_start(names, object);
	while ((name = va_arg(names, const char *)))
		at = json_object_get(at, name);
	va_end(names);
	return at;
}

bool cluster_is_ours(const json_t *object)
{
	const json_t *labels = cluster_at(object, "metadata", "labels", NULL);

	return !strcmp(json_get_text(labels, MANIFEST_LABEL, ""), MANIFEST_LABEL_VALUE) &&
	       !strcmp(json_get_text(labels, "app.kubernetes.io/name", ""), "weft");
}

int cluster_list_ours(struct kube_client *c, const struct cluster_kind *kind, json_t **out)
{
	static const char ours[] = "labelSelector=app.kubernetes.io%2Fname%3Dweft,"
				   "app.kubernetes.io%2Fmanaged-by%3Dweft";
	_cleanup_free_ char *all = cluster_path(kind, NULL, NULL), *path = NULL;
	_cleanup_json_ json_t *list = NULL;
	char error[KUBE_ERROR_MAX];
	int r;

	if (!all || asprintf(&path, "%s?%s", all, ours) < 0) {
		path = NULL;
		return cmd_failed("out of memory");
	}
	r = cluster_get(c, path, &list, error);
	if (r == -ENOENT) { /* a kind of an operator's that is not there */
		*out = json_array();
		return *out ? 0 : cmd_failed("out of memory");
	}
	if (r)
		return cmd_failed("%s: %s", kind->plural, error);
	*out = json_incref(json_object_get(list, "items"));
	return *out ? 0 : cmd_failed("%s: the API server's answer has no items", kind->plural);
}

bool cluster_is_others_namespace(const struct cluster_object *o, const json_t *live)
{
	return live && !strcmp(o->kind->kind, "Namespace") &&
	       strcmp(o->name, MANIFEST_NAMESPACE) != 0 && !cluster_is_ours(live);
}

bool cluster_parse_timeout(const char *text, int64_t *ms)
{
	size_t digits = strspn(text, "0123456789");
	int64_t ns;

	if (digits && digits < 9 && !text[digits]) {
		*ms = strtoll(text, NULL, 10) * 1000;
		return true;
	}
	if (decode_duration_ns(text, &ns) || ns < 0)
		return false;
	*ms = ns / 1000000;
	return true;
}
