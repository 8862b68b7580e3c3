// SPDX-License-Identifier: Apache-2.0
/*
 * Which endpoint a request goes to.
 */
#include <string.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "lib/route/network_policy.h"
#include "proxy/route/outlier.h"
#include "proxy/io/random.h"
#include "proxy/route/router_priv.h"

enum {
	TUNNEL_IDLE_MS = 3600 * 1000, /* of what no rule speaks of: Envoy's */
	REACHED = 200,		      /* the status that a connection counts as */
};

static bool is_v4(const struct addr *a)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(a->b, mapped, sizeof(mapped));
}

/* Some of a cluster's members. */
struct range {
	uint32_t first, count;
};

static struct range of_family(const struct router_members *m, bool v4)
{
	return v4 ? (struct range){ 0, m->v4 } : (struct range){ m->v4, m->count - m->v4 };
}

/* The endpoints that the client's address can talk to. */
static struct range reachable(const struct router_members *m, const struct addr *client)
{
	return of_family(m, is_v4(client));
}

struct choice {
	const struct hs_cluster *c;
	const struct router_members *m;
	struct cluster_state *cs;
	struct range range;
	uint64_t now;
	bool panic; /* too few are healthy: all are as good */
};

/* A pod's addresses of both families are two endpoints: shares are those of one family. */
static struct outliers outliers_of(const struct hs_cluster *c, const struct router_members *m,
				   struct cluster_state *cs, struct range family)
{
	return (struct outliers){ &c->outliers, cs, &m->outliers[family.first], family.count };
}

static bool healthy(const struct choice *h, uint32_t i)
{
	struct outliers o;

	if (h->panic || !h->c->outliers.given)
		return true;
	o = outliers_of(h->c, h->m, h->cs, h->range);
	return !outlier_ejected(&o, i, h->now);
}

/* The n-th healthy one; there are that many. */
static uint32_t nth_healthy(const struct choice *h, uint32_t n)
{
	uint32_t i = 0;

	for (; i < h->range.count; i++)
		if (healthy(h, i) && !n--)
			break;
	return i;
}

static uint32_t count_healthy(struct choice *h)
{
	uint32_t n = 0;

	if (!h->c->outliers.given)
		return h->range.count;
	for (uint32_t i = 0; i < h->range.count; i++)
		n += healthy(h, i);
	h->panic = 100ull * n < (uint64_t)h->c->outliers.min_health_percent * h->range.count;
	return h->panic ? h->range.count : n;
}

static uint32_t place(const struct choice *h, uint32_t count, uint32_t n)
{
	return count == h->range.count ? n : nth_healthy(h, n);
}

static uint32_t active(const struct choice *h, uint32_t i)
{
	return __atomic_load_n(&h->m->endpoints[h->range.first + i]->active, __ATOMIC_RELAXED);
}

/* A number below `below`; each worker draws its own. */
static uint32_t draw(uint32_t below)
{
	static _Thread_local struct random random;
	static _Thread_local bool begun;

	if (!begun)
		random_begin(&random);
	begun = true;
	return (uint32_t)((random_next(&random) >> 32) * below >> 32);
}

static uint32_t least_request(const struct choice *h, uint32_t count)
{
	uint32_t a = place(h, count, draw(count)), b = place(h, count, draw(count));

	return active(h, b) < active(h, a) ? b : a;
}

/* Rendezvous: the endpoint that goes best with the key; when one goes away, only its keys move. */
static uint32_t best_match(const struct choice *h, uint64_t key)
{
	uint64_t best = 0;
	uint32_t found = 0;

	for (uint32_t i = 0; i < h->range.count; i++) {
		const struct hs_endpoint *e = &h->m->rows[h->range.first + i];
		uint64_t score;

		if (!healthy(h, i))
			continue;
		score = router_mix(router_mix(key, &e->endpoint.addr, sizeof(e->endpoint.addr)),
				   &e->endpoint.port, sizeof(e->endpoint.port)) |
			1;
		if (score > best) {
			best = score;
			found = i;
		}
	}
	return found;
}

