/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef WEFT_DECIDE_BPF_H
#define WEFT_DECIDE_BPF_H
/* clang-format off */
/*
 * The one decision function: who calls what -> pass, steer, refuse or drop.
 *
 * It reads the tables of one generation (weft/service.h) through functions that the includer has
 * declared: over maps in BPF (tables.bpf.h), over arrays in userspace (decide_user.c). Each may
 * answer NULL. A `tables_ref` tells them which tables: in BPF the generation's number, in userspace
 * a pointer.
 *
 *	typedef ... tables_ref;
 *	tables_ref tables_of(const struct question *q);
 *
 *	const struct service *table_service(tables_ref t, const struct service_key *key);
 *	const struct rule *table_rule(tables_ref t, __u32 index);
 *	const struct admit *table_admit(tables_ref t, __u32 index);
 *	const struct route *table_route(tables_ref t, __u32 index);
 *	const struct dest *table_dest(tables_ref t, __u32 index);
 *	const struct cluster *table_cluster(tables_ref t, __u32 index);
 *	const struct endpoint *table_endpoint(tables_ref t, __u32 index);
 *	struct endpoint_range cluster_range(const struct cluster *c);
 *		called once for each decision: ep_first and ep_count are not read otherwise
 *	int may_be_anywhere(tables_ref t, const struct addr *addr, __u16 port);
 *		whether SCOPE_ANYWHERE is asked for an address that has no entry of its own
 *	const struct source *table_source(tables_ref t, const struct addr *addr);
 *	int table_selected(tables_ref t, const struct selected_key *key);
 *
 * What changes from call to call:
 *
 *	__u64 route_turn(tables_ref t, __u32 id, int dry);
 *		the route's counter before this pick; taken unless dry
 *	__u64 cluster_turn(tables_ref t, __u32 id, int dry);
 *		the same for ROUND_ROBIN
 *	__u64 endpoint_active(tables_ref t, __u32 id);
 *	__u32 random_u32(void);
 *	__u32 affinity_endpoint(const struct affinity_key *key, __u32 timeout_s);
 *		0: none
 *	long bpf_loop(__u32 n, void *callback, void *ctx, __u64 flags);
 *		callback(index, ctx), 1 ends it
 */
/* clang-format on */
#include "weft/conn.h"
#include "weft/policy.h"
#include "weft/service.h"
#include "weft/verdict.h"
#include "weft/weyl.h"

struct rule_search {
	const struct question *q;
	struct source source;
	__u32 first; /* index of the service's first rule */
	__u32 found; /* index of the rule that holds */
	__u32 route;
	/* Rules that are passed over. No constant at first: until 6.7 the verifier follows a
	 * callback only once, and would remove what looks at it. */
	__u32 skip;
	__u8 action;
	__u8 known; /* source has been looked up */
	__u8 hit;
};

static __always_inline int addr_is_within(const struct addr *a, const struct addr *net,
					  const struct addr *mask)
{
	__u64 x[2], y[2], m[2];

	__builtin_memcpy(x, a, sizeof(x));
	__builtin_memcpy(y, net, sizeof(y));
	__builtin_memcpy(m, mask, sizeof(m));
	return !((x[0] ^ y[0]) & m[0]) && !((x[1] ^ y[1]) & m[1]);
}

/* How many of the next rules are not for the address called. */
static __always_inline __u32 rules_to_skip(const struct rule_search *s, const struct rule *within)
{
	const struct admit *range = table_admit(tables_of(s->q), within->route);

	return range && addr_is_within(&s->q->dst, &range->from, &range->mask) ? 0
									       : within->selector;
}

/* Sets s->source; a caller that is no known pod stays in namespace 0 with workload 0, which nothing
 * selects. */
static __always_inline void rule_search_source(struct rule_search *s)
{
	const struct source *source;
	struct addr addr;

	if (s->known)
		return;
	s->known = 1;
	addr = s->q->source; /* 6.1: a key is on the stack, or is a map's */
	source = table_source(tables_of(s->q), &addr);
	if (source)
		s->source = *source;
}

