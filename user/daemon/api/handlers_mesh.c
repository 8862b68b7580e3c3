// SPDX-License-Identifier: Apache-2.0
/*
 * mesh: what the page draws beside the traffic, in one answer: which Services there are, how routes
 * divide what calls them, and which clusters have something the matter.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api/ejections.h"
#include "daemon/api/handlers.h"
#include "daemon/api/handlers_http.h"
#include "daemon/api/handlers_tables.h"
#include "lib/base/bytemap.h"
#include "lib/base/cleanup.h"
#include "lib/model/kinds.h"
#include "lib/base/http_stat_fields.h"
#include "lib/route/patch.h"

enum { PODS_MAX = 5000 }; /* that are told by name, for a form */

/* ---- objects ---- */

static json_t *ports_json(const struct object *service)
{
	json_t *list = json_array();

	for (size_t i = 0; i < service->service.ports.count; i++)
		json_array_append_new(list, json_integer(service->service.ports.items[i].port));
	return list;
}

/* [[NAMESPACE, NAME, [PORT...]]...] */
static json_t *services_json(const struct known_set *set)
{
	json_t *list = json_array();

	for (size_t i = 0; i < set->count; i++) {
		const struct object *o = set->items[i].object;

		if (o->kind == KIND_SERVICE)
			json_array_append_new(list,
					      json_pack("[o,o,o]", json_text(o->meta.namespace),
							json_text(o->meta.name), ports_json(o)));
	}
	return list;
}

/* [[NAMESPACE, NAME]...] */
static json_t *pods_json(const struct known_set *set)
{
	json_t *list = json_array();

	for (size_t i = 0; i < set->count && json_array_size(list) < PODS_MAX; i++) {
		const struct object *o = set->items[i].object;

		if (o->kind == KIND_POD)
			json_array_append_new(list, json_pack("[o,o]", json_text(o->meta.namespace),
							      json_text(o->meta.name)));
	}
	return list;
}

/* [[KIND, NAMESPACE, NAME]...]: of all other objects that rule over traffic. */
static json_t *rule_objects_json(const struct known_set *set)
{
	static const enum kind kinds[] = {
		KIND_VIRTUAL_SERVICE, KIND_DESTINATION_RULE,	 KIND_GATEWAY,
		KIND_SERVICE_ENTRY,   KIND_AUTHORIZATION_POLICY, KIND_PEER_AUTHENTICATION,
		KIND_NETWORK_POLICY,  KIND_CONNECTION_POLICY,	 KIND_TELEMETRY,
	};
	json_t *list = json_array();

	for (size_t i = 0; i < set->count; i++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
			const struct object *o = set->items[i].object;

			if ((enum kind)o->kind == kinds[k])
				json_array_append_new(list,
						      json_pack("[s,o,o]", kind_name(o->kind),
								json_text(o->meta.namespace ?: ""),
								json_text(o->meta.name)));
		}
	return list;
}

/* ---- routes ---- */

/* [[CLUSTER, WEIGHT]...] in place of what else a destination has. */
static void shorten_dests(json_t *rule)
{
	json_t *list = json_array(), *dest;
	size_t i;

	json_array_foreach(json_object_get(rule, "destinations"), i, dest)
	{
		json_array_append_new(list, json_pack("[O,O]", json_object_get(dest, "cluster"),
						      json_object_get(dest, "weight")));
	}
	json_object_set_new(rule, "destinations", list);
}

/* Shares are of 2^32. */
static double percent(__u64 share)
{
	return (double)share * 100 / 4294967296.0;
}

static void add_number(json_t *rule, const char *name, double value)
{
	if (value > 0)
		json_object_set_new(rule, name, json_real(value));
}

/* What else a rule of HTTP does to requests. */
static void add_action(json_t *rule, const struct hs_action *a)
{
	add_number(rule, "timeout_ms", a->timeout_ms);
	add_number(rule, "attempts", a->retries.attempts);
	if (a->delay_ms) {
		add_number(rule, "delay_ms", a->delay_ms);
		add_number(rule, "delay_percent", percent(a->delay_share));
	}
	if (a->abort_share) {
		add_number(rule, "abort_status", a->abort_status);
		add_number(rule, "abort_percent", percent(a->abort_share));
	}
	add_number(rule, "mirrors", a->mirrors.count);
}

static int add_vhost(json_t *routes, struct ejections *e, const struct hs_vhost *v)
{
	const struct http_snapshot *s = e->snapshot;
	json_t *rules = http_rules_json(e, v), *rule;
	size_t i;

	json_array_foreach(rules, i, rule)
	{
		json_object_set_new(rule, "host", json_text(hs_text(s, v->name)));
		shorten_dests(rule);
		add_action(rule, hs_action(s, hs_rule(s, v->rules.first + (__u32)i)->action));
	}
	i = (size_t)json_array_extend(routes, rules);
	json_decref(rules);
	return i ? -ENOMEM : 0;
}