static bool warming(const struct choice *h)
{
	return h->c->warmup_ms && h->now < h->m->warm_at;
}

/* Of how much weight it is beside the others, none of which need be new. */
static double weight(const struct choice *h, uint32_t i)
{
	const struct endpoint_state *e = h->m->endpoints[h->range.first + i];
	uint64_t since = __atomic_load_n(&e->since, __ATOMIC_RELAXED);
	double w = router_warmth(h->c, h->now > since ? h->now - since : 0);

	return h->c->lb == LB_ROUND_ROBIN ? w : w / (active(h, i) + 1);
}

/* As long as any is new each gets what its weight is of the sum. */
static uint32_t by_weight(const struct choice *h)
{
	double sum = 0, point;
	uint32_t last = 0;

	for (uint32_t i = 0; i < h->range.count; i++)
		sum += healthy(h, i) ? weight(h, i) : 0;
	point = sum * draw(UINT32_MAX) / UINT32_MAX;
	for (uint32_t i = 0; i < h->range.count && point >= 0; i++)
		if (healthy(h, i)) {
			point -= weight(h, i);
			last = i;
		}
	return last;
}

static uint32_t choose(const struct choice *h, const struct router_plan *p, uint32_t count)
{
	if (p->hashed)
		return best_match(h, p->hash);
	if (warming(h))
		return by_weight(h);
	switch (h->c->hash ? LB_RANDOM : h->c->lb) {
	case LB_SOURCE_IP:
		return best_match(h, router_mix(ROUTER_HASH, p->client.b, sizeof(p->client.b)));
	case LB_ROUND_ROBIN:
		return place(h, count, __atomic_fetch_add(&h->cs->rr, 1, __ATOMIC_RELAXED) % count);
	case LB_RANDOM:
		return place(h, count, draw(count));
	default:
		return least_request(h, count);
	}
}

static bool tried(const struct router_plan *p, uint32_t endpoint)
{
	for (uint32_t i = 0; i < p->tried_count && i < ROUTER_TRIED; i++)
		if (p->tried[i] == endpoint)
			return true;
	return false;
}

/* Another try prefers an endpoint that has not been tried, unless the rule says otherwise. */
static uint32_t choose_another(const struct choice *h, const struct router_plan *p, uint32_t count)
{
	uint32_t first = choose(h, p, count);

	if (!p->tried_count || p->decision.route->retries.same_too)
		return first;
	for (uint32_t n = 0; n < h->range.count; n++) {
		uint32_t i = (first + n) % h->range.count;

		if (healthy(h, i) && !tried(p, h->m->endpoints[h->range.first + i]->id))
			return i;
	}
	return first;
}

/* Whether NetworkPolicies close the endpoint to the client. */
static bool is_closed(const struct router_plan *p, const struct hs_endpoint *e)
{
	return (e->ingress || p->egress) &&
	       !http_policies_let(p->version->snapshot, e->ingress, p->egress, &p->client,
				  &e->endpoint.addr, e->endpoint.port);
}

/* An address of which no more is known. */
static bool is_address_closed(const struct router_plan *p)
{
	const struct http_snapshot *s = p->version->snapshot;
	__u32 ingress = http_ingress_at(s, &p->called);

	return (ingress || p->egress) &&
	       !http_policies_let(s, ingress, p->egress, &p->client, &p->called, p->called_port);
}

/* A service whose endpoint is not for weft to choose: it may be any of them. */
static bool is_any_closed(const struct router_plan *p, const struct hs_cluster *c)
{
	const struct router_members *m = router_members(p->version, c);
	struct range range = reachable(m, &p->client);

	for (uint32_t i = 0; i < range.count; i++)
		if (is_closed(p, &m->rows[range.first + i]))
			return true;
	return !range.count && is_address_closed(p);
}

static enum pick called_address(const struct plan *plan, struct target *out)
{
	const struct router_plan *p = plan->data;
	const struct hs_cluster *c = p->decision.cluster;

