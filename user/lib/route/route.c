// SPDX-License-Identifier: Apache-2.0
#include "lib/route/route.h"

#include <ctype.h>
#include <string.h>

#include "weft/weyl.h"
#include "lib/model/hostname.h"
#include "lib/model/model_http.h"
#include "lib/route/patch.h"

/* ---- finding things ---- */

static int compare_listener(const struct hs_listener *l, __u32 scope, __u32 port, __u32 group)
{
	if (l->scope != scope)
		return l->scope < scope ? -1 : 1;
	if (l->port != port)
		return l->port < port ? -1 : 1;
	return l->group < group ? -1 : l->group > group;
}

static const struct hs_listener *find_listener(const struct http_snapshot *s, __u32 scope,
					       __u32 port, __u32 group)
{
	__u32 low = 0, high = hs_count(s, HS_LISTENERS);

	while (low < high) {
		__u32 mid = low + (high - low) / 2;
		int order = compare_listener(hs_listener(s, mid), scope, port, group);

		if (!order)
			return hs_listener(s, mid);
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct hs_listener *http_listener(const struct http_snapshot *s, enum service_scope scope,
					unsigned port)
{
	const struct hs_listener *l = find_listener(s, scope, port, 0);

	return l || scope != SCOPE_MESH ? l : find_listener(s, scope, 0, 0);
}

/* Wildcards are in order, the longest first. */
bool http_address_is_opaque(const struct http_snapshot *s, const struct hs_address *address)
{
	return !address->sni_exact.count && address->sni_wild.count &&
	       !hs_sni(s, address->sni_wild.first)->name.len;
}

static const struct hs_door *door_at(const struct http_snapshot *s, const struct addr *addr,
				     unsigned port)
{
	__u32 low = 0, high = hs_count(s, HS_DOORS);

	while (low < high) {
		__u32 mid = low + (high - low) / 2;
		const struct hs_door *d = hs_door(s, mid);
		int order = memcmp(&d->addr, addr, sizeof(*addr));

		if (!order && d->port == port)
			return d;
		if (order < 0 || (!order && d->port < port))
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct hs_listener *http_listener_at(const struct http_snapshot *s, const struct addr *called,
					   unsigned port, bool node)
{
	static const struct addr any;
	const struct hs_door *door = door_at(s, called, port);
	const struct hs_listener *l = NULL;

	if (!door && node)
		door = door_at(s, &any, port);
	if (door)
		l = find_listener(s, SCOPE_NODE, door->listener_port, door->listener_group);
	else if (node)
		l = http_listener(s, SCOPE_NODE, port);
	return l ? l : http_listener(s, SCOPE_MESH, port);
}

static const struct hs_source *packed_source(const struct http_snapshot *s, const struct addr *addr)
{
	__u32 low = 0, high = hs_count(s, HS_SOURCES);

	while (low < high) {
		__u32 mid = low + (high - low) / 2;
		int order = memcmp(&hs_source(s, mid)->addr, addr, sizeof(*addr));

		if (!order)
			return hs_source(s, mid);
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct hs_source *http_source_at(const struct http_snapshot *s, const struct addr *addr)
{
	const struct hs_patch_source *changed = s->changes ? http_changed_source(s->changes, addr)
							   : NULL;

	if (!changed)
		return packed_source(s, addr);
	return changed->gone ? NULL : &changed->row;
}

const struct hs_address *http_address_at(const struct http_snapshot *s, const struct addr *addr,
					 unsigned port)
{
	__u32 low = 0, high = hs_count(s, HS_ADDRESSES);

	while (low < high) {
		__u32 mid = low + (high - low) / 2;
		const struct hs_address *a = hs_address(s, mid);
		int order = memcmp(&a->addr, addr, sizeof(*addr));

		if (!order && a->port == port)
			return a;
		if (order < 0 || (!order && a->port < port))
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct hs_action *http_plain(const struct http_snapshot *s, const struct addr *addr,
				   unsigned port)
{
	const struct hs_address *a = http_address_at(s, addr, port);

	return a ? hs_action(s, a->action) : NULL;
}

/* By its id; NULL if there is none. */
static const struct hs_namespace *namespace_at(const struct http_snapshot *s, __u32 id)
{
	__u32 low = 0, high = hs_count(s, HS_NAMESPACES);

	while (low < high) {
		__u32 mid = low + (high - low) / 2;
		const struct hs_namespace *row = hs_namespace(s, mid);

		if (row->id == id)
			return row;
		if (row->id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

void http_source_known(const struct http_snapshot *s, const struct hs_source *row,
		       struct http_source *out)
{
	const struct hs_namespace *ns = namespace_at(s, row->ns);

	*out = (struct http_source){ .ns = row->ns, .known = row };
	out->name = ns ? hs_span(s, ns->name) : http_span("");
}

void http_source_given(const struct http_snapshot *s, const char *ns, const struct kvs *labels,
		       struct http_source *out)
{
	*out = (struct http_source){ .name = http_span(ns), .labels = labels };
	for (__u32 i = 0; i < hs_count(s, HS_NAMESPACES) && !out->ns; i++)
		if (http_span_is(hs_span(s, hs_namespace(s, i)->name), out->name))
			out->ns = hs_namespace(s, i)->id;
}

/* ---- hosts ---- */

/* Without the port and the dot at the end, in lower case. False if it can be no host's name. */
static bool host_key(struct http_span authority, char out[HOST_MAX], struct http_span *key)
{
	size_t len = authority.len;
	const char *colon = memrchr(authority.at, ':', len);
	const char *bracket = memrchr(authority.at, ']', len);

	if (colon && (!bracket || colon > bracket))
		len = colon - authority.at;
	if (len > 1 && authority.at[len - 1] == '.')
		len--;
	if (len >= HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		out[i] = tolower((unsigned char)authority.at[i]);
	*key = (struct http_span){ out, len };
	return true;
}

static int compare_name(struct http_span a, struct http_span b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = memcmp(a.at, b.at, len);

	return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

/* What a connection's requests may have for a host. */
struct names {
	struct hs_range exact, wild; /* of HS_DOMAINS */
};

static struct names names_of(const struct hs_listener *l, const struct hs_server *server)
{
	return server ? (struct names){ server->exact, server->wild }
		      : (struct names){ l->exact, l->wild };
}

static const struct hs_domain *find_exact(const struct http_snapshot *s, struct names in,
					  struct http_span host, __u32 ns)
{
	__u32 low = 0, high = in.exact.count;

	while (low < high) {
		__u32 mid = low + (high - low) / 2;
		const struct hs_domain *d = hs_domain(s, in.exact.first + mid);
		int order = compare_name(hs_span(s, d->name), host);

		if (!order && d->ns == ns)
			return d;
		if (order < 0 || (!order && d->ns < ns))
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static bool ends_with(struct http_span text, struct http_span end)
{
	return end.len <= text.len && !memcmp(text.at + text.len - end.len, end.at, end.len);
}

static const struct hs_domain *find_wild(const struct http_snapshot *s, struct names in,
					 struct http_span host, __u32 ns)
{
	for (__u32 i = 0; i < in.wild.count; i++) {
		const struct hs_domain *d = hs_domain(s, in.wild.first + i);

		if ((!d->ns || d->ns == ns) && ends_with(host, hs_span(s, d->name)))
			return d;
	}
	return NULL;
}

static const struct hs_vhost *find_vhost(const struct http_snapshot *s, struct names in, __u32 ns,
					 struct http_span authority)
{
	const struct hs_domain *d = NULL;
	char text[HOST_MAX];
	struct http_span host;

	if (!host_key(authority, text, &host))
		return NULL;
	if (ns)
		d = find_exact(s, in, host, ns);
	if (!d)
		d = find_exact(s, in, host, 0);
	if (!d)
		d = find_wild(s, in, host, ns);
	return d ? hs_vhost(s, http_vhost_now(s, d->vhost)) : NULL;
}

bool http_host_is_here(const struct http_snapshot *s, const struct hs_listener *listener,
		       const struct hs_server *server, const struct http_source *source,
		       struct http_span authority)
{
	return find_vhost(s, names_of(listener, server), source ? source->ns : 0, authority);
}

/* The first row of an exact name, as an index into the range; its count if there is none. */
static __u32 find_sni(const struct http_snapshot *s, struct hs_range in, struct http_span name)
{
	__u32 low = 0, high = in.count;

	while (low < high) {
		__u32 mid = low + (high - low) / 2;

		if (compare_name(hs_span(s, hs_sni(s, in.first + mid)->name), name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The server of the row, if its match holds for the client. */
static const struct hs_server *sni_server(const struct http_snapshot *s, const struct hs_sni *row,
					  const struct http_source *source)
{
	const struct hs_match *m = row->match == HS_NONE ? NULL : hs_match(s, row->match);

	return http_match_source(s, m, source, NULL) ? hs_server(s, row->server) : NULL;
}

static const struct hs_server *server_among(const struct http_snapshot *s, struct hs_range exact,
					    struct hs_range wild, const struct http_source *source,
					    struct http_span sni)
{
	const struct hs_server *server = NULL;
	char text[HOST_MAX];
	struct http_span name;

	if (!host_key(sni, text, &name))
		return NULL;
	for (__u32 i = find_sni(s, exact, name); i < exact.count && !server; i++) {
		const struct hs_sni *row = hs_sni(s, exact.first + i);

		if (compare_name(hs_span(s, row->name), name))
			break;
		server = sni_server(s, row, source);
	}
	for (__u32 i = 0; i < wild.count && !server; i++) {
		const struct hs_sni *row = hs_sni(s, wild.first + i);

		if (ends_with(name, hs_span(s, row->name)))
			server = sni_server(s, row, source);
	}
	return server;
}

const struct hs_server *http_server_for(const struct http_snapshot *s,
					const struct hs_listener *listener,
					const struct http_source *source, struct http_span sni)
{
	return server_among(s, listener->sni_exact, listener->sni_wild, source, sni);
}

const struct hs_server *http_server_at(const struct http_snapshot *s,
				       const struct hs_address *address,
				       const struct http_source *source, struct http_span sni)
{
	return server_among(s, address->sni_exact, address->sni_wild, source, sni);
}

/* ---- rules ---- */

static void told(const struct http_snapshot *s, const struct http_trace *trace, __u32 place,
		 const char *why)
{
	trace->skip(trace->arg, hs_place(s, place), why);
}

/* The first rule that holds; *any: at least one is for this client, and no later group is asked. */
static const struct hs_rule *find_rule(const struct http_snapshot *s, const struct hs_vhost *v,
				       const struct http_source *source,
				       const struct http_request *q, const struct http_trace *trace,
				       bool *any)
{
	struct http_reason reason, *why = trace ? &reason : NULL;
	__u32 group = 0;

	for (__u32 i = 0; trace && i < v->skipped.count; i++) {
		const struct hs_skipped *skipped = hs_skipped(s, v->skipped.first + i);

		told(s, trace, skipped->place, hs_text(s, skipped->why));
	}
	for (__u32 i = 0; i < v->rules.count; i++) {
		const struct hs_rule *rule = hs_rule(s, v->rules.first + i);
		const struct hs_match *m = rule->match == HS_NONE ? NULL : hs_match(s, rule->match);

		if (rule->group != group && *any)
			return NULL;
		group = rule->group;
		if (http_match_source(s, m, source, why)) {
			*any = true;
			if (!m || http_match_request(s, m, q, why))
				return rule;
		}
		if (trace)
			told(s, trace, rule->place, reason.text);
	}
	return NULL;
}

/* ---- what to do ---- */

/* Whether the turn is one of the share. The steps are fractions of square roots of primes: as good
 * as that of the destinations, and independent of it and of each other. */
static bool falls(__u64 turn, __u32 step, __u64 share)
{
	__u32 point = (__u32)turn * step;

	return point < share;
}

enum { DELAY_STEP = 0x6a09e667u, ABORT_STEP = 0xbb67ae85u, MIRROR_STEP = 0xa54ff53au | 1 };

bool http_mirrored(const struct http_snapshot *s, const struct hs_action *route, __u32 n,
		   __u64 turn)
{
	return falls(turn, MIRROR_STEP, hs_mirror(s, route->mirrors.first + n)->share);
}

static const struct hs_dest *pick_dest(const struct http_snapshot *s, const struct hs_action *a,
				       __u64 turn)
{
	__u32 point = weyl_point(turn, a->total);

	for (__u32 i = 0; i < a->dests.count; i++) {
		const struct hs_dest *d = hs_dest(s, a->dests.first + i);

		if (point < d->end)
			return d;
	}
	return NULL;
}

static void decide_fault(const struct hs_action *a, const struct http_turns *turns,
			 struct http_decision *out)
{
	if (falls(turns->delay, DELAY_STEP, a->delay_share))
		out->delay_ms = a->delay_ms;
	if (!falls(turns->abort, ABORT_STEP, a->abort_share))
		return;
	out->aborted = true;
	out->status = a->abort_status;
}

static void decide_dest(const struct http_snapshot *s, const struct http_turns *turns,
			struct http_decision *out)
{
	const struct hs_action *a = out->route;
	const struct hs_dest *d = pick_dest(s, a, turns->dest);

	out->action = HTTP_NO_CLUSTER;
	if (d) {
		out->dest = d;
		out->cluster = hs_cluster(s, d->cluster);
		out->request[0] = d->request;
		out->response[0] = d->response;
	}
	if (a->authority.len)
		out->authority = hs_span(s, a->authority);
	else if (d && d->authority.len)
		out->authority = hs_span(s, d->authority);
	if (d && out->cluster->known)
		out->action = HTTP_ROUTE;
	else if (!out->aborted)
		out->status = 503;
}

static bool origin_allowed(const struct http_snapshot *s, const struct hs_cors *c,
			   struct http_span origin)
{
	for (__u32 i = 0; i < c->origins.count; i++) {
		const struct hs_value *v = hs_value(s, c->origins.first + i);

		if ((v->type == MATCH_EXACT &&
		     http_span_is(hs_span(s, v->value), http_span("*"))) ||
		    http_value_holds(s, v, origin))
			return true;
	}
	return false;
}

static void decide_cors(const struct http_snapshot *s, const struct http_request *q,
			struct http_decision *out)
{
	const struct hs_cors *c = hs_cors(s, out->route->cors);
	const struct http_field *origin = http_find_field(q, http_span("origin"));
	bool preflight = http_span_is(q->method, http_span("OPTIONS")) &&
			 http_find_field(q, http_span("access-control-request-method"));

	if (!origin || !origin->value.len)
		return;
	if (!origin_allowed(s, c, origin->value)) {
		if (preflight && c->ignore_unmatched) {
			out->action = HTTP_DIRECT_RESPONSE;
			out->status = 200;
		}
		return;
	}
	out->origin = origin->value;
	out->cors = preflight ? HTTP_CORS_PREFLIGHT : HTTP_CORS_ALLOWED;
	if (preflight) {
		out->action = HTTP_DIRECT_RESPONSE;
		out->status = 200;
	}
}

void http_choose(const struct http_snapshot *s, const struct http_request *q,
		 const struct http_turns *turns, struct http_decision *out)
{
	const struct hs_action *a = out->route;

	out->request[1] = a->request;
	out->response[1] = a->response;
	switch (a->type) {
	case HS_REDIRECT:
		out->action = HTTP_REDIRECT;
		out->status = a->status;
		break;
	case HS_DIRECT_RESPONSE:
		out->action = HTTP_DIRECT_RESPONSE;
		out->status = a->status;
		break;
	default:
		decide_fault(a, turns, out);
		decide_dest(s, turns, out);
	}
	/* Envoy's CORS filter comes before its fault filter: a preflight is answered, never
	 * aborted. */
	if (a->cors != HS_NONE)
		decide_cors(s, q, out);
	if (out->cors == HTTP_CORS_PREFLIGHT)
		out->aborted = false;
}

bool http_is_registry_only(const struct http_snapshot *s)
{
	return s->header->flags & HS_REGISTRY_ONLY;
}

/* Envoy's virtual hosts allow_any and block_all. */
static void pass_on(const struct http_snapshot *s, struct http_decision *out)
{
	out->action = HTTP_PASSTHROUGH;
	if (!http_is_registry_only(s))
		return;
	out->action = HTTP_BLOCKED;
	out->status = 502;
}

/* No rule is for this client: as if there were none. */
static void find_plain(const struct http_snapshot *s, struct http_decision *out)
{
	if (out->vhost->plain == HS_NONE)
		pass_on(s, out);
	else
		out->route = hs_action(s, out->vhost->plain);
}

static void not_found(struct http_decision *out)
{
	out->action = HTTP_NOT_FOUND;
	out->status = 404;
}

/* No vhost has the request's host. */
static void find_none(const struct http_snapshot *s, const struct http_request *q,
		      struct http_decision *out)
{
	const struct hs_server *other =
		out->server ? http_server_for(s, out->listener, NULL, q->authority) : NULL;

	if (other && other != out->server) {
		out->action = HTTP_MISDIRECTED;
		out->status = 421;
	} else if (out->listener->scope == SCOPE_NODE) {
		not_found(out);
	} else {
		pass_on(s, out);
	}
}

void http_find(const struct http_snapshot *s, const struct hs_listener *listener,
	       const struct hs_server *server, const struct http_source *source,
	       const struct http_request *q, struct http_decision *out,
	       const struct http_trace *trace)
{
	bool any = listener->scope == SCOPE_NODE;

	*out = (struct http_decision){ .listener = listener,
				       .server = server,
				       .authority = q->authority };
	out->vhost =
		find_vhost(s, names_of(listener, server), source ? source->ns : 0, q->authority);
	if (!out->vhost) {
		find_none(s, q, out);
		return;
	}
	if ((out->vhost->flags & HS_VHOST_HTTPS_ONLY) &&
	    !http_span_folds(q->scheme, http_span("https"))) {
		out->action = HTTP_REDIRECT;
		out->status = 301;
		return;
	}
	out->rule = find_rule(s, out->vhost, source, q, trace, &any);
	if (out->rule)
		out->route = hs_action(s, out->rule->action);
	else if (any)
		not_found(out);
	else
		find_plain(s, out);
}

void http_route(const struct http_snapshot *s, const struct hs_listener *listener,
		const struct hs_server *server, const struct http_source *source,
		const struct http_request *q, const struct http_turns *turns,
		struct http_decision *out, const struct http_trace *trace)
{
	http_find(s, listener, server, source, q, out, trace);
	if (out->route)
		http_choose(s, q, turns, out);
}
