// SPDX-License-Identifier: Apache-2.0
/*
 * A decision as the documented JSON. jansson's packers and setters take NULL for "out of memory"
 * and hand it on, so that it is looked for once, at the end.
 */
#include <string.h>

#include "lib/explain/explain_http.h"
#include "lib/explain/explain_mutual.h"
#include "lib/mesh/policy.h"
#include "lib/mesh/proxied.h"
#include "lib/base/json_io.h"

static const __u64 always = 1ull << 32;

static json_t *span_json(struct http_span text)
{
	_cleanup_free_ char *copy = strndup(text.at, text.len);

	return copy ? json_text(copy) : NULL;
}

static json_t *str_json(const struct http_snapshot *s, struct hs_str str)
{
	return json_text(hs_text(s, str));
}

static json_t *duration_json(__u32 ms)
{
	char text[32];
	size_t len;

	if (ms % 1000 == 0)
		return json_sprintf("%us", ms / 1000);
	len = snprintf(text, sizeof(text), "%u.%03u", ms / 1000, ms % 1000);
	while (text[len - 1] == '0')
		text[--len] = '\0';
	return json_sprintf("%ss", text);
}

static json_t *percent_json(__u64 share)
{
	__u64 parts = (share * 1000000 + always / 2) / always; /* ten thousandths of a percent */

	return parts % 10000 ? json_real((double)parts / 10000) : json_integer(parts / 10000);
}

/* ---- the rule ---- */

static json_t *place_json(const struct http_snapshot *s, const struct hs_place *p)
{
	json_t *j = json_object();
	const char *route = hs_text(s, p->route);
	size_t whole = strcspn(route, ".");
	struct pos at = { (int)p->whole_line, (int)p->whole_col };
	char place[PLACE_MAX];

	json_object_set_new(j, "kind", str_json(s, p->kind));
	json_object_set_new(j, "namespace", str_json(s, p->ns));
	json_object_set_new(j, "name", str_json(s, p->name));
	if (whole)
		json_object_set_new(j, "route", json_stringn(route, whole));
	if (p->label.len)
		json_object_set_new(j, "route_name", str_json(s, p->label));
	json_object_set_new(j, "at",
			    json_string(place_text(place, sizeof(place), hs_text(s, p->file), at)));
	return j;
}

static json_t *rule_json(const struct http_answer *a)
{
	const struct http_decision *d = &a->decision;

	if (d->rule)
		return place_json(a->s, hs_place(a->s, d->rule->place));
	return d->route && d->route->place != HS_NONE
		       ? place_json(a->s, hs_place(a->s, d->route->place))
		       : NULL;
}

/* ---- headers ---- */

/* One more value for a name makes a list. */
static void add_value(json_t *map, const char *name, json_t *value)
{
	json_t *old = json_object_get(map, name);

	if (!old) {
		json_object_set_new(map, name, value);
	} else if (json_is_array(old)) {
		json_array_append_new(old, value);
	} else {
		json_t *list = json_array();

		json_array_append(list, old);
		json_array_append_new(list, value);
		json_object_set_new(map, name, list);
	}
}

struct op_lists {
	json_t *remove, *set, *add;
};

static void op_lists_free(struct op_lists *l)
{
	json_decref(l->remove);
	json_decref(l->set);
	json_decref(l->add);
}

static void gather_ops(const struct http_snapshot *s, struct hs_range range, struct op_lists *l)
{
	for (__u32 i = 0; i < range.count; i++) {
		const struct hs_op *op = hs_op(s, range.first + i);
		const char *name = hs_text(s, op->name);

		if (op->type == HS_OP_REMOVE)
			json_array_append_new(l->remove, json_text(name));
		else if (op->type == HS_OP_SET)
			json_object_set_new(l->set, name, str_json(s, op->value));
		else
			add_value(l->add, name, str_json(s, op->value));
	}
}