	out->addr = p->called;
	out->port = p->called_port;
	out->stat = plan->cluster;
	out->tunnel_idle_ms = c ? c->idle_timeout_ms : TUNNEL_IDLE_MS;
	out->closed = c ? is_any_closed(p, c) : is_address_closed(p);
	router_address_peer(p->version, out);
	if (c && router_may_speak_tls(p->version, c))
		router_target_tls(p, c, out);
	return PICK_OK;
}

static void take(struct router_plan *p, const struct router_members *m, uint32_t at)
{
	p->endpoint = m->endpoints[at];
	p->endpoint_at = at;
	p->tried[p->tried_count++ % ROUTER_TRIED] = p->endpoint->id;
	__atomic_add_fetch(&p->endpoint->active, 1, __ATOMIC_RELAXED);
}

static struct cluster_state *state_of(const struct router_version *v, const struct hs_cluster *c)
{
	return v->clusters[c - hs_cluster(v->snapshot, 0)];
}

static void fill(const struct choice *h, const struct router_plan *p, uint32_t at,
		 struct target *out)
{
	const struct hs_endpoint *e = &h->m->rows[at];
	const struct hs_cluster *c = h->c;

	out->closed = is_closed(p, e);
	out->addr = e->endpoint.addr;
	out->port = e->endpoint.port;
	out->connect_timeout_ms = c->connect_timeout_ms;
	out->idle_timeout_ms = c->http_idle_timeout_ms;
	out->max_requests_per_connection = c->max_requests_per_connection;
	out->max_duration_ms = c->max_duration_ms;
	out->tunnel_idle_ms = c->idle_timeout_ms;
	out->keepalive = (struct keepalive){ .given = c->keepalive,
					     .time_s = c->keepalive_time_s,
					     .interval_s = c->keepalive_interval_s,
					     .probes = c->keepalive_probes };
	out->limit = &h->cs->limit;
	out->stat = h->cs->stat;
	out->endpoint = e->endpoint.id;
	out->cluster = c->id;
	router_target_peer(p->version, h->m, at, out);
	out->max = (struct limit_max){ .connections = c->max_connections,
				       .pending = c->max_pending,
				       .requests = c->max_requests,
				       .retries = c->max_retries,
				       .retry_budget = c->retry_budget,
				       .retry_share = c->retry_budget_share,
				       .retry_least = c->retry_budget_least };
	if (router_may_speak_tls(p->version, c))
		router_target_tls(p, c, out);
}

enum pick router_pick(struct router *r, struct plan *plan, unsigned n, struct target *out)
{
	struct router_plan *p = plan->data;
	const struct hs_cluster *c = p->decision.cluster;
	struct choice h = { .c = c, .now = router_now() };
	uint32_t count, i;

	(void)r;
	(void)n;
	*out = (struct target){ 0 };
	if (!c || c->lb == LB_PASSTHROUGH)
		return called_address(plan, out);
	h.m = router_members(p->version, c);
	h.cs = state_of(p->version, c);
	h.range = reachable(h.m, &p->client);
	count = count_healthy(&h);
	if (!count)
		return PICK_NONE;
	i = choose_another(&h, p, count);
	take(p, h.m, h.range.first + i);
	fill(&h, p, h.range.first + i, out);
	return PICK_OK;
}

/* A copy says nothing about the endpoint, and takes no part in its limits on requests. */
enum pick router_pick_mirror(struct router *r, struct plan *plan, size_t i, struct target *out)
{
	const struct router_plan *p = plan->data;
	const struct http_snapshot *s = p->version->snapshot;
	const struct hs_action *a = p->decision.route;
	const struct hs_cluster *c = hs_cluster(s, hs_mirror(s, a->mirrors.first + i)->cluster);
	struct choice h = { .c = c, .now = router_now() };
	uint32_t count, at;

	(void)r;
	*out = (struct target){ 0 };
	if (!http_mirrored(s, a, i, p->mirror_turn))
		return PICK_NONE;
	h.m = router_members(p->version, c);
	h.cs = state_of(p->version, c);
	h.range = reachable(h.m, &p->client);
	count = count_healthy(&h);
	if (!count)
		return PICK_NONE;
	at = h.range.first + place(&h, count, draw(count));
	fill(&h, p, at, out);
	if (!out->closed)
		return PICK_OK;
	stat_inc(&out->stat->network_policy);
	target_done(out);
	return PICK_NONE;
}

