// SPDX-License-Identifier: Apache-2.0
/*
 * A request -> a plan, by the rules of a snapshot.
 */
#include "proxy/route/router.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/model/hostname.h"
#include "lib/route/authz.h"
#include "lib/route/fields.h"
#include "lib/route/network_policy.h"
#include "proxy/route/router_inbound.h"
#include "lib/route/workload.h"
#include "proxy/route/router_plan.h"
#include "proxy/route/router_priv.h"
#include "proxy/route/router_tls.h"
#include "proxy/route/router_tunnel.h"

enum { SPARE = 256 };

struct snapshot_router {
	struct router router; /* first */
	struct shared_state *state;
	struct router_version *current; /* NULL: none yet */
	struct config *offered;		/* atomic: for the next turn; NULL: nothing new */
	struct router_plan *spare;
	unsigned spare_count;
	struct http_field fields[H1_MAX_HEADERS]; /* of the request being decided */
};

static struct router_plan *take_plan(struct snapshot_router *r)
{
	struct router_plan *p = r->spare;

	if (!p) {
		p = malloc(sizeof(*p));
		if (p)
			*p = (struct router_plan){ 0 };
		return p;
	}
	r->spare = p->next;
	r->spare_count--;
	return p;
}

static void free_plan(struct router_plan *p)
{
	free(p->ops.items);
	free(p->headers.items);
	free(p->denied);
	free(p);
}

static void give_plan(struct snapshot_router *r, struct router_plan *p)
{
	if (r->spare_count == SPARE) {
		free_plan(p);
		return;
	}
	p->next = r->spare;
	r->spare = p;
	r->spare_count++;
}

static struct http_span span(struct h1_span s)
{
	return (struct http_span){ s.p, s.n };
}

static struct http_span called_authority(const struct route_ask *ask, char text[ADDR_TEXT_MAX])
{
	static const char http_port[] = ":80";
	size_t n = addr_format_port(&ask->called, ask->called_port, text);
	const size_t port = sizeof(http_port) - 1;

	if (ask->called_port == 80)
		n -= port;
	return (struct http_span){ text, n };
}

static void describe(struct snapshot_router *r, const struct route_ask *ask, struct router_plan *p)
{
	const struct h1_request *q = ask->request;

	for (size_t i = 0; i < q->m.header_count; i++)
		r->fields[i] = (struct http_field){ span(q->m.headers[i].name),
						    span(q->m.headers[i].value) };
	p->request = (struct http_request){
		.method = span(q->method),
		.scheme = http_span("http"),
		.authority = span(q->authority),
		.path = q->path.p ? span(q->path) : http_span("/"),
		.fields = r->fields,
		.field_count = q->m.header_count,
	};
	/* Before HTTP/1.1 no Host was needed: then it is the address that was called (RFC
	 * 9112 3.3). */
	if (!p->request.authority.at)
		p->request.authority = called_authority(ask, p->called_text);
}

/* No rule, nor what is hashed, is to go by a field that its sender had no right to. */
static void drop_forged(struct snapshot_router *r, struct router_plan *p, bool gateway)
{
	size_t n = 0;

	for (size_t i = 0; i < p->request.field_count; i++)
		if (!http_field_is_forged(r->fields[i].name, gateway))
			r->fields[n++] = r->fields[i];
	p->request.field_count = n;
}

/*
 * The node's own addresses are for gateways; all others are a service's, or outside. For
 * pods a service comes first where the node has its address, too (kube-proxy's IPVS mode).
 */
static const struct hs_listener *listener_of(const struct http_snapshot *s,
					     const struct route_ask *ask, bool from_pod)
{
	bool node = ask->called_node &&
		    !(from_pod && http_plain(s, &ask->called, ask->called_port));

	return http_listener_at(s, &ask->called, ask->called_port, node);
}

static uint64_t turn(__u64 *n, bool wanted)
{
	return wanted ? __atomic_fetch_add(n, 1, __ATOMIC_RELAXED) : 0;
}

static bool sometimes(uint64_t share)
{
	return share && share < (uint64_t)1 << 32;
}