static long try_rule(__u32 i, void *ctx)
{
	struct rule_search *s = ctx;
	const struct rule *rule = table_rule(tables_of(s->q), s->first + i);

	if (!rule)
		return 1;
	if (s->skip) {
		s->skip--;
		return 0;
	}
	if (rule->action == RULE_WITHIN) {
		s->skip = rules_to_skip(s, rule);
		return 0;
	}
	if (rule->ns || rule->selector)
		rule_search_source(s);
	if (rule->ns && rule->ns != s->source.ns)
		return 0;
	if (rule->selector) {
		struct selected_key key = { .workload = s->source.workload,
					    .selector = rule->selector };

		if (!table_selected(tables_of(s->q), &key))
			return 0;
	}
	s->found = s->first + i;
	s->route = rule->route;
	s->action = rule->action;
	s->hit = 1;
	return 1;
}

struct admission {
	const struct question *q;
	__u32 first; /* index of the service's first rule */
	__u8 hit;
};

static long try_admission(__u32 i, void *ctx)
{
	struct admission *s = ctx;
	const struct rule *rule = table_rule(tables_of(s->q), s->first + i);
	const struct admit *admit = rule ? table_admit(tables_of(s->q), rule->route) : NULL;

	if (!admit)
		return 1;
	if (!addr_is_within(&s->q->client, &admit->from, &admit->mask))
		return 0;
	s->hit = 1;
	return 1;
}

static __always_inline __u32 rules_bound(__u32 n)
{
	return n < SERVICE_MAX_RULES ? n : SERVICE_MAX_RULES;
}

/* Whether the service hears the caller at all. */
static __always_inline int is_admitted(const struct question *q, const struct service *service)
{
	struct admission s = { .q = q, .first = service->rule_first };

	if (!service->admit_count)
		return 1;
	bpf_loop(rules_bound(service->admit_count), try_admission, &s, 0);
	return s.hit;
}

struct dest_search {
	tables_ref tables;
	__u32 first;
	__u32 point;
	__u32 cluster; /* index, or 0xffffffff */
};

static long try_dest(__u32 i, void *ctx)
{
	struct dest_search *s = ctx;
	const struct dest *dest = table_dest(s->tables, s->first + i);

	if (!dest)
		return 1;
	if (s->point >= dest->end)
		return 0;
	s->cluster = dest->cluster;
	return 1;
}

/* The route's next destination, as an index into gen_clusters. */
static __always_inline __u32 pick_cluster(tables_ref t, const struct route *route, int dry)
{
	struct dest_search s = {
		.tables = t,
		.first = route->dest_first,
		.point = weyl_point(route_turn(t, route->id, dry), route->total),
		.cluster = ~0u,
	};

	bpf_loop(route->dest_count < ROUTE_MAX_DESTS ? route->dest_count : ROUTE_MAX_DESTS,
		 try_dest, &s, 0);
	return s.cluster;
}

