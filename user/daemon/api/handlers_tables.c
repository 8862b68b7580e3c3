// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "lib/base/cleanup.h"
#include "daemon/api/handlers_object.h"
#include "daemon/api/handlers_tables.h"
#include "lib/base/json_io.h"

json_t *rule_origin_json(const struct rule_origin *o)
{
	char at[PLACE_MAX];

	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "kind", json_text(o->kind), "namespace",
			 json_text(o->namespace), "name", json_text(o->name), "route",
			 json_text(o->route), "at",
			 json_text(place_text(at, sizeof(at), o->file, o->pos)));
}

json_t *rule_origin_text(const struct rule_origin *o)
{
	char at[PLACE_MAX];

	return json_textf("%s %s/%s%s%s (%s)", o->kind, o->namespace ? o->namespace : "", o->name,
			  *o->route ? " " : "", o->route,
			  place_text(at, sizeof(at), o->file, o->pos));
}

json_t *endpoint_json(const struct tables *t, size_t endpoint)
{
	const struct endpoint *e = &t->endpoints.items[endpoint];

	return json_pack("{s:o}", "address", addr_port_json(&e->addr, e->port));
}

static json_t *cluster_endpoints(const struct tables *t, const struct cluster *c)
{
	json_t *list = json_array();

	for (__u32 i = c->ep_first; i < c->ep_first + c->ep_count; i++)
		json_array_append_new(list, endpoint_json(t, i));
	return list;
}

json_t *cluster_json(const struct tables *t, size_t cluster)
{
	const struct cluster_origin *o = &t->cluster_origins.items[cluster];
	json_t *json = json_pack("{s:o, s:i, s:o, s:o}", "host", json_text(o->host), "port",
				 (int)o->port, "cluster",
				 json_text(t->cluster_names.items[cluster]), "endpoints",
				 cluster_endpoints(t, &t->clusters.items[cluster]));

	if (*o->subset)
		json_object_set_new(json, "subset", json_text(o->subset));
	if (!o->known)
		json_object_set_new(json, "known", json_false());
	return json;
}

json_t *route_dests_json(const struct tables *t, size_t route)
{
	const struct route *r = &t->routes.items[route];
	json_t *list = json_array();
	__u32 before = 0;

	for (__u32 i = r->dest_first; i < r->dest_first + r->dest_count; i++) {
		const struct dest *d = &t->dests.items[i];
		json_t *entry = cluster_json(t, d->cluster);

		json_object_set_new(entry, "weight",
				    json_integer(r->dest_count == 1 ? 100 : d->end - before));
		json_array_append_new(list, entry);
		before = d->end;
	}
	return list;
}

int add_skipped(json_t *list, const struct rule_origin *o, const char *why)
{
	return json_array_append_new(list, json_pack("{s:o, s:o}", "rule", rule_origin_text(o),
						     "why", json_text(why)))
		       ? -ENOMEM
		       : 0;
}

const char *rule_action_name(enum rule_action action)
{
	switch (action) {
	case RULE_ROUTE:
		return "route";
	case RULE_PASS:
		return "passthrough";
	case RULE_REFUSE:
		return "refuse";
	case RULE_PROXY:
		return "proxy";
	case RULE_ADMIT:
		return "admit";
	case RULE_WITHIN:
		return "within";
	case RULE_UNREGISTERED:
		return "unregistered";
	}
	return "unknown";
}