/* NULL if there is nothing to say. */
static json_t *op_lists_json(const struct op_lists *l)
{
	json_t *j;

	if (!json_array_size(l->remove) && !json_object_size(l->set) && !json_object_size(l->add))
		return NULL;
	j = json_object();
	if (json_object_size(l->set))
		json_object_set(j, "set", l->set);
	if (json_object_size(l->add))
		json_object_set(j, "add", l->add);
	if (json_array_size(l->remove))
		json_object_set(j, "remove", l->remove);
	return j;
}

static json_t *ops_json(const struct http_snapshot *s, struct hs_range range)
{
	_cleanup_(op_lists_free) struct op_lists l = { json_array(), json_object(), json_object() };

	gather_ops(s, range, &l);
	return op_lists_json(&l);
}

static json_t *response_headers_json(const struct http_answer *a, const char *location)
{
	_cleanup_(op_lists_free) struct op_lists l = { json_array(), json_object(), json_object() };
	struct http_field fields[HTTP_CORS_FIELDS];
	size_t n = http_cors_fields(a->s, &a->decision, fields);

	gather_ops(a->s, a->decision.response[1], &l);
	for (size_t i = 0; i < n; i++)
		json_object_set_new(l.set, fields[i].name.at, span_json(fields[i].value));
	if (location)
		json_object_set_new(l.set, "Location", json_text(location));
	return op_lists_json(&l);
}

static void set_some(json_t *j, const char *key, json_t *value)
{
	if (value)
		json_object_set_new(j, key, value);
}

/* ---- destinations ---- */

