/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_TABLES_BPF_H
#define WEFT_TABLES_BPF_H
/*
 * What decide() reads, from the maps.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "addr.bpf.h"
#include "maps.h"
#include "weft/verdict.h"

/* A function that the verifier looks at once, by itself, however many paths lead to it: to it, a
 * pointer may be NULL (kernel: global functions, since 5.6). */
#define GLOBAL_FUNC __attribute__((noinline))

/* A generation's number: what decide() knows the tables by. */
typedef __u32 tables_ref;

static __always_inline tables_ref tables_of(const struct question *q)
{
	return q->generation;
}

static __always_inline void *table_slot(void *outer, tables_ref generation)
{
	__u32 slot = generation % GENERATION_SLOTS;

	return bpf_map_lookup_elem(outer, &slot);
}

static __always_inline void *table_lookup(void *outer, tables_ref generation, const void *key)
{
	void *inner = table_slot(outer, generation);

	return inner ? bpf_map_lookup_elem(inner, key) : NULL;
}

static __always_inline const struct service *table_service(tables_ref generation,
							   const struct service_key *key)
{
	const struct service *s = table_lookup(&gen_services, generation, key);

	if (s && (s->flags & SERVICE_BOUND) && !bpf_map_lookup_elem(&node_addrs, &key->addr))
		return NULL;
	return s;
}

static __always_inline const struct rule *table_rule(tables_ref generation, __u32 index)
{
	return table_lookup(&gen_rules, generation, &index);
}

static __always_inline const struct admit *table_admit(tables_ref generation, __u32 index)
{
	return table_lookup(&gen_admits, generation, &index);
}

static __always_inline const struct route *table_route(tables_ref generation, __u32 index)
{
	return table_lookup(&gen_routes, generation, &index);
}

static __always_inline const struct dest *table_dest(tables_ref generation, __u32 index)
{
	return table_lookup(&gen_dests, generation, &index);
}

static __always_inline const struct cluster *table_cluster(tables_ref generation, __u32 index)
{
	return table_lookup(&gen_clusters, generation, &index);
}

static __always_inline const struct endpoint *table_endpoint(tables_ref generation, __u32 index)
{
	return table_lookup(&gen_endpoints, generation, &index);
}

/* It may be another one from one reading to the next. */
static __always_inline struct endpoint_range cluster_range(const struct cluster *c)
{
	__u64 word = *(const volatile __u64 *)&c->ep_first;
	struct endpoint_range range;

	__builtin_memcpy(&range, &word, sizeof(range));
	return range;
}

static __always_inline const struct source *table_source(tables_ref generation,
							 const struct addr *addr)
{
	return table_lookup(&gen_sources, generation, addr);
}

/* Pods and the node are known by their addresses; the loopback is the caller's own. */
static __always_inline int may_be_anywhere(tables_ref generation, const struct addr *addr,
					   __u16 port)
{
	__u32 word = port / 64;
	__u64 *open = bpf_map_lookup_elem(&anywhere, &word);

	return open && (*open >> port % 64 & 1) && !addr_is_on_link(addr) &&
	       !bpf_map_lookup_elem(&node_addrs, addr) && !table_source(generation, addr);
}

static __always_inline int table_selected(tables_ref generation, const struct selected_key *key)
{
	return table_lookup(&gen_selected, generation, key) != NULL;
}

static __always_inline __u64 take_turn(__u64 *turn, int dry)
{
	return dry ? *turn : __sync_fetch_and_add(turn, 1);
}

static __always_inline __u64 route_turn(tables_ref t, __u32 id, int dry)
{
	struct route_stat *s = bpf_map_lookup_elem(&routes, &id);

	return s ? take_turn(&s->picks, dry) : 0;
}

static __always_inline __u64 cluster_turn(tables_ref t, __u32 id, int dry)
{
	struct cluster_stat *s = bpf_map_lookup_elem(&clusters, &id);

	return s ? take_turn(&s->rr, dry) : 0;
}

static __always_inline __u64 endpoint_active(tables_ref t, __u32 id)
{
	struct endpoint_stat *s = bpf_map_lookup_elem(&endpoints, &id);

	return s ? s->active : 0;
}

static __always_inline __u32 random_u32(void)
{
	return bpf_get_prandom_u32();
}

static __always_inline __u32 affinity_endpoint(const struct affinity_key *key, __u32 timeout_s)
{
	struct affinity *a = bpf_map_lookup_elem(&affinity, key);

	if (!a || bpf_ktime_get_ns() - a->seen > timeout_s * 1000000000ull)
		return 0;
	return a->endpoint;
}

static __always_inline void count_reason(__u32 reason)
{
	struct reason_stat *s = bpf_map_lookup_elem(&reasons, &reason);

	if (s)
		__sync_fetch_and_add(&s->count, 1);
}

#endif
