// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "daemon/api/handlers.h"
#include "daemon/api/handlers_object.h"
#include "daemon/api/handlers_tables.h"
#include "lib/model/hostname.h"

/* The counters of the routes whose names begin with `prefix`. */
struct live {
	const char *prefix;
	json_t *routes; /* name: {"picks", "destinations": {cluster: connections}} */
};

static int same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static json_t *rule_json(const struct tables *t, size_t i)
{
	const struct rule *rule = &t->rules.items[i];
	json_t *json = rule_origin_json(&t->rule_origins.items[i]);
	const char *conditions = t->rule_origins.items[i].conditions;

	json_object_set_new(json, "action", json_string(rule_action_name(rule->action)));
	if (conditions && *conditions)
		json_object_set_new(json, "conditions", json_text(conditions));
	if (rule->action == RULE_ROUTE)
		json_object_set_new(json, "destinations", route_dests_json(t, rule->route));
	return json;
}

static json_t *skipped_json(const struct service_origin *o)
{
	json_t *list = json_array();

	for (size_t i = 0; i < o->skipped_count; i++)
		add_skipped(list, &o->skipped[i].rule, o->skipped[i].why);
	return list;
}

static json_t *service_json(const struct tables *t, size_t i)
{
	const struct service_entry *e = &t->services.items[i];
	json_t *rules = json_array();
	json_t *json;

	for (__u32 r = e->value.rule_first; r < e->value.rule_first + e->value.rule_count; r++)
		json_array_append_new(rules, rule_json(t, r));
	json = json_pack("{s:o, s:s, s:o, s:o}", "address",
			 addr_port_json(&e->key.addr, e->key.port), "scope",
			 e->key.scope == SCOPE_NODE ? "node" : "mesh", "rules", rules, "skipped",
			 skipped_json(&t->service_origins.items[i]));
	if (e->key.ns)
		json_object_set_new(json, "clients_of",
				    json_text(t->namespaces.items[e->key.ns - 1]));
	return json;
}

/* What is in force at the addresses of a Service or a Gateway. */
static json_t *services_of(const struct tables *t, const struct object *o)
{
	json_t *list = json_array();

	for (size_t i = 0; t && i < t->services.count; i++) {
		const struct service_origin *origin = &t->service_origins.items[i];
		bool gateway = !*origin->host;

		if (gateway == (o->kind == KIND_GATEWAY) &&
		    same(origin->namespace, o->meta.namespace) && same(origin->name, o->meta.name))
			json_array_append_new(list, service_json(t, i));
	}
	return list;
}

static json_t *route_entry(struct live *l, const char *name)
{
	json_t *entry = json_object_get(l->routes, name);

	if (entry)
		return entry;
	entry = json_pack("{s:{}}", "destinations");
	return json_object_set_new(l->routes, name, entry) ? NULL : entry;
}

static int add_route(void *arg, __u32 id, const struct route_stat *s)
{
	struct live *l = arg;
	json_t *entry;

	(void)id;
	if (strncmp(s->name, l->prefix, strlen(l->prefix)) != 0)
		return 0;
	entry = route_entry(l, s->name);
	return !entry || json_object_set_new(entry, "picks", json_integer((json_int_t)s->picks))
		       ? -ENOMEM
		       : 0;
}

static int add_dest(void *arg, const struct dest_key *key, const struct dest_stat *s)
{
	struct live *l = arg;
	json_t *entry;

	(void)key;
	if (strncmp(s->route, l->prefix, strlen(l->prefix)) != 0)
		return 0;
	entry = route_entry(l, s->route);
	return !entry || json_object_set_new(json_object_get(entry, "destinations"), s->cluster,
					     json_integer((json_int_t)s->cx_total))
		       ? -ENOMEM
		       : 0;
}

static int live_routes(struct weftd *d, const struct object *o, json_t *data)
{
	_cleanup_(json_decrefp)
		json_t *prefix = json_textf("%s/%s/", o->meta.namespace, o->meta.name);
	struct live l = { json_string_value(prefix), json_object() };
	int r;

	if (!prefix || json_object_set_new(data, "routes", l.routes))
		return -ENOMEM;
	r = kernel_each_route(d->kernel, add_route, &l);
	return r ? r : kernel_each_dest(d->kernel, add_dest, &l);
}

int handle_describe(struct weftd *d, const struct request *request, struct reply *reply)
{
	struct object_id id;
	struct known *known;
	json_t *data;
	int r = request_id(request, &id, reply);

	if (r)
		return r;
	known = known_find(engine_objects(d->engine), &id);
	if (!known)
		return refuse(reply, kind_name(id.kind), "\"%s\" not found%s%s", id.name,
			      id.namespace ? " in namespace " : "",
			      id.namespace ? id.namespace : "");
	data = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "kind", kind_name(id.kind), "namespace",
			 json_text(id.namespace), "name", json_text(id.name), "at",
			 object_place(known->object), "object", object_json(known->object), "yaml",
			 object_yaml(known->object));
	if (!data)
		return -ENOMEM;
	reply->data = data;
	if (id.kind == KIND_SERVICE || id.kind == KIND_GATEWAY)
		json_object_set_new(data, "in_force",
				    services_of(engine_tables(d->engine), known->object));
	return id.kind == KIND_VIRTUAL_SERVICE ? live_routes(d, known->object, data) : 0;
}