/* A mix of 64 bits in which every input bit reaches every output bit (splitmix64's finaliser). */
static __always_inline __u64 mix64(__u64 x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static __always_inline __u64 addr_hash(const struct addr *a)
{
	__u64 hi, lo;

	__builtin_memcpy(&hi, a->b, 8);
	__builtin_memcpy(&lo, a->b + 8, 8);
	return mix64(mix64(hi) ^ lo);
}

struct endpoint_search {
	tables_ref tables;
	__u32 first;
	__u32 wanted; /* endpoint id, for affinity */
	__u32 best;   /* index within the cluster */
	__u64 hash;   /* of the client, for LB_SOURCE_IP */
	__u64 score;
	__u32 found;
};

/* Rendezvous hashing: the endpoint with the highest score wins, so that one that leaves moves only
 * its own clients. No flag for "the first": until 6.7 the verifier follows a callback only once,
 * takes such a flag for the constant that it is then, and removes the comparison. */
static long score_endpoint(__u32 i, void *ctx)
{
	struct endpoint_search *s = ctx;
	const struct endpoint *e = table_endpoint(s->tables, s->first + i);
	__u64 score;

	if (!e)
		return 1;
	score = mix64(s->hash ^ mix64(addr_hash(&e->addr) + e->port));
	if (score > s->score) {
		s->score = score;
		s->best = i;
	}
	return 0;
}

static long find_endpoint(__u32 i, void *ctx)
{
	struct endpoint_search *s = ctx;
	const struct endpoint *e = table_endpoint(s->tables, s->first + i);

	if (!e)
		return 1;
	if (e->id != s->wanted)
		return 0;
	s->found = 1;
	s->best = i;
	return 1;
}

static __always_inline __u64 active_at(tables_ref t, __u32 index)
{
	const struct endpoint *e = table_endpoint(t, index);

	return e ? endpoint_active(t, e->id) : ~0ull;
}

static __always_inline __u32 pick_least_request(tables_ref t, struct endpoint_range range)
{
	__u32 a, b;

	if (range.count < 2)
		return 0;
	a = random_u32() % range.count;
	b = random_u32() % (range.count - 1);
	if (b >= a)
		b++;
	return active_at(t, range.first + b) < active_at(t, range.first + a) ? b : a;
}

static __always_inline __u32 loop_bound(__u32 n)
{
	return n < CLUSTER_MAX_ENDPOINTS ? n : CLUSTER_MAX_ENDPOINTS;
}

/* Index within the cluster's range, which has at least one endpoint. */
static __always_inline __u32 pick_endpoint(const struct question *q, const struct service *service,
					   const struct cluster *c, struct endpoint_range range)
{
	struct endpoint_search s = { .tables = tables_of(q), .first = range.first };

	if (service->affinity_s) {
		struct affinity_key key = { .client = q->client,
					    .service = service->id,
					    .cluster = c->id };

		s.wanted = affinity_endpoint(&key, service->affinity_s);
		if (s.wanted)
			bpf_loop(loop_bound(range.count), find_endpoint, &s, 0);
		if (s.found)
			return s.best;
	}
	switch (c->lb) {
	case LB_ROUND_ROBIN:
		return cluster_turn(tables_of(q), c->id, q->dry) % range.count;
	case LB_RANDOM:
		return random_u32() % range.count;
	case LB_SOURCE_IP:
		s.hash = addr_hash(&q->client);
		bpf_loop(loop_bound(range.count), score_endpoint, &s, 0);
		return s.best;
	default:
		return pick_least_request(tables_of(q), range);
	}
}

/* :: of the address's family. */
static __always_inline void addr_to_any(struct addr *a)
{
	__u64 high;
	__u32 low[2];

	__builtin_memcpy(&high, a->b, 8);
	__builtin_memcpy(low, a->b + 8, 8);
	if (high || a->b[8] || a->b[9] || a->b[10] != 0xff || a->b[11] != 0xff)
		high = low[0] = 0;
	low[1] = 0;
	__builtin_memcpy(a->b, &high, 8);
	__builtin_memcpy(a->b + 8, low, 8);
}

/* The entry for the client's namespace where there is one, else that for all. */
static __always_inline const struct service *find_service(const struct question *q,
							  struct rule_search *s)
{
	struct service_key key = { .addr = q->dst, .port = q->port, .scope = q->scope };
	const struct service *all = table_service(tables_of(q), &key), *own;

	if (!all && q->scope == SCOPE_MESH && may_be_anywhere(tables_of(q), &key.addr, q->port)) {
		addr_to_any(&key.addr);
		key.scope = SCOPE_ANYWHERE;
		all = table_service(tables_of(q), &key);
	}
	if (!all || !(all->flags & SERVICE_PER_NAMESPACE))
		return all;
	rule_search_source(s);
	if (!s->source.ns)
		return all;
	key.ns = s->source.ns;
	own = table_service(tables_of(q), &key);
	return own ? own : all;
}

static __always_inline int verdict_is(struct verdict *v, enum verdict_action action,
				      enum reason reason)
{
	v->action = action;
	v->reason = reason;
	return action;
}

/* Fills in the chosen cluster's endpoint and limits. */
static __always_inline int decide_cluster(const struct question *q, const struct service *service,
					  __u32 index, struct verdict *v)
{
	const struct cluster *c = table_cluster(tables_of(q), index);
	const struct endpoint *e;
	struct endpoint_range range;

	if (!c)
		return verdict_is(v, VERDICT_PASS, REASON_GENERATION);
	v->cluster = c->id;
	v->cluster_index = index;
	v->max_connections = c->max_connections;
	v->connect_timeout_ms = c->connect_timeout_ms;
	v->idle_timeout_ms = c->idle_timeout_ms;
	v->max_duration_ms = c->max_duration_ms;
	v->keepalive = c->keepalive;
	v->keepalive_time_s = c->keepalive_time_s;
	v->keepalive_interval_s = c->keepalive_interval_s;
	v->keepalive_probes = c->keepalive_probes;
	if (c->lb == LB_PASSTHROUGH)
		return verdict_is(v, VERDICT_PASS, REASON_NONE);
	range = cluster_range(c);
	if (!range.count)
		return service->flags & SERVICE_LOCAL
			       ? verdict_is(v, VERDICT_DROP, REASON_NO_LOCAL)
			       : verdict_is(v, VERDICT_REFUSE, REASON_NO_ENDPOINT);
	e = table_endpoint(tables_of(q), range.first + pick_endpoint(q, service, c, range));
	if (!e)
		return verdict_is(v, VERDICT_PASS, REASON_GENERATION);
	v->endpoint = e->id;
	v->addr = e->addr;
	v->port = e->port;
	return verdict_is(v, VERDICT_STEER, REASON_NONE);
}

/*
 * Answers `q` in `v`, which the caller has zeroed, and returns v->action. Takes the route's and the
 * cluster's next turn unless q->dry; touches nothing else.
 */
static __always_inline int decide(const struct question *q, struct verdict *v)
{
	struct rule_search s = { .q = q };
	const struct service *service;
	const struct route *route;

	v->generation = q->generation;
	service = find_service(q, &s);
	if (!service)
		return verdict_is(v, VERDICT_PASS, REASON_NONE);
	v->service = service->id;
	v->affinity_s = service->affinity_s;
	v->rule = service->rule_first;
	if (!is_admitted(q, service))
		return verdict_is(v, VERDICT_DROP, REASON_SOURCE_RANGE);
	s.first = service->rule_first + service->admit_count;
	s.skip = service->flags & SERVICE_NEVER;
	bpf_loop(rules_bound(service->rule_count - service->admit_count), try_rule, &s, 0);
	if (!s.hit)
		return verdict_is(v, VERDICT_PASS, REASON_GENERATION);
	v->rule = s.found;
	if (s.action == RULE_PASS)
		return verdict_is(v, VERDICT_PASS, REASON_NONE);
	if (s.action == RULE_PROXY)
		return verdict_is(v, VERDICT_PROXY, REASON_NONE);
	if (s.action == RULE_REFUSE)
		return verdict_is(v, VERDICT_REFUSE, REASON_NO_CLUSTER);
	if (s.action == RULE_UNREGISTERED)
		return verdict_is(v, VERDICT_REFUSE, REASON_UNREGISTERED);
	route = table_route(tables_of(q), s.route);
	if (!route)
		return verdict_is(v, VERDICT_PASS, REASON_GENERATION);
	v->route = route->id;
	return decide_cluster(q, service, pick_cluster(tables_of(q), route, q->dry), v);
}

#endif