static json_t *endpoints_json(const struct http_snapshot *s, const struct hs_cluster *c)
{
	struct http_members m = http_members(s, c);
	json_t *list = json_array();

	for (__u32 i = 0; i < m.count; i++) {
		const struct endpoint *e = &m.items[i].endpoint;
		char text[ADDR_TEXT_MAX];

		addr_format_port(&e->addr, e->port, text);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *cluster_json(const struct http_snapshot *s, const struct hs_cluster *c)
{
	json_t *j = json_object();

	json_object_set_new(j, "host", str_json(s, c->host));
	if (c->subset.len)
		json_object_set_new(j, "subset", str_json(s, c->subset));
	json_object_set_new(j, "port", json_integer(c->port));
	return j;
}

/* With the Host that only this one of several destinations gets. */
static json_t *request_ops_json(const struct http_snapshot *s, const struct hs_action *a,
				const struct hs_dest *d)
{
	_cleanup_(op_lists_free) struct op_lists l = { json_array(), json_object(), json_object() };

	gather_ops(s, d->request, &l);
	if (a->dests.count > 1 && d->authority.len && !a->authority.len)
		json_object_set_new(l.set, "Host", str_json(s, d->authority));
	return op_lists_json(&l);
}

/* The DestinationRules whose policy and subsets the client gets, the oldest first. */
static json_t *policies_json(const struct http_answer *a, const struct hs_cluster *c)
{
	struct mesh *mesh = a->mesh;
	struct host *h = host_concrete(mesh, mesh_host(mesh, hs_text(a->s, c->host)));
	const struct view *v = h ? host_view(mesh, h, a->client) : NULL;
	json_t *list = v && v->count ? json_array() : NULL;

	for (size_t i = 0; list && i < v->count; i++) {
		const struct object *o = v->rules[i];
		char at[PLACE_MAX];

		json_array_append_new(list,
				      json_sprintf("%s/%s (%s)", o->meta.namespace, o->meta.name,
						   place_text(at, sizeof(at), o->file, o->pos)));
	}
	return list;
}

/* How TLS is spoken with the endpoints; NULL: it is not. */
static json_t *client_tls_json(const struct http_answer *a, const struct hs_cluster *c)
{
	const struct http_snapshot *s = a->s;
	const struct hs_client_tls *tls = c->client_tls ? hs_client_tls(s, c->client_tls - 1)
							: NULL;
	json_t *j = tls ? json_object() : NULL, *names;

	if (!tls)
		return NULL;
	json_object_set_new(j, "mode",
			    json_string(tls->mode == HS_TLS_MUTUAL ? "MUTUAL" : "SIMPLE"));
	/* What has no requests has no Host. */
	if (tls->sni.len || a->sni)
		json_object_set_new(j, "sni", str_json(s, tls->sni.len ? tls->sni : c->host));
	if (tls->credential.len)
		json_object_set_new(j, "credential", str_json(s, tls->credential));
	if (tls->ca.len)
		json_object_set_new(j, "ca", str_json(s, tls->ca));
	names = tls->alt_names.count ? json_array() : NULL;
	for (__u32 i = 0; i < tls->alt_names.count; i++)
		json_array_append_new(names,
				      str_json(s, hs_text_row(s, tls->alt_names.first + i)->text));
	set_some(j, "subject_alt_names", names);
	json_object_set_new(j, "checks_host", json_boolean(tls->check_host && !a->sni));
	return j;
}

/* A connection has no status. */
static void set_failure(const struct http_answer *a, json_t *j, const struct explain_failure *f)
{
	if (!a->sni)
		json_object_set_new(j, "status", json_integer(f->status ? f->status : 503));
	json_object_set_new(j, "response_flags", json_string(f->flags));
	json_object_set_new(j, "reason", json_text(f->reason));
}

static json_t *destination_json(const struct http_answer *a, const struct hs_dest *d, __u32 weight,
				const struct explain_failure *f)
{
	const struct http_snapshot *s = a->s;
	const struct hs_cluster *c = hs_cluster(s, d->cluster);
	json_t *j = cluster_json(s, c), *headers = json_object();

	json_object_set_new(j, "weight", json_integer(weight));
	json_object_set_new(j, "endpoints", endpoints_json(s, c));
	set_some(j, "destination_rules", policies_json(a, c));
	set_some(j, "tls",
		 explain_mutual_is_used(a, c) ? explain_mutual_json(a, c) : client_tls_json(a, c));
	set_some(headers, "request", request_ops_json(s, a->decision.route, d));
	set_some(headers, "response", ops_json(s, d->response));
	if (json_object_size(headers))
		json_object_set(j, "headers", headers);
	json_decref(headers);
	if (f->ejected)
		json_object_set(j, "ejected", f->ejected);
	if (f->closed) {
		json_object_set(j, "closed", f->closed);
		json_object_set(j, "network_policies", f->policies);
	}
	if (f->denied) {
		json_object_set(j, "denied", f->denied);
		json_object_set(j, "authorization_policies", f->authorizations);
	}
	if (f->flags)
		set_failure(a, j, f);
	return j;
}

/* What becomes of a request, whichever of the destinations gets it. */
struct reachable {
	bool known;			/* some destination exists */
	bool endpoint;			/* some has an endpoint */
	struct explain_failure failure; /* of the first one; without flags: some does not fail */
};

static void reachable_free(struct reachable *f)
{
	explain_failure_free(&f->failure);
}

/* NULL when out of memory. */
static json_t *destinations_json(const struct http_answer *a, struct reachable *reachable)
{
	const struct hs_action *route = a->decision.route;
	json_t *list = json_array();
	bool works = false;
	__u32 before = 0;

	for (__u32 i = 0; i < route->dests.count; i++) {
		const struct hs_dest *d = hs_dest(a->s, route->dests.first + i);
		const struct hs_cluster *c = hs_cluster(a->s, d->cluster);
		__u32 weight = route->dests.count == 1 ? 100 : d->end - before;
		struct explain_failure f = { 0 };
		int r = explain_cluster_failure(a, c, &f);

		json_array_append_new(list, destination_json(a, d, weight, &f));
		before = d->end;
		reachable->known |= c->known;
		reachable->endpoint |= http_members(a->s, c).count || c->lb == LB_PASSTHROUGH;
		works |= weight && !f.flags;
		if (f.flags && !reachable->failure.flags && weight)
			reachable->failure = f;
		else
			explain_failure_free(&f);
		if (r) {
			json_decref(list);
			return NULL;
		}
	}
	if (works)
		reachable->failure.flags = NULL;
	return list;
}

/* ---- a route ---- */

/* Which of a mirror's endpoints get no copy, and why. */
static int add_closed(const struct http_answer *a, const struct hs_cluster *c, json_t *j)
{
	_cleanup_(explain_failure_free) struct explain_failure f = { 0 };
	int r = explain_cluster_failure(a, c, &f);

	if (f.closed) {
		json_object_set(j, "closed", f.closed);
		json_object_set(j, "network_policies", f.policies);
	}
	if (f.denied) {
		json_object_set(j, "denied", f.denied);
		json_object_set(j, "authorization_policies", f.authorizations);
	}
	return r;
}

static json_t *mirrors_json(const struct http_answer *a)
{
	const struct hs_action *route = a->decision.route;
	size_t size = a->decision.authority.len + 16;
	_cleanup_free_ char *shadow = malloc(size);
	json_t *list = json_array();
	long n = shadow ? http_shadow(&a->decision, shadow, size) : 0;

	for (__u32 i = 0; i < route->mirrors.count; i++) {
		const struct hs_mirror *m = hs_mirror(a->s, route->mirrors.first + i);
		const struct hs_cluster *c = hs_cluster(a->s, m->cluster);
		json_t *j = cluster_json(a->s, c);

		if (add_closed(a, c, j)) {
			json_decref(j);
			json_decref(list);
			return NULL;
		}
		json_object_set_new(j, "percent", percent_json(m->share));
		json_object_set_new(j, "authority", json_stringn(shadow, n));
		json_array_append_new(list, j);
	}
	return list;
}

static json_t *fault_json(const struct http_snapshot *s, const struct hs_action *a)
{
	json_t *j = json_object(), *part;

	if (a->delay_ms) {
		part = json_object();
		json_object_set_new(part, "percent", percent_json(a->delay_share));
		json_object_set_new(part, "duration", duration_json(a->delay_ms));
		json_object_set_new(j, "delay", part);
	}
	if (a->abort_status || a->abort_grpc.len) {
		part = json_object();
		json_object_set_new(part, "percent", percent_json(a->abort_share));
		if (a->abort_status)
			json_object_set_new(part, "status", json_integer(a->abort_status));
		else
			json_object_set_new(part, "grpc_status", str_json(s, a->abort_grpc));
		json_object_set_new(j, "abort", part);
	}
	return j;
}

static json_t *retries_json(const struct http_snapshot *s, const struct hs_retries *r)
{
	json_t *j = json_object();

	json_object_set_new(j, "attempts", json_integer(r->attempts));
	if (r->per_try_timeout_ms)
		json_object_set_new(j, "per_try_timeout", duration_json(r->per_try_timeout_ms));
	if (r->attempts)
		json_object_set_new(j, "retry_on", str_json(s, r->text));
	return j;
}

/* Room for any path that a rewrite makes of a request's. */
static size_t path_room(const struct http_answer *a)
{
	const struct hs_action *route = a->decision.route;
	size_t with = route ? route->rewrite.len + route->path.len : 0;

	return (a->request.path.len + 2) * (with + 2) + with * 10 * (a->request.path.len + 1);
}

/* That of all destinations, if there are several. */
static struct http_span authority_of(const struct http_answer *a)
{
	const struct hs_action *route = a->decision.route;

	return route->dests.count > 1 && !route->authority.len ? a->request.authority
							       : a->decision.authority;
}

static json_t *upstream_json(const struct http_answer *a)
{
	size_t room = path_room(a);
	_cleanup_free_ char *path = malloc(room);
	json_t *j = json_object();
	long n = path ? http_path(a->s, &a->decision, &a->request, path, room) : -1;

	json_object_set_new(j, "method", span_json(a->request.method));
	json_object_set_new(j, "authority", span_json(authority_of(a)));
	if (n >= 0)
		json_object_set_new(j, "path", json_stringn(path, n));
	set_some(j, "headers", ops_json(a->s, a->decision.request[1]));
	return j;
}

static void set_reached(const struct reachable *reachable, bool aborted, json_t *j)
{
	json_object_set_new(j, "action",
			    json_string(aborted || reachable->endpoint ? "route"
					: reachable->known	       ? "no_endpoint"
								       : "no_cluster"));
}

static void set_status(const struct http_answer *a, const struct reachable *reachable, json_t *j)
{
	const struct hs_action *route = a->decision.route;
	bool aborted = route->abort_share == always;

	/* An abort comes before any endpoint is looked for. */
	set_reached(reachable, aborted, j);
	if (!aborted && reachable->failure.flags) {
		set_failure(a, j, &reachable->failure);
		if (reachable->failure.body)
			json_object_set_new(j, "body", json_string(reachable->failure.body));
	} else if (!aborted) {
		/* As long as the endpoint has nothing else to say. */
		json_object_set_new(j, "status", json_integer(200));
	} else if (route->abort_status) {
		json_object_set_new(j, "status", json_integer(route->abort_status));
		json_object_set_new(j, "response_flags", json_string("FI"));
		json_object_set_new(j, "body", json_string("fault filter abort"));
	}
}

static void set_route(const struct http_answer *a, json_t *j)
{
	const struct hs_action *route = a->decision.route;
	_cleanup_(reachable_free) struct reachable reachable = { 0 };
	json_t *destinations = destinations_json(a, &reachable);

	json_object_set_new(j, "destinations", destinations);
	set_status(a, &reachable, j);
	json_object_set_new(j, "upstream", upstream_json(a));
	if (route->delay_ms || route->abort_status || route->abort_grpc.len)
		json_object_set_new(j, "fault", fault_json(a->s, route));
	if (route->timeout_ms)
		json_object_set_new(j, "timeout", duration_json(route->timeout_ms));
	json_object_set_new(j, "retries", retries_json(a->s, &route->retries));
	if (route->mirrors.count)
		json_object_set_new(j, "mirrors", mirrors_json(a));
	set_some(j, "response_headers", response_headers_json(a, NULL));
}

/* ---- answers of our own ---- */

static void set_redirect(const struct http_answer *a, json_t *j)
{
	const struct hs_action *route = a->decision.route;
	size_t room = path_room(a) + a->request.authority.len + a->request.scheme.len + 32;
	_cleanup_free_ char *text = NULL;
	json_t *to = json_object();
	struct http_location l;
	long n;

	if (route)
		room += route->host.len + route->scheme.len;
	text = malloc(room);
	if (!text)
		return;
	http_location(a->s, &a->decision, &a->request, &l);
	n = http_location_path(a->s, &a->decision, &a->request, text, room);
	json_object_set_new(to, "status", json_integer(a->decision.status));
	json_object_set_new(to, "scheme", span_json(l.scheme));
	json_object_set_new(to, "host", span_json(l.host));
	if (l.port)
		json_object_set_new(to, "port", json_integer(l.port));
	json_object_set_new(to, "path", json_stringn(text, n > 0 ? n : 0));
	json_object_set_new(j, "action", json_string("redirect"));
	json_object_set_new(j, "status", json_integer(a->decision.status));
	json_object_set_new(j, "redirect", to);
	n = http_location_text(a->s, &a->decision, &a->request, text, room - 1);
	text[n > 0 ? n : 0] = '\0';
	set_some(j, "response_headers", response_headers_json(a, text));
}

static void set_own(const struct http_answer *a, json_t *j, const char *action)
{
	const struct http_decision *d = &a->decision;

	json_object_set_new(j, "action", json_string(action));
	if (d->status)
		json_object_set_new(j, "status", json_integer(d->status));
	if (d->route && d->route->type == HS_DIRECT_RESPONSE && d->route->body.len &&
	    d->cors != HTTP_CORS_PREFLIGHT)
		json_object_set_new(j, "body", str_json(a->s, d->route->body));
	set_some(j, "response_headers", response_headers_json(a, NULL));
}

/* What the handshake asks for, and the server that it has chosen. */
static json_t *server_json(const struct http_answer *a)
{
	static const char *const modes[] = { [HS_TLS_SIMPLE] = "SIMPLE",
					     [HS_TLS_MUTUAL] = "MUTUAL",
					     [HS_TLS_OPTIONAL_MUTUAL] = "OPTIONAL_MUTUAL" };

	const struct hs_server *server = a->server;
	json_t *j = server || a->sni ? json_object() : NULL;

	if (a->sni)
		json_object_set_new(j, "sni", json_text(a->sni));
	if (server && server->name.len)
		json_object_set_new(j, "server", str_json(a->s, server->name));
	if (j)
		json_object_set_new(j, "mode",
				    json_string(server && server->mode ? modes[server->mode]
								       : "PASSTHROUGH"));
	if (server && server->credential.len)
		json_object_set_new(j, "credential", str_json(a->s, server->credential));
	return j;
}

json_t *explain_http_json(const struct http_answer *a)
{
	json_t *j = json_object();

	json_object_set_new(j, "protocol", json_string("http"));
	set_some(j, "tls", server_json(a));
	set_some(j, "rule", rule_json(a));
	switch (a->decision.action) {
	case HTTP_ROUTE:
	case HTTP_NO_CLUSTER:
		set_route(a, j);
		break;
	case HTTP_REDIRECT:
		set_redirect(a, j);
		break;
	case HTTP_DIRECT_RESPONSE:
		set_own(a, j, "direct_response");
		break;
	case HTTP_NOT_FOUND:
		set_own(a, j, "not_found");
		json_object_set_new(j, "response_flags", json_string("NR"));
		json_object_set_new(j, "reason",
				    json_text(a->decision.vhost ? "no rule holds"
								: "no rule has the host"));
		break;
	case HTTP_MISDIRECTED:
		set_own(a, j, "misdirected");
		json_object_set_new(j, "response_flags", json_string("NR"));
		json_object_set_new(
			j, "reason",
			json_string("the host is another server's, which the client did not "
				    "ask for in its TLS handshake (SNI)"));
		break;
	case HTTP_BLOCKED:
		set_own(a, j, "blocked");
		json_object_set_new(j, "cluster", json_string("BlackHoleCluster"));
		json_object_set_new(j, "reason",
				    json_string("no rule and no service has the host, and "
						"outboundTrafficPolicy is REGISTRY_ONLY"));
		break;
	case HTTP_PASSTHROUGH:
		set_own(a, j, "passthrough");
	}
	if (json_array_size(a->skipped))
		json_object_set(j, "skipped", a->skipped);
	return j;
}

/* ---- connections ---- */

static json_t *bytes_rule_json(const struct http_answer *a, const struct hs_action *route)
{
	const struct hs_server *server = a->server;
	__u32 place = server && server->place != HS_NONE ? server->place : route->place;

	return place == HS_NONE ? NULL : place_json(a->s, hs_place(a->s, place));
}

static void set_bytes(const struct http_answer *a, json_t *j)
{
	_cleanup_(reachable_free) struct reachable reachable = { 0 };
	json_t *destinations = destinations_json(a, &reachable);

	set_reached(&reachable, false, j);
	if (reachable.failure.flags)
		set_failure(a, j, &reachable.failure);
	set_some(j, "rule", bytes_rule_json(a, a->decision.route));
	json_object_set_new(j, "destinations", destinations);
}

static void set_closed(const struct http_answer *a, json_t *j)
{
	bool ended = a->server && a->server->kind == HS_SERVER_TCP;

	json_object_set_new(j, "action", json_string("refuse"));
	json_object_set_new(j, "response_flags", json_string("NR"));
	json_object_set_new(j, "reason",
			    json_string(ended ? "no tcp rule is for the server: the connection is "
						"closed"
					      : "no tls rule has the name: the connection is "
						"closed"));
}

json_t *explain_sni_json(struct http_answer *a, const struct hs_action *plain)
{
	json_t *j = json_object();

	if (a->server && a->server->action != HS_NONE)
		plain = hs_action(a->s, a->server->action);
	a->decision.route = plain;
	json_object_set_new(j, "protocol", json_string("tls"));
	set_some(j, "tls", server_json(a));
	if (plain)
		set_bytes(a, j);
	else
		set_closed(a, j);
	if (json_array_size(a->skipped))
		json_object_set(j, "skipped", a->skipped);
	return j;
}
