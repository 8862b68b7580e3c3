// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/text.h"
#include "daemon/api/handlers.h"
#include "daemon/api/handlers_http.h"
#include "daemon/api/handlers_object.h"
#include "daemon/api/handlers_tables.h"
#include "lib/explain/protection.h"
#include "lib/mesh/mesh.h"
#include "lib/model/hostname.h"
#include "lib/model/kinds.h"
#include "lib/model/label_selector.h"
#include "lib/netpolicy/netpolicy.h"
#include "lib/route/route.h"
#include "lib/route/workload.h"

/* The counters of a VirtualService's routes. */
struct live {
	const struct tables *t;
	const char *prefix; /* of the routes that the kernel decides by */
	/* name: {"picks", "destinations": {cluster: connections}}, or of HTTP {"requests",
	 * "answers", "destinations": [...]}, the last alone of what the SNI chooses; of what is in
	 * force alone */
	json_t *routes;
};

static int same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static const char *scope_name(enum service_scope scope)
{
	switch (scope) {
	case SCOPE_MESH:
		return "mesh";
	case SCOPE_NODE:
		return "node";
	case SCOPE_OUTSIDE:
		return "outside";
	case SCOPE_ANYWHERE:
		return "anywhere";
	}
	return "unknown";
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

/* An address of a Service or a Gateway; takes `rules` and `skipped` over. */
static json_t *address_json(const struct tables *t, size_t i, __u32 ns, json_t *rules,
			    json_t *skipped)
{
	const struct service_entry *e = &t->services.items[i];
	json_t *json = json_pack("{s:o, s:s, s:o, s:o}", "address",
				 addr_port_json(&e->key.addr, e->key.port), "scope",
				 scope_name(e->key.scope), "rules", rules, "skipped", skipped);

	if (ns)
		json_object_set_new(json, "clients_of", json_text(tables_namespace(t, ns)));
	return json;
}

static json_t *service_json(const struct tables *t, size_t i)
{
	const struct service_entry *e = &t->services.items[i];
	json_t *rules = json_array();

	for (__u32 r = e->value.rule_first; r < e->value.rule_first + e->value.rule_count; r++)
		json_array_append_new(rules, rule_json(t, r));
	return address_json(t, i, e->key.ns, rules, skipped_json(&t->service_origins.items[i]));
}

static bool is_proxied(const struct tables *t, size_t i)
{
	const struct service *s = &t->services.items[i].value;

	return s->rule_count > s->admit_count &&
	       t->rules.items[s->rule_first + s->admit_count].action == RULE_PROXY;
}

static json_t *http_skipped_json(const struct http_snapshot *s, const struct hs_vhost *v)
{
	json_t *list = json_array();

	for (__u32 i = 0; i < v->skipped.count; i++) {
		const struct hs_skipped *skipped = hs_skipped(s, v->skipped.first + i);
		const struct hs_place *p = hs_place(s, skipped->place);

		json_array_append_new(list,
				      json_pack("{s:o, s:o}", "rule",
						json_textf("%s %s/%s %s", hs_text(s, p->kind),
							   hs_text(s, p->ns), hs_text(s, p->name),
							   hs_text(s, p->route)),
						"why", json_text(hs_text(s, skipped->why))));
	}
	return list;
}

/* An address of services or Gateways, and where what is said of it goes. */
struct sites {
	const struct tables *t;
	size_t i; /* of t->services */
	struct ejections *e;
	json_t *list;
};

/* One entry for each host, and for clients of each namespace that has something of its own. */
static void add_hosts(const struct sites *to, struct http_names names, const char *host)
{
	const struct http_snapshot *s = to->e->snapshot;
	struct http_site_rules site;
	__u32 next = 0;

	while ((site = http_next_site(s, names, *host ? host : NULL, &next)).vhost) {
		json_t *json = address_json(to->t, to->i, 0, http_rules_json(to->e, site.vhost),
					    http_skipped_json(s, site.vhost));

		if (!*host)
			json_object_set_new(json, "host", json_text(hs_text(s, site.vhost->name)));
		if (site.ns)
			json_object_set_new(
				json, "clients_of",
				json_text(hs_text(s, hs_namespace(s, site.ns - 1)->name)));
		json_array_append_new(to->list, json);
	}
}

static bool has_name_before(const struct http_snapshot *s, struct hs_range range, __u32 end,
			    __u32 server)
{
	for (__u32 i = 0; i < end; i++)
		if (hs_sni(s, range.first + i)->server == server)
			return true;
	return false;
}

/* One entry for each name that clients ask for; of a server that speaks HTTP its hosts, once. */
static void add_names(const struct sites *to, struct hs_range range, bool wild)
{
	const struct http_snapshot *s = to->e->snapshot;

	for (__u32 i = 0, end; i < range.count; i = end) {
		const struct hs_sni *row = hs_sni(s, range.first + i);
		const struct hs_server *server = hs_server(s, row->server);
		json_t *json;

		for (end = i + 1;
		     end < range.count && hs_sni(s, range.first + end)->name.at == row->name.at;
		     end++)
			;
		if (server->kind == HS_SERVER_HTTP) {
			if (!has_name_before(s, range, i, row->server))
				add_hosts(to, (struct http_names){ server->exact, server->wild },
					  "");
			continue;
		}
		json = address_json(to->t, to->i, 0,
				    http_sni_rules_json(to->e, range.first + i, end - i),
				    json_array());
		json_object_set_new(json, "sni",
				    json_textf("%s%s", wild ? "*" : "", hs_text(s, row->name)));
		json_array_append_new(to->list, json);
	}
}

/* What weft-proxy decides by at an address. */
static void add_http(json_t *list, const struct tables *t, size_t i, struct ejections *e)
{
	const struct sites to = { t, i, e, list };
	const struct http_snapshot *s = e->snapshot;
	const struct service_key *key = &t->services.items[i].key;
	const char *host = t->service_origins.items[i].host;
	const struct hs_listener *l =
		http_listener_at(s, &key->addr, key->port, key->scope == SCOPE_NODE);
	const struct hs_address *a = http_address_at(s, &key->addr, key->port);

	/* A Service that stands for a Gateway leads to its listener. */
	if (l && l->scope == SCOPE_NODE)
		host = "";
	if (l && l->tls) {
		add_names(&to, l->sni_exact, false);
		add_names(&to, l->sni_wild, true);
	} else if (!*host || !a || !http_address_has_sni(a)) {
		if (l)
			add_hosts(&to, (struct http_names){ l->exact, l->wild }, host);
	} else {
		add_names(&to, a->sni_exact, false);
		add_names(&to, a->sni_wild, true);
	}
}

/* What is in force at the addresses of a Service or a Gateway. */
static json_t *services_of(const struct tables *t, struct ejections *e, const struct object *o)
{
	json_t *list = json_array();

	for (size_t i = 0; t && i < t->services.count; i++) {
		const struct service_origin *origin = &t->service_origins.items[i];
		bool gateway = !*origin->host;

		if (gateway != (o->kind == KIND_GATEWAY) ||
		    !same(origin->namespace, o->meta.namespace) ||
		    !same(origin->name, o->meta.name))
			continue;
		if (e->snapshot && is_proxied(t, i))
			add_http(list, t, i, e);
		else
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

/* Rows outlive what they were of: those of former versions are of no use. */
static bool in_force(const struct live *l, const char *name)
{
	if (strncmp(name, l->prefix, strlen(l->prefix)) != 0)
		return false;
	for (size_t i = 0; i < l->t->route_names.count; i++)
		if (!strcmp(l->t->route_names.items[i], name))
			return true;
	return false;
}

static int add_route(void *arg, __u32 id, const struct route_stat *s)
{
	struct live *l = arg;
	json_t *entry;

	(void)id;
	if (!in_force(l, s->name))
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
	if (!in_force(l, s->route))
		return 0;
	entry = route_entry(l, s->route);
	/* What weft-proxy has of it, too, is a list. */
	if (json_is_array(json_object_get(entry, "destinations")))
		return 0;
	return !entry || json_object_set_new(json_object_get(entry, "destinations"), s->cluster,
					     json_integer((json_int_t)s->cx_total))
		       ? -ENOMEM
		       : 0;
}

static int add_requests(void *arg, const struct http_route_stat *s)
{
	struct live *l = arg;
	json_t *entry = json_object_get(l->routes, s->name);

	if (!json_object_get(entry, "requests"))
		return 0;
	json_object_set_new(entry, "requests", json_integer((json_int_t)s->rq_total));
	return json_object_set_new(entry, "answers",
				   json_pack("{s:I, s:I, s:I, s:I}", "2xx",
					     (json_int_t)s->upstream_rq_2xx, "3xx",
					     (json_int_t)s->upstream_rq_3xx, "4xx",
					     (json_int_t)s->upstream_rq_4xx, "5xx",
					     (json_int_t)s->upstream_rq_5xx))
		       ? -ENOMEM
		       : 0;
}

static int live_routes(struct weftd *d, const struct object *o, struct ejections *e, json_t *data)
{
	_cleanup_(json_decrefp)
		json_t *prefix = json_textf("%s/%s/", o->meta.namespace, o->meta.name);
	struct live l = { engine_tables(d->engine), json_string_value(prefix),
			  e->snapshot ? http_routes_json(e, o) : json_object() };
	int r;

	if (!prefix || json_object_set_new(data, "routes", l.routes))
		return -ENOMEM;
	r = kernel_each_http_route(d->kernel, add_requests, &l);
	if (!r && l.t)
		r = kernel_each_route(d->kernel, add_route, &l);
	return r || !l.t ? r : kernel_each_dest(d->kernel, add_dest, &l);
}

static void add_enrolment(const struct weftd *d, const struct object *pod, json_t *data)
{
	struct enrolment e = enrolment_of(d, pod);

	json_object_set_new(data, "mesh",
			    json_pack("{s:b, s:o}", "enrolled", e.in, "why", json_text(e.why)));
}

static const char *mtls_word(__u32 mode)
{
	static const char *const words[] = { [HS_MTLS_DISABLE] = "DISABLE",
					     [HS_MTLS_PERMISSIVE] = "PERMISSIVE",
					     [HS_MTLS_STRICT] = "STRICT" };

	return words[mode];
}

/* The pod's row for mutual TLS; NULL: it is not in use, or the pod has no part in it. */
static const struct hs_workload *workload_of(const struct tables *t, const struct object *pod)
{
	const struct http_snapshot *s = t ? t->http : NULL;
	struct addr addr;

	if (!s || !pod->pod.ips.count || !pod_has_address(pod) ||
	    addr_parse(pod->pod.ips.items[0], &addr))
		return NULL;
	return http_workload(s, &addr);
}

/* {"identity": ..., "mode": "STRICT", "ports": {"8080": "PERMISSIVE"}}: those that have another. */
static json_t *workload_json(const struct http_snapshot *s, const struct hs_workload *w)
{
	json_t *ports = json_object();

	for (__u32 i = 0; i < w->ports.count; i++) {
		const struct hs_workload_port *p = hs_workload_port(s, w->ports.first + i);
		char number[NUMBER_MAX];

		if (p->mode != w->mode)
			json_object_set_new(ports, text_number(number, p->port),
					    json_string(mtls_word(p->mode)));
	}
	return json_pack("{s:s, s:s, s:o}", "identity", hs_text(s, w->identity), "mode",
			 mtls_word(w->mode), "ports", ports);
}

static void add_mutual(const struct weftd *d, const struct object *pod, json_t *data)
{
	const struct tables *t = engine_tables(d->engine);
	const struct hs_workload *w = workload_of(t, pod);

	if (w)
		json_object_set_new(data, "mutual_tls", workload_json(t->http, w));
}

/* The same of each pod that a Service selects: {NAME: ...}. */
static void add_mutual_pods(const struct weftd *d, const struct object *service, json_t *data)
{
	const struct known_set *set = engine_objects(d->engine);
	const struct tables *t = engine_tables(d->engine);
	const struct kvs *selector = &service->service.selector;
	json_t *pods = json_object();

	for (size_t i = 0; selector->count && i < set->count; i++) {
		const struct object *o = set->items[i].object;
		const struct hs_workload *w;

		if (o->kind != KIND_POD || !same(o->meta.namespace, service->meta.namespace) ||
		    !labels_hold(&o->meta.labels, selector))
			continue;
		w = workload_of(t, o);
		if (w)
			json_object_set_new(pods, o->meta.name, workload_json(t->http, w));
	}
	if (json_object_size(pods))
		json_object_set(data, "mutual_tls_pods", pods);
	json_decref(pods);
}

static json_t *selected_pods(struct weftd *d, const struct object *policy)
{
	const struct known_set *set = engine_objects(d->engine);
	json_t *list = json_array();

	for (size_t i = 0; i < set->count; i++) {
		const struct object *o = set->items[i].object;

		if (o->kind == KIND_POD && !o->pod.host_network && !netpolicy_pod_is_over(o) &&
		    same(o->meta.namespace, policy->meta.namespace) &&
		    label_selector_holds(&policy->policy.pods, &o->meta.labels, NULL))
			json_array_append_new(list, json_text(o->meta.name));
	}
	return list;
}

/* {"closes": ["ingress", "egress"], "pods": [...]}: where only that passes which a policy lets
 * through. */
static json_t *policy_json(struct weftd *d, const struct object *o)
{
	json_t *closes = json_array();

	if (o->policy.closes_ingress)
		json_array_append_new(closes, json_string("ingress"));
	if (o->policy.closes_egress)
		json_array_append_new(closes, json_string("egress"));
	return json_pack("{s:o, s:o}", "closes", closes, "pods", selected_pods(d, o));
}

static json_t *certificate_json(struct weftd *d, const struct http_snapshot *s,
				const struct hs_server *server)
{
	const char *credential = hs_text(s, server->credential);
	struct credential_state state = { 0 };
	json_t *j = json_pack("{s:s, s:s}", "server", hs_text(s, server->name), "credential",
			      credential);

	if (!engine_certificate(d->engine, credential, server->credential.len, &state))
		return j;
	json_object_set_new(j, "served", json_boolean(state.served));
	if (state.served) {
		json_object_set_new(j, "subject", json_text(state.subject));
		json_object_set_new(j, "not_after", json_integer(state.not_after));
	}
	if (state.problem)
		json_object_set_new(j, "problem", json_text(state.problem));
	return j;
}

/* Of the Gateway's servers that end TLS: "NAMESPACE/NAME servers[i]" is what a snapshot calls them.
 */
static json_t *certificates_json(struct weftd *d, const struct object *o)
{
	const struct tables *t = engine_tables(d->engine);
	const struct http_snapshot *s = t ? t->http : NULL;
	json_t *list = json_array();
	char prefix[HOST_MAX];
	size_t len =
		(size_t)snprintf(prefix, sizeof(prefix), "%s/%s ", o->meta.namespace, o->meta.name);

	for (__u32 i = 0; s && i < hs_count(s, HS_SERVERS); i++)
		if (hs_server(s, i)->kind != HS_SERVER_PASSTHROUGH &&
		    !strncmp(hs_text(s, hs_server(s, i)->name), prefix, len))
			json_array_append_new(list, certificate_json(d, s, hs_server(s, i)));
	return list;
}

static int add_protected(void *arg, const char *name, bool dropped, __u64 count)
{
	return json_object_set_new(json_object_get(arg, dropped ? "dropped" : "counted"), name,
				   json_integer((json_int_t)count))
		       ? -ENOMEM
		       : 0;
}

/* {"in_force": TEXT, "dropped": {reason: packets}, "counted": {name: packets}} */
static int add_protection(struct weftd *d, json_t *data)
{
	const struct tables *t = engine_tables(d->engine);
	_cleanup_free_ char *text = t ? protection_text(&t->protection) : NULL;
	json_t *json = json_pack("{s:s, s:{}, s:{}}", "in_force", text ? text : "none", "dropped",
				 "counted");

	if (json_object_set_new(data, "protection", json))
		return -ENOMEM;
	return kernel_each_protected(d->kernel, add_protected, json);
}

/* What is in force of an object, beside the object itself. */
static int add_live(struct weftd *d, const struct object *o, json_t *data)
{
	_cleanup_(ejections_free) struct ejections ejections = { 0 };
	const struct tables *t = engine_tables(d->engine);
	int r = ejections_read(d, supervisor_in_force(d->supervisor), &ejections);

	if (r)
		return r;
	switch (o->kind) {
	case KIND_GATEWAY:
		json_object_set_new(data, "certificates", certificates_json(d, o));
		json_object_set_new(data, "in_force", services_of(t, &ejections, o));
		return 0;
	case KIND_SERVICE:
		json_object_set_new(data, "in_force", services_of(t, &ejections, o));
		add_mutual_pods(d, o, data);
		return 0;
	case KIND_POD:
		add_enrolment(d, o, data);
		add_mutual(d, o, data);
		/* fall through */
	case KIND_DESTINATION_RULE:
		json_object_set_new(data, "clusters", clusters_of(t, &ejections, o));
		return 0;
	case KIND_NETWORK_POLICY:
		json_object_set_new(data, "policy", policy_json(d, o));
		return 0;
	case KIND_VIRTUAL_SERVICE:
		return live_routes(d, o, &ejections, data);
	case KIND_CONNECTION_POLICY:
		return add_protection(d, data);
	default:
		return 0;
	}
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
	return add_live(d, known->object, data);
}