static void decide(struct router_plan *p, const struct hs_listener *l,
		   const struct hs_server *server, const struct http_source *source)
{
	const struct router_version *v = p->version;
	struct http_decision *d = &p->decision;
	struct http_turns turns = { 0 };
	struct route_state *rs;

	http_find(v->snapshot, l, server, source, &p->request, d, NULL);
	if (!d->route)
		return;
	rs = v->routes[hs_action_number(v->snapshot, d->route)];
	turns.dest = turn(&rs->turns.dest, d->route->dests.count > 1);
	turns.delay = turn(&rs->turns.delay, sometimes(d->route->delay_share));
	turns.abort = turn(&rs->turns.abort, sometimes(d->route->abort_share));
	p->mirror_turn = turn(&rs->turns.mirror, d->route->mirrors.count);
	http_choose(v->snapshot, &p->request, &turns, d);
}

/*
 * No rule has the host: the service at the address, or the address itself; but not the node's own,
 * such as that of our listening socket, where we would call ourselves again and again.
 */
static void decide_passthrough(struct router_plan *p, const struct route_ask *ask)
{
	const struct http_snapshot *s = p->version->snapshot;
	struct http_decision *d = &p->decision;

	d->route = http_plain(s, &ask->called, ask->called_port);
	d->action = HTTP_ROUTE;
	if (!d->route && ask->called_node) {
		d->action = HTTP_NOT_FOUND;
		d->status = 404;
	} else if (!d->route && http_is_registry_only(s)) {
		d->action = HTTP_BLOCKED;
		d->status = 502;
	}
	if (!d->route || !d->route->dests.count)
		return;
	d->dest = hs_dest(s, d->route->dests.first);
	d->cluster = hs_cluster(s, d->dest->cluster);
	if (!d->cluster->known)
		d->action = HTTP_NO_CLUSTER;
}

/*
 * A call of a pod itself, for which no rule is, goes there. What has ended up at another pod by
 * now, or may come by mutual TLS alone by now, has to connect again.
 */
static bool route_inbound(struct router_plan *p, const struct route_ask *ask)
{
	const struct http_snapshot *s = p->version->snapshot;
	const bool mutual = ask->tls && ask->tls->mutual;
	const struct router_inbound in = router_inbound_at(s, ask);

	if (!mutual && !in.workload && !http_authz_is_inbound(s, &ask->called))
		return false;
	if (mutual ? !router_inbound_holds(s, ask) : in.mode == HS_MTLS_STRICT)
		p->decision = router_tls_misdirected(NULL, p->request.authority);
	else
		p->decision = (struct http_decision){ .action = HTTP_ROUTE,
						      .authority = p->request.authority };
	return true;
}

static void route(struct snapshot_router *r, struct router_plan *p, const struct route_ask *ask,
		  const struct hs_source *row)
{
	const struct router_version *v = p->version;
	const struct hs_listener *l = listener_of(v->snapshot, ask, row);
	struct http_source source;
	const struct hs_server *server = NULL;
	bool misdirected = false;

	p->egress = row ? row->egress : http_egress_at(v->snapshot, &ask->client);
	p->gateway = l && l->scope == SCOPE_NODE;
	drop_forged(r, p, p->gateway);
	if (row)
		http_source_known(v->snapshot, row, &source);
	p->inbound = route_inbound(p, ask);
	if (p->inbound)
		return;
	if (ask->tls) {
		p->request.scheme = http_span("https");
		server = router_tls_server(v->snapshot, l, ask->tls);
		misdirected = !server;
	}
	if (misdirected)
		p->decision = router_tls_misdirected(l, p->request.authority);
	else if (!l)
		p->decision = (struct http_decision){ .action = HTTP_PASSTHROUGH,
						      .authority = p->request.authority };
	else
		decide(p, l, server, row && l->scope == SCOPE_MESH ? &source : NULL);
	if (p->decision.action == HTTP_PASSTHROUGH)
		decide_passthrough(p, ask);
}

static const struct plan no_rules = {
	.action = PLAN_ANSWER,
	.answer = { .status = 503, .flags = "NC", .details = "cluster_not_found" },
};