/* Of hosts that a rule speaks of. */
static int add_http_routes(json_t *routes, const struct http_snapshot *s)
{
	_cleanup_(ejections_free) struct ejections none = { .snapshot = s };
	int r = 0;

	for (__u32 i = 0; s && !r && i < hs_count(s, HS_VHOSTS); i++)
		if (!http_vhost_is_past(s, i) && hs_vhost(s, i)->rules.count)
			r = add_vhost(routes, &none, hs_vhost(s, i));
	return r;
}

/* Of connections, for each service that has one, once. */
static int add_tcp_route(json_t *routes, const struct tables *t, const char *host, size_t rule,
			 json_t *seen)
{
	const struct rule_origin *o = &t->rule_origins.items[rule];
	_cleanup_json_ json_t *key = json_textf("%s %s %s", host, o->name, o->route);
	json_t *json;

	if (t->rules.items[rule].action != RULE_ROUTE || strcmp(o->kind, "VirtualService") != 0 ||
	    json_object_get(seen, json_string_value(key)))
		return 0;
	json = rule_origin_json(o);
	json_object_set_new(json, "host", json_text(host));
	json_object_set_new(json, "action", json_string("route"));
	json_object_set_new(json, "tcp", json_true());
	json_object_set_new(json, "conditions", json_text(o->conditions ?: ""));
	json_object_set_new(json, "destinations", route_dests_json(t, t->rules.items[rule].route));
	shorten_dests(json);
	return json_object_set_new(seen, json_string_value(key), json_true()) ||
			       json_array_append_new(routes, json)
		       ? -ENOMEM
		       : 0;
}

static int add_tcp_routes(json_t *routes, const struct tables *t)
{
	_cleanup_json_ json_t *seen = json_object();
	int r = 0;

	for (size_t i = 0; t && !r && i < t->services.count; i++) {
		const struct service *s = &t->services.items[i].value;
		const char *host = t->service_origins.items[i].host;

		for (__u32 k = s->rule_first; !r && k < s->rule_first + s->rule_count; k++)
			r = add_tcp_route(routes, t, host, k, seen);
	}
	return r;
}

/* ---- clusters ---- */

/* Those that have limits, or that something is the matter with, by name. */
struct clusters_view {
	json_t *json;
	struct ejections ejections; /* of the snapshot in force, which may be none */
	struct bytemap http;	    /* struct hs_cluster, by name */
	struct bytemap tcp;	    /* struct cluster, by name */
};

static int find_clusters(struct clusters_view *v, const struct tables *t)
{
	const struct http_snapshot *s = v->ejections.snapshot;

	for (__u32 i = 0; s && i < hs_count(s, HS_CLUSTERS); i++) {
		const struct hs_cluster *c = hs_cluster(s, i);
		void **at = bytemap_at(&v->http, hs_text(s, c->name), c->name.len);

		if (!at)
			return -ENOMEM;
		*at = (void *)c;
	}
	for (size_t i = 0; t && i < t->clusters.count; i++) {
		const char *name = t->cluster_names.items[i];
		void **at = bytemap_at(&v->tcp, name, strlen(name));

		if (!at)
			return -ENOMEM;
		*at = &t->clusters.items[i];
	}
	return 0;
}

/* Borrowed; a new one if there is none. NULL when out of memory. */
static json_t *entry(struct clusters_view *v, const char *name)
{
	json_t *json = json_object_get(v->json, name);

	if (json)
		return json;
	json = json_object();
	return json_object_set_new(v->json, name, json) ? NULL : json;
}

/* {"now", "max"} where there is a limit. */
static void add_limit(json_t *json, const char *name, __u64 now, __u32 max)
{
	if (max)
		json_object_set_new(json, name,
				    json_pack("{s:I, s:I}", "now", (json_int_t)now, "max",
					      (json_int_t)max));
}

static void add_count(json_t *json, const char *name, __u64 count)
{
	if (count)
		json_object_set_new(json, name, json_integer((json_int_t)count));
}

/* Endpoints that are out, and of how many. */
static void add_ejected(struct clusters_view *v, const struct hs_cluster *c, json_t *json)
{
	struct http_members m = http_members(v->ejections.snapshot, c);
	json_t *list = json_array();

	for (__u32 i = 0; i < m.count; i++) {
		_cleanup_json_ json_t *one = ejections_endpoint(&v->ejections, c, &m.items[i]);

		if (json_is_true(json_object_get(one, "ejected")))
			json_array_append(list, json_object_get(one, "address"));
	}
	json_object_set_new(json, "ejected", list);
	json_object_set_new(json, "endpoints", json_integer(m.count));
}

