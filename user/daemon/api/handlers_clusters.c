// SPDX-License-Identifier: Apache-2.0
/*
 * The clusters that a DestinationRule or a Pod has to do with, for describe.
 */
#include <string.h>

#include "daemon/api/handlers_http.h"
#include "daemon/api/handlers_object.h"
#include "daemon/api/handlers_tables.h"
#include "lib/base/addr.h"
#include "lib/model/hostname.h"

/* What is looked for. */
struct wanted {
	const struct object *o;
	char host[HOST_MAX]; /* the DestinationRule's */
	/* By name: those that weft-proxy has, and those that the kernel alone has. */
	json_t *http, *tcp;
};

static bool has_subset(const struct destination_rule *dr, const char *name)
{
	for (size_t i = 0; i < dr->subsets.count; i++)
		if (strcmp(dr->subsets.items[i].name, name) == 0)
			return true;
	return !*name;
}

static bool wants_cluster(const struct wanted *w, const char *host, const char *subset)
{
	return w->o->kind == KIND_POD ||
	       (host_includes(w->host, host) && has_subset(&w->o->dr, subset));
}

static bool wants_endpoint(const struct wanted *w, const struct addr *endpoint)
{
	const struct strs *ips = &w->o->pod.ips;
	struct addr a;

	for (size_t i = 0; w->o->kind == KIND_POD && i < ips->count; i++)
		if (!addr_parse(ips->items[i], &a) && memcmp(&a, endpoint, sizeof(a)) == 0)
			return true;
	return w->o->kind != KIND_POD;
}

static void add_http_cluster(struct wanted *w, struct ejections *e, const struct hs_cluster *c)
{
	const struct http_snapshot *s = e->snapshot;
	struct http_members m = http_members(s, c);
	json_t *cluster;

	if (!c->known || !wants_cluster(w, hs_text(s, c->host), hs_text(s, c->subset)))
		return;
	cluster = http_cluster_json(e, c);
	for (__u32 i = m.count; i-- > 0;)
		if (!wants_endpoint(w, &m.items[i].endpoint.addr))
			json_array_remove(json_object_get(cluster, "endpoints"), i);
	json_object_set_new(w->http, hs_text(s, c->name), cluster);
}

/* The kernel's tables have a cluster once for each family. */
static void add_cluster(struct wanted *w, const struct tables *t, size_t i)
{
	const struct cluster_origin *o = &t->cluster_origins.items[i];
	const struct cluster *c = &t->clusters.items[i];
	const char *name = t->cluster_names.items[i];
	json_t *cluster = json_object_get(w->tcp, name);

	if (!o->known || json_object_get(w->http, name) || !wants_cluster(w, o->host, o->subset))
		return;
	if (!cluster) {
		cluster = cluster_json(t, i);
		json_array_clear(json_object_get(cluster, "endpoints"));
		json_object_set_new(w->tcp, name, cluster);
	}
	for (__u32 k = c->ep_first; k < c->ep_first + c->ep_count; k++)
		if (wants_endpoint(w, &t->endpoints.items[k].addr))
			json_array_append_new(json_object_get(cluster, "endpoints"),
					      endpoint_json(t, k));
}

/* A pod is not told of clusters that it is no endpoint of. */
static void append(const struct wanted *w, json_t *clusters, json_t *list)
{
	const char *name;
	json_t *cluster;

	json_object_foreach(clusters, name, cluster)
	{
		if (w->o->kind != KIND_POD ||
		    json_array_size(json_object_get(cluster, "endpoints")))
			json_array_append(list, cluster);
	}
}

json_t *clusters_of(const struct tables *t, struct ejections *e, const struct object *o)
{
	_cleanup_json_ json_t *http = json_object(), *tcp = json_object();
	struct wanted w = { .o = o, .http = http, .tcp = tcp };
	json_t *list = json_array();

	if (o->kind == KIND_DESTINATION_RULE &&
	    host_complete(o->dr.host, o->meta.namespace, w.host))
		return list;
	for (__u32 i = 0; e->snapshot && i < hs_count(e->snapshot, HS_CLUSTERS); i++)
		add_http_cluster(&w, e, hs_cluster(e->snapshot, i));
	for (size_t i = 0; t && i < t->clusters.count; i++)
		add_cluster(&w, t, i);
	append(&w, http, list);
	append(&w, tcp, list);
	return list;
}