static void begin_plan(struct snapshot_router *r, const struct route_ask *ask,
		       struct router_plan *p)
{
	p->version = r->current;
	p->version->refs++;
	p->ops.count = p->headers.count = 0;
	p->decision = (struct http_decision){ 0 };
	p->endpoint = NULL;
	p->gateway = p->inbound = false;
	p->tried_count = 0;
	p->client = ask->client;
	p->called = ask->called;
	p->client_port = ask->client_port;
	p->called_port = ask->called_port;
	p->caller_ns = p->caller_account = (struct authz_text){ "", 0 };
	if (ask->tls && ask->tls->mutual)
		router_inbound_caller(ask->tls, &p->caller_ns, &p->caller_account);
}

/* What comes in at a Gateway calls its endpoints in the Gateway's name. */
static void call_as_gateway(struct router_plan *p)
{
	p->caller_ns = (struct authz_text){ GATEWAY_NAMESPACE, strlen(GATEWAY_NAMESPACE) };
	p->caller_account = (struct authz_text){ GATEWAY_ACCOUNT, strlen(GATEWAY_ACCOUNT) };
}

static void plan(struct router *router, const struct route_ask *ask, struct buffer_pool *buffers,
		 struct plan *out)
{
	struct snapshot_router *r = (struct snapshot_router *)router;
	struct router_plan *p = r->current ? take_plan(r) : NULL;
	const struct hs_source *row;

	*out = no_rules;
	if (!p)
		return;
	begin_plan(r, ask, p);
	describe(r, ask, p);
	row = http_source_at(p->version->snapshot, &ask->client);
	route(r, p, ask, row);
	if (p->decision.listener && p->decision.listener->scope == SCOPE_NODE)
		call_as_gateway(p);
	router_hash(p);
	out->data = p;
	router_traffic(p, row, ask, &out->traffic);
	router_tracing(p, row, &out->tracing);
	if (router_plan_fill(p, buffers, out)) {
		out->action = PLAN_ANSWER;
		out->answer = (struct plan_answer){ .status = 500, .flags = "-" };
	}
	/* The caller's proxy has said which one it is. */
	if (ask->tls && ask->tls->mutual)
		out->count_tries = false;
	/* They are gone when the next request is decided. */
	p->request.fields = NULL;
	p->request.field_count = 0;
}

static void release(struct router *router, struct plan *plan)
{
	struct snapshot_router *r = (struct snapshot_router *)router;
	struct router_plan *p = plan->data;

	if (!p)
		return;
	router_version_unref(p->version);
	free(p->denied);
	p->denied = NULL;
	give_plan(r, p);
	plan->data = NULL;
}

static bool gone(struct router *router, uint32_t endpoint)
{
	const struct snapshot_router *r = (const struct snapshot_router *)router;

	return !router_endpoints_have(&r->current->endpoints, endpoint);
}

static const struct hs_listener *listener_at(const struct snapshot_router *r,
					     const struct route_ask *ask)
{
	const struct http_snapshot *s = r->current->snapshot;

	return listener_of(s, ask, http_source_at(s, &ask->client));
}

/* As Envoy names a listener of Istio's gateways. */
static struct http_listener_stat *listener_stat(const struct snapshot_router *r, uint16_t port)
{
	char name[LISTENER_NAME_MAX];
	int n = snprintf(name, sizeof(name), "0.0.0.0_%u", port);

	return stats_listener(shared_state_stats(r->state), name, (size_t)n);
}

static struct router_inbound inbound_at(const struct snapshot_router *r,
					const struct route_ask *ask)
{
	return router_inbound_at(r->current->snapshot, ask);
}

static const struct tls_base *speaks_tls(struct router *router, const struct route_ask *ask,
					 struct http_listener_stat **stat)
{
	const struct snapshot_router *r = (const struct snapshot_router *)router;
	const bool inbound = inbound_at(r, ask).workload;
	const struct hs_listener *l = inbound ? NULL : listener_at(r, ask);
	const struct tls_base *b = NULL;

	if (!inbound && (!l || !l->tls))
		return NULL;
	if (tls_store_base(shared_state_tls(r->state), &b))
		log_err(-ENOMEM, "begin with TLS");
	*stat = listener_stat(r, inbound ? ROUTER_INBOUND_PORT : l->port);
	return b;
}

static int server(struct router *router, const struct route_ask *ask, const char *name, size_t n,
		  struct tls_context **out, struct route_tls *tls)
{
	const struct snapshot_router *r = (const struct snapshot_router *)router;
	const struct router_inbound in = inbound_at(r, ask);
	const struct http_snapshot *s = r->current->snapshot;
	struct tls_store *store = shared_state_tls(r->state);