/* Where the endpoint is now: m->count, if it has left the cluster. */
static uint32_t find_endpoint(const struct router_plan *p, const struct router_members *m)
{
	uint32_t i = 0;

	if (p->endpoint_at < m->count && m->endpoints[p->endpoint_at] == p->endpoint)
		return p->endpoint_at;
	while (i < m->count && m->endpoints[i] != p->endpoint)
		i++;
	return i;
}

static void report(const struct router_plan *p, const struct router_version *v,
		   const struct hs_cluster *c, enum outcome outcome, unsigned status)
{
	const struct router_members *m = router_members(v, c);
	uint32_t at = c->outliers.given ? find_endpoint(p, m) : m->count;
	struct range family = of_family(m, at < m->v4);
	struct outliers o;

	if (at == m->count)
		return;
	o = outliers_of(c, m, state_of(v, c), family);
	outlier_result(&o, at - family.first, outcome, status, router_now());
}

/* The cluster by other rules, if they have it. */
static const struct hs_cluster *cluster_of(const struct router_version *v, uint32_t id)
{
	for (uint32_t i = 0; i < hs_count(v->snapshot, HS_CLUSTERS); i++)
		if (hs_cluster(v->snapshot, i)->id == id)
			return hs_cluster(v->snapshot, i);
	return NULL;
}

/* By the rules of now: those of then are gone. */
static void report_settled(const struct router_plan *p, const struct router_version *now,
			   enum outcome outcome, unsigned status)
{
	const struct hs_cluster *c = p->cluster ? cluster_of(now, p->cluster) : NULL;

	if (c)
		report(p, now, c, outcome, status);
	shared_state_let_go(now->state, p->endpoint);
}

void router_done(struct router *r, struct plan *plan, struct target *t, enum outcome outcome,
		 unsigned status)
{
	struct router_plan *p = plan->data;

	target_done(t);
	if (!p->endpoint)
		return;
	__atomic_sub_fetch(&p->endpoint->active, 1, __ATOMIC_RELAXED);
	if (p->version)
		report(p, p->version, p->decision.cluster, outcome, status);
	else
		report_settled(p, router_current(r), outcome, status);
	p->endpoint = NULL;
}

/* As Envoy's TCP proxy has it: a connection is a success, what comes after it says nothing. */
void router_reached(struct router *r, struct plan *plan)
{
	const struct router_plan *p = plan->data;

	(void)r;
	if (p->endpoint)
		report(p, p->version, p->decision.cluster, OUTCOME_STATUS, REACHED);
}

/* What is in the plan of the rules' bytes. */
static void forget_rules(struct plan *plan)
{
	plan->authority = plan->path = plan->scheme = plan->mirror_authority =
		(struct h1_span){ 0 };
	plan->request = plan->response = (struct plan_ops){ 0 };
	plan->retry_statuses = NULL;
	plan->retry_status_count = plan->mirror_count = 0;
	plan->retries = 0;
}

/* The host is the rules' bytes as well, and is asked for at the end: `shadow` is free by now. */
static void keep_host(struct router_plan *p, struct h1_span *host)
{
	if (host->n > sizeof(p->shadow))
		host->n = sizeof(p->shadow);
	if (host->n)
		memcpy(p->shadow, host->p, host->n);
	host->p = p->shadow;
}

void router_settle(struct router *r, struct plan *plan)
{
	struct router_plan *p = plan->data;

	if (!p || !p->version || p->version == router_current(r))
		return;
	if (p->endpoint) {
		shared_state_hold(p->endpoint);
		p->cluster = p->decision.cluster->outliers.given ? p->decision.cluster->id : 0;
	}
	forget_rules(plan);
	keep_host(p, &plan->traffic.host);
	p->decision = (struct http_decision){ 0 };
	router_version_unref(TAKE_PTR(p->version));
}