static int note_http(void *arg, const struct http_cluster_stat *s)
{
	struct clusters_view *v = arg;
	const struct hs_cluster *c = bytemap_str(&v->http, s->name);
	bool out = c && ejections_any(&v->ejections, c);
	bool limited = c && (c->max_connections || c->max_pending || c->max_requests);
	json_t *json;

	if (!c || !(out || limited || c->outliers.given || s->upstream_rq_pending_overflow))
		return 0;
	json = entry(v, s->name);
	if (!json)
		return -ENOMEM;
	add_limit(json, "pending", gauge_sum(s->upstream_rq_pending_active), c->max_pending);
	add_limit(json, "requests", gauge_sum(s->upstream_rq_active), c->max_requests);
	add_count(json, "requests_refused", s->upstream_rq_pending_overflow);
	add_count(json, "connections_not_opened", s->upstream_cx_overflow);
	add_count(json, "ejections", s->ejections_enforced_total);
	if (c->outliers.given)
		add_ejected(v, c, json);
	return 0;
}

/* weft-proxy and the kernel have one limit together. */
static int note_kernel(void *arg, __u32 id, const struct cluster_stat *s,
		       const struct cluster_limit *l)
{
	struct clusters_view *v = arg;
	const struct hs_cluster *http = bytemap_str(&v->http, s->name);
	const struct cluster *tcp = bytemap_str(&v->tcp, s->name);
	__u32 max = http ? http->max_connections : tcp ? tcp->max_connections : 0;
	json_t *json;

	(void)id;
	if (!(http || tcp) || !(max || s->overflow))
		return 0;
	json = entry(v, s->name);
	if (!json)
		return -ENOMEM;
	add_limit(json, "connections", (__u64)l->steered + l->proxied, max);
	add_count(json, "connections_refused", s->overflow);
	return 0;
}

/* A new reference; NULL when out of memory. */
static json_t *clusters_json(struct weftd *d)
{
	_cleanup_json_ json_t *json = json_object();
	struct clusters_view v = { .json = json };
	int r = ejections_read(d, supervisor_in_force(d->supervisor), &v.ejections);

	if (!r)
		r = find_clusters(&v, engine_tables(d->engine));
	if (!r)
		r = kernel_each_http_cluster(d->kernel, note_http, &v);
	if (!r)
		r = kernel_each_cluster(d->kernel, note_kernel, &v);
	ejections_free(&v.ejections);
	bytemap_free(&v.http);
	bytemap_free(&v.tcp);
	return r ? NULL : TAKE_PTR(json);
}

/* ---- */

static int add_rules(struct weftd *d, json_t *data)
{
	const struct known_set *set = engine_objects(d->engine);
	json_t *routes = json_array();
	int r = json_object_set_new(data, "routes", routes) ? -ENOMEM : 0;

	if (!r)
		r = add_http_routes(routes, supervisor_in_force(d->supervisor));
	if (!r)
		r = add_tcp_routes(routes, engine_tables(d->engine));
	if (r)
		return r;
	if (json_object_set_new(data, "services", services_json(set)) ||
	    json_object_set_new(data, "pods", pods_json(set)) ||
	    json_object_set_new(data, "rules", rule_objects_json(set)) ||
	    json_object_set_new(data, "node", json_text(d->node_name ?: "")))
		return -ENOMEM;
	return 0;
}

/* clang-format off */
/*
 * {"unless": the "revision" of a former reply}: if nothing has changed since, only "revision" and
 * "clusters" are in the reply.
 *
 *	{"revision", "clusters": {NAME: {...}}, "services": [[NAMESPACE, NAME, [PORT...]]...],
 *	 "pods": [[NAMESPACE, NAME]...], "rules": [[KIND, NAMESPACE, NAME]...], "node",
 *	 "routes": [{"host", "kind", "namespace", "name", "route", "at", "action", "conditions",
 *		     "destinations": [[CLUSTER, WEIGHT]...]}...]}
 */
/* clang-format on */
int handle_mesh(struct weftd *d, const struct request *request, struct reply *reply)
{
	json_int_t revision = handlers_revision(d);
	json_t *clusters = clusters_json(d);

	reply->data = json_pack("{s:I, s:o}", "revision", revision, "clusters", clusters);
	if (!reply->data)
		return -ENOMEM;
	if (json_get_int(request->args, "unless", -1) == revision)
		return 0;
	return add_rules(d, reply->data);
}