	if (in.workload)
		return router_inbound_choose(store, s, &in, out, tls);
	return router_tls_choose(store, s, listener_at(r, ask), (struct http_span){ name, n }, out,
				 tls);
}

/* ---- connections without requests ---- */

static struct router_called called_by(const struct snapshot_router *r, const struct route_ask *ask)
{
	static const struct addr any;
	const struct http_snapshot *s = r->current->snapshot;
	const struct hs_source *row = http_source_at(s, &ask->client);
	struct router_called c = { .source = row, .listener = listener_of(s, ask, row) };

	if (!router_tunnel_gateway(&c))
		c.address = http_address_at(s, &ask->called, ask->called_port);
	if (router_tunnel_is_lost(&c) && !ask->called_node)
		c.anywhere = http_address_at(s, &any, ask->called_port);
	return c;
}

static bool peeks(struct router *router, const struct route_ask *ask)
{
	const struct snapshot_router *r = (const struct snapshot_router *)router;
	struct router_called c;

	if (inbound_at(r, ask).workload)
		return true;
	c = called_by(r, ask);
	return router_tunnel_peeks(&c);
}

static bool opaque(struct router *router, const struct route_ask *ask)
{
	const struct snapshot_router *r = (const struct snapshot_router *)router;
	struct router_called c;

	if (inbound_at(r, ask).workload)
		return false;
	c = called_by(r, ask);
	return router_tunnel_is_opaque(r->current->snapshot, &c);
}

static bool hurries(struct router *router, const struct route_ask *ask)
{
	return inbound_at((const struct snapshot_router *)router, ask).mode == HS_MTLS_PERMISSIVE;
}

static bool mixed(struct router *router, const struct route_ask *ask)
{
	const struct snapshot_router *r = (const struct snapshot_router *)router;
	struct router_called c;

	if (inbound_at(r, ask).workload)
		return false;
	c = called_by(r, ask);
	return router_tunnel_is_lost(&c);
}

/* The turn of the route's destinations is taken as for a request. Without a route (NULL) it goes to
 * the address that was called. */
static void decide_tunnel(struct router_plan *p, const struct hs_action *a)
{
	const struct router_version *v = p->version;
	struct http_turns turns = { 0 };

	p->request = (struct http_request){ .path = http_span("/") };
	if (!a) {
		p->decision.action = HTTP_PASSTHROUGH;
		return;
	}
	p->decision.route = a;
	turns.dest =
		turn(&v->routes[hs_action_number(v->snapshot, a)]->turns.dest, a->dests.count > 1);
	http_choose(v->snapshot, &p->request, &turns, &p->decision);
}

/* What nothing has the name of. A pod is known, as in the kernel. */
static bool may_pass_on(const struct http_snapshot *s, const struct route_ask *ask)
{
	return !http_is_registry_only(s) || http_authz_is_inbound(s, &ask->called);
}

/* `a`: NULL, to the address that was called. */
static void plan_tunnel(struct snapshot_router *r, const struct route_ask *ask,
			const struct router_called *c, const struct hs_action *a, struct plan *out)
{
	struct router_plan *p = take_plan(r);

	*out = no_rules;
	if (!p)
		return;
	begin_plan(r, ask, p);
	p->egress = c->source ? c->source->egress
			      : http_egress_at(r->current->snapshot, &ask->client);
	p->gateway = router_tunnel_gateway(c);
	if (p->gateway)
		call_as_gateway(p);
	p->inbound = c->inbound;
	decide_tunnel(p, a);
	router_hash(p);
	out->data = p;
	router_traffic(p, c->source, ask, &out->traffic);
	router_plan_fill_tunnel(p, out);
}

/* Of a connection that calls a pod of this node itself. */
static bool tunnel_inbound(struct snapshot_router *r, const struct route_ask *ask,
			   const struct router_inbound *in, const struct route_hello *hello,
			   struct plan *out)
{
	const struct http_snapshot *s = r->current->snapshot;
	const struct router_called c = { .source = http_source_at(s, &ask->client),
					 .inbound = true };
	const enum router_inbound_way way = ask->tls ? INBOUND_TUNNEL
						     : router_inbound_way(in, hello);

