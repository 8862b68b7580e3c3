// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "cli/cluster.h"
#include "cli/cmd.h"
#include "lib/base/json_io.h"
#include "lib/yaml/print.h"

#define RBAC "rbac.authorization.k8s.io/v1"

const struct cluster_kind cluster_kinds[] = {
	{ "v1", "Namespace", "namespaces", false },
	{ "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions",
	  false },
	{ "v1", "ServiceAccount", "serviceaccounts", true },
	{ "v1", "Secret", "secrets", true },
	{ "v1", "ConfigMap", "configmaps", true },
	{ RBAC, "ClusterRole", "clusterroles", false },
	{ RBAC, "ClusterRoleBinding", "clusterrolebindings", false },
	{ RBAC, "Role", "roles", true },
	{ RBAC, "RoleBinding", "rolebindings", true },
	{ "apps/v1", "DaemonSet", "daemonsets", true },
	{ "apps/v1", "Deployment", "deployments", true },
	{ "v1", "Service", "services", true },
	{ "monitoring.coreos.com/v1", "PodMonitor", "podmonitors", true },
	{ "monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules", true },
};

const size_t cluster_kind_count = sizeof(cluster_kinds) / sizeof(*cluster_kinds);

static const struct cluster_kind *find_kind(const char *api_version, const char *kind)
{
	for (size_t i = 0; i < cluster_kind_count; i++)
		if (!strcmp(cluster_kinds[i].api_version, api_version) &&
		    !strcmp(cluster_kinds[i].kind, kind))
			return &cluster_kinds[i];
	return NULL;
}

char *cluster_path(const struct cluster_kind *kind, const char *namespace, const char *name)
{
	const char *root = strchr(kind->api_version, '/') ? "apis" : "api";
	char *path;

	if (asprintf(&path, "/%s/%s%s%s/%s%s%s", root, kind->api_version,
		     namespace ? "/namespaces/" : "", namespace ? namespace : "", kind->plural,
		     name ? "/" : "", name ? name : "") < 0)
		return NULL;
	return path;
}

char *cluster_shown(const struct cluster_kind *kind, const char *name)
{
	const char *slash = strchr(kind->api_version, '/');
	char *shown;

	if (asprintf(&shown, "%s%s%.*s/%s", kind->kind, slash ? "." : "",
		     slash ? (int)(slash - kind->api_version) : 0, kind->api_version, name) < 0)
		return NULL;
	for (char *c = shown; *c && *c != '.' && *c != '/'; c++)
		*c = (char)tolower((unsigned char)*c);
	return shown;
}

static json_t *node_json(const struct node *node)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	int r = f ? node_print(node, NULL, true, f) : -ENOMEM;

	if (f && fclose(f))
		r = -ENOMEM;
	return r ? NULL : json_loadb(text, size, 0, NULL);
}

/* Takes `json` over. */
static int add(struct cluster_objects *o, json_t *json, const struct cluster_kind *kind)
{
	struct cluster_object *items = reallocarray(o->items, o->count + 1, sizeof(*items)), *item;
	const json_t *meta = json_object_get(json, "metadata");

	if (!items) {
		json_decref(json);
		return -ENOMEM;
	}
	o->items = items;
	item = &items[o->count++];
	*item = (struct cluster_object){ .kind = kind, .json = json };
	item->name = json_get_text(meta, "name", "");
	item->namespace = kind->namespaced ? json_get_text(meta, "namespace", "default") : NULL;
	item->path = cluster_path(kind, item->namespace, item->name);
	item->shown = cluster_shown(kind, item->name);
	return item->path && item->shown ? 0 : -ENOMEM;
}

static int take_document(const char *name, const struct node *node, struct cluster_objects *out)
{
	json_t *json = node_json(node);
	const char *kind = json_get_text(json, "kind", "");
	const char *version = json_get_text(json, "apiVersion", "");
	const struct cluster_kind *known = find_kind(version, kind);
	int r;

	if (!json)
		return cmd_failed("out of memory");
	if (!known) {
		r = cmd_failed("%s:%u: %s \"%s\" is of no kind that a manifest of weft has", name,
			       node->line, version, kind);
		json_decref(json);
		return r;
	}
	if (!*json_get_text(json_object_get(json, "metadata"), "name", "")) {
		json_decref(json);
		return cmd_failed("%s:%u: metadata.name: required, but not given", name,
				  node->line);
	}
	r = add(out, json, known);
	return r ? cmd_failed("%s", strerror(-r)) : 0;
}

int cluster_objects_parse(const char *name, const char *bytes, size_t size,
			  struct cluster_objects *out)
{
	struct documents docs = { 0 };
	struct errors errors = { 0 };
	int r = yaml_parse(name, bytes, size, &docs, &errors);

	if (r) {
		r = cmd_failed("%s", errors.count ? errors.items[0].text : strerror(-r));
		errors_free(&errors);
	}
	for (size_t i = 0; i < docs.count && !r; i++)
		r = take_document(name, docs.items[i].root, out);
	documents_free(&docs);
	if (!r && !out->count)
		r = cmd_failed("%s: no objects in it", name);
	return r;
}

void cluster_objects_free(struct cluster_objects *o)
{
	for (size_t i = 0; i < o->count; i++) {
		json_decref(o->items[i].json);
		free(o->items[i].path);
		free(o->items[i].shown);
	}
	free(o->items);
	*o = (struct cluster_objects){ 0 };
}
