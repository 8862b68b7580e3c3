// SPDX-License-Identifier: Apache-2.0
/*
 * Who talks to whom, for `http_traffic` and for traces.
 */
#include "lib/route/authz.h"
#include "lib/route/workload.h"
#include "proxy/h1/h1.h"
#include "proxy/route/router_inbound.h"
#include "proxy/route/router_priv.h"
#include "weft/traffic.h"

static struct h1_span h1(struct http_span s)
{
	return (struct h1_span){ s.at, s.len };
}

/* The host that was called, of those that rules and services have: there are only so many. */
static struct http_span host_of(const struct router_plan *p)
{
	const struct http_snapshot *s = p->version->snapshot;
	const struct http_decision *d = &p->decision;
	struct http_span name = http_span("");

	if (d->route && d->route->dests.count)
		return hs_span(s, hs_cluster(s, hs_dest(s, d->route->dests.first)->cluster)->host);
	if (d->vhost)
		name = hs_span(s, d->vhost->name);
	return name.len && *name.at == '*' ? http_span("") : name;
}

/* Of a call of a pod itself. */
static struct http_span service_at(const struct router_plan *p)
{
	const struct http_snapshot *s = p->version->snapshot;
	const struct hs_workload *w = http_workload(s, &p->called);
	const struct hs_workload_port *port = w ? http_workload_port(s, w, p->called_port) : NULL;

	return port ? hs_span(s, port->service) : http_span("");
}

static bool is_of_node(const struct http_snapshot *s, const struct addr *addr)
{
	const struct hs_workload *w = http_workload(s, addr);

	return (w && w->here) || http_authz_pod(s, addr);
}

static bool came_by_proxy(const struct h1_request *q)
{
	for (size_t i = 0; i < q->m.header_count; i++)
		if (h1_is_nocase(q->m.headers[i].name, "x-envoy-attempt-count"))
			return true;
	return false;
}

/*
 * A pod of this node is called by its own address. What the weft-proxy of another node has sent was
 * counted there, for both sides: only there it is known whether there are requests in it. Its
 * address may be the node's, as that of a Gateway is: by mutual TLS all is such a weft-proxy's, and
 * in clear what says so. The rest may be what the kernel has steered here; connections of pods that
 * are known it has counted.
 */
static void inbound(const struct router_plan *p, const struct route_ask *ask, bool known,
		    struct plan_traffic *out)
{
	const bool mutual = ask->tls && ask->tls->mutual;
	const bool here = is_of_node(p->version->snapshot, &p->client);

	out->host = h1(service_at(p));
	out->mutual = mutual;
	if (here)
		return;
	out->reporters = 0;
	out->uncounted = mutual || (ask->request ? came_by_proxy(ask->request) : known);
}

void router_traffic(const struct router_plan *p, const struct hs_source *row,
		    const struct route_ask *ask, struct plan_traffic *out)
{
	const struct http_snapshot *s = p->version->snapshot;
	const struct hs_cluster *c = p->decision.cluster;

	*out = (struct plan_traffic){ .source = row ? row->peer : 0,
				      .reporters = row && row->in_mesh ? TRAFFIC_SOURCE : 0 };
	if (p->gateway) {
		out->source = s->header->gateway_peer;
		out->reporters = TRAFFIC_SOURCE;
	}
	if (p->inbound)
		inbound(p, ask, row, out);
	else if (c && c->id)
		out->cluster = c->id;
	else
		out->host = h1(host_of(p));
}

/* ---- traces ---- */

static const struct hs_tracing *tracing_of(const struct http_snapshot *s, uint32_t row)
{
	return row < hs_count(s, HS_TRACINGS) ? hs_tracing(s, row) : NULL;
}

static uint32_t tracing_row(const struct router_plan *p, const struct hs_source *row)
{
	if (p->gateway)
		return p->version->snapshot->header->gateway_tracing;
	return row ? row->tracing : 0;
}

void router_tracing(const struct router_plan *p, const struct hs_source *row,
		    struct plan_tracing *out)
{
	const struct router_version *v = p->version;
	const struct hs_tracing *t = tracing_of(v->snapshot, tracing_row(p, row));

	*out = (struct plan_tracing){ .told = v->traced };
	if (!t)
		return;
	out->sampling = t->sampling;
	out->client = t->flags & HS_TRACING_CLIENT;
}

static bool is_traced(const struct http_snapshot *s, const struct hs_source *row)
{
	const struct hs_tracing *t = tracing_of(s, row->tracing);

	return t && t->flags & HS_TRACING_SERVER;
}

void router_tags(struct router *r, const struct plan *plan, const struct addr *endpoint,
		 void (*each)(void *arg, const struct route_tag *tag), void *arg)
{
	const struct router_plan *p = plan->data;
	const struct http_snapshot *s = p && p->version ? p->version->snapshot : NULL;
	const struct hs_tracing *t;
	const struct hs_source *row;

	(void)r;
	if (!s)
		return;
	row = http_source_at(s, endpoint ?: &p->client);
	t = tracing_of(s, endpoint ? row ? row->tracing : 0 : tracing_row(p, row));
	for (uint32_t i = 0; t && i < t->tags.count; i++) {
		const struct hs_tag *tag = hs_tag(s, t->tags.first + i);

		each(arg,
		     &(struct route_tag){ h1(hs_span(s, tag->name)), h1(hs_span(s, tag->header)),
					  h1(hs_span(s, tag->value)) });
	}
}

/* ---- endpoints ---- */

enum { KNOWN = 1u << 31, IN_MESH = 1u << 30, TRACED = 1u << 29 };
_Static_assert((unsigned)TRAFFIC_PEER_IDS_MAX <= TRACED, "ids of peers leave room for all three");

static uint32_t peer_at(const struct http_snapshot *s, const struct addr *addr)
{
	const struct hs_source *row = http_source_at(s, addr);

	if (!row)
		return KNOWN;
	return KNOWN | (row->in_mesh ? IN_MESH : 0) | (is_traced(s, row) ? TRACED : 0) | row->peer;
}

static void tell(uint32_t peer, struct target *out)
{
	out->peer = peer & ~(KNOWN | IN_MESH | TRACED);
	out->in_mesh = peer & IN_MESH;
	out->traced = peer & TRACED;
}

void router_target_peer(const struct router_version *v, const struct router_members *m, uint32_t at,
			struct target *out)
{
	if (!m->peers[at])
		m->peers[at] = peer_at(v->snapshot, &m->rows[at].endpoint.addr);
	tell(m->peers[at], out);
}

void router_address_peer(const struct router_version *v, struct target *out)
{
	tell(peer_at(v->snapshot, &out->addr), out);
}