	if (way == INBOUND_TLS || way == INBOUND_HTTP)
		return false;
	if (way == INBOUND_REFUSED) {
		stat_inc(&listener_stat(r, ROUTER_INBOUND_PORT)->no_filter_chain_match);
		*out = router_inbound_refused;
	} else if (ask->tls && !router_inbound_holds(s, ask)) {
		*out = router_tunnel_none;
	} else {
		plan_tunnel(r, ask, &c, NULL, out);
	}
	return true;
}

static bool tunnel_called(struct snapshot_router *r, const struct route_ask *ask,
			  const struct route_hello *hello, struct plan *out)
{
	const struct router_called c = called_by(r, ask);
	const struct http_snapshot *s = r->current->snapshot;
	const struct hs_action *a;

	if (!ask->tls && !router_tunnel_passes(s, &c, hello))
		return false;
	a = router_tunnel_route(s, &c, ask->tls, hello);
	if (a ||
	    (!ask->tls && !ask->called_node && router_tunnel_is_lost(&c) && may_pass_on(s, ask)))
		plan_tunnel(r, ask, &c, a, out);
	else
		*out = router_tunnel_none;
	return true;
}

static bool tunnel(struct router *router, const struct route_ask *ask,
		   const struct route_hello *hello, struct plan *out)
{
	struct snapshot_router *r = (struct snapshot_router *)router;
	const struct router_inbound in = inbound_at(r, ask);

	if (ask->tls ? ask->tls->mutual : !!in.workload)
		return tunnel_inbound(r, ask, &in, hello, out);
	return tunnel_called(r, ask, hello, out);
}

const struct router_version *router_current(const struct router *router)
{
	return ((const struct snapshot_router *)router)->current;
}

static int adopt_snapshot(struct snapshot_router *r, struct config *c)
{
	struct router_version *v;
	int error = router_version_open(r->state, c, r->current, &v);

	if (error)
		return error;
	router_version_succeed(v, r->current);
	router_version_unref(r->current);
	r->current = v;
	r->router.version++;
	/* It stays: the kernel may go on for a while to send TLS that rules had been for. */
	r->router.tls |= router_tls_is_spoken(v->snapshot);
	return 0;
}

static int adopt(struct snapshot_router *r, struct config *c)
{
	if (!config_is_patch(c))
		return adopt_snapshot(r, c);
	return r->current ? router_version_patch(r->current, c) : -ESTALE;
}

static bool adopt_offered(struct router *router)
{
	struct snapshot_router *r = (struct snapshot_router *)router;
	struct config *c;
	int error;

	if (!__atomic_load_n(&r->offered, __ATOMIC_RELAXED))
		return false;
	c = __atomic_exchange_n(&r->offered, NULL, __ATOMIC_ACQ_REL);
	error = adopt(r, c);
	if (error)
		log_err(error, "open a snapshot");
	config_answer(c, error);
	config_unref(c);
	return !error;
}

int router_new(struct shared_state *state, struct snapshot_router **out)
{
	struct snapshot_router *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->router = (struct router){ .plan = plan,
				     .pick = router_pick,
				     .done = router_done,
				     .pick_mirror = router_pick_mirror,
				     .release = release,
				     .turn = adopt_offered,
				     .settle = router_settle,
				     .gone = gone,
				     .speaks_tls = speaks_tls,
				     .server = server,
				     .peeks = peeks,
				     .opaque = opaque,
				     .hurries = hurries,
				     .mixed = mixed,
				     .tunnel = tunnel,
				     .reached = router_reached,
				     .allows = router_allows,
				     .tags = router_tags };
	r->state = state;
	*out = r;
	return 0;
}

void router_free(struct snapshot_router *r)
{
	if (!r)
		return;
	if (r->current)
		router_version_end(r->current);
	router_version_unref(r->current);
	config_unref(r->offered);
	while (r->spare) {
		struct router_plan *p = r->spare;

		r->spare = p->next;
		free_plan(p);
	}
	free(r);
}

struct router *router_interface(struct snapshot_router *r)
{
	return &r->router;
}

void router_offer(struct snapshot_router *r, struct config *c)
{
	config_unref(__atomic_exchange_n(&r->offered, config_ref(c), __ATOMIC_ACQ_REL));
}
