/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_RESERVE_BPF_H
#define WEFT_RESERVE_BPF_H
/*
 * Places of a cluster: taken before a connection is made and given back once (weft/policy.h).
 * Sockets, packets and weft-proxy share them.
 */
#include <linux/errno.h>

#include "tables.bpf.h"

enum { RESERVE_TRIES = 64 };

static __always_inline struct cluster_stat *cluster_stat(__u32 id)
{
	return bpf_map_lookup_elem(&clusters, &id);
}

static __always_inline struct endpoint_stat *endpoint_stat(__u32 id)
{
	return bpf_map_lookup_elem(&endpoints, &id);
}

static __always_inline struct cluster_limit *cluster_limit(__u32 id)
{
	return bpf_map_lookup_elem(&limits, &id);
}

/* Both counts of a limit as the one word that a reservation swaps. */
static __always_inline __u64 limit_word(const struct cluster_limit *l)
{
	return *(const volatile __u64 *)l;
}

static __always_inline void raise_peak(__u32 *peak, __u32 value)
{
	int i;

	for (i = 0; i < RESERVE_TRIES; i++) {
		__u32 old = *(volatile __u32 *)peak;

		if (value <= old || __sync_val_compare_and_swap(peak, old, value) == old)
			return;
	}
}

/* Takes one of `max` (0: unlimited) connections of a cluster. Never exceeds it, not even for a
 * moment. */
GLOBAL_FUNC enum reason reserve(struct cluster_limit *l, __u32 max)
{
	int i;

	if (!l)
		return REASON_GENERATION;
	for (i = 0; i < RESERVE_TRIES; i++) {
		struct cluster_limit next = {};
		__u64 word = limit_word(l), with;

		__builtin_memcpy(&next, &word, sizeof(word));
		if (max && next.steered + next.proxied >= max)
			return REASON_OVERFLOW;
		next.steered++;
		__builtin_memcpy(&with, &next, sizeof(with));
		if (__sync_val_compare_and_swap((__u64 *)l, word, with) == word) {
			raise_peak(&l->peak, next.steered + next.proxied);
			return REASON_NONE;
		}
	}
	return REASON_RESERVE_CONTENTION;
}

static __always_inline void unreserve(__u32 cluster)
{
	struct cluster_limit *l = cluster_limit(cluster);

	if (l)
		__sync_fetch_and_add(&l->steered, -1);
}

static __always_inline __u64 reservation(__u32 cluster, __u32 endpoint)
{
	return (__u64)cluster << 32 | endpoint;
}

/* Returns the place that `held`, taken from its holder by a swap, stands for. Bytes as sent to and
 * received from the endpoint. */
static __noinline void give_back(__u64 held, __u64 sent, __u64 received)
{
	struct cluster_stat *c = cluster_stat(held >> 32);
	struct endpoint_stat *e = endpoint_stat(held);

	unreserve(held >> 32);
	if (c) {
		__sync_fetch_and_add(&c->tx_bytes, sent);
		__sync_fetch_and_add(&c->rx_bytes, received);
	}
	if (e)
		__sync_fetch_and_add(&e->active, -1);
}

static __always_inline void count_connect_fail(__u32 cluster, __u32 endpoint)
{
	struct cluster_stat *c = cluster_stat(cluster);
	struct endpoint_stat *e = endpoint_stat(endpoint);

	if (c)
		__sync_fetch_and_add(&c->connect_fail, 1);
	if (e)
		__sync_fetch_and_add(&e->connect_fail, 1);
}

/* A connection that has its place. */
static __always_inline void count_steered(const struct verdict *v, struct cluster_stat *c)
{
	struct dest_key key = { .route = v->route, .cluster = v->cluster };
	struct endpoint_stat *e = endpoint_stat(v->endpoint);
	struct dest_stat *d = bpf_map_lookup_elem(&dests, &key);

	__sync_fetch_and_add(&c->cx_total, 1);
	if (d)
		__sync_fetch_and_add(&d->cx_total, 1);
	if (e) {
		__sync_fetch_and_add(&e->active, 1);
		__sync_fetch_and_add(&e->cx_total, 1);
	}
}

static __always_inline void remember_affinity(const struct question *q, const struct verdict *v)
{
	struct affinity_key key = {
		.client = q->client,
		.service = v->service,
		.cluster = v->cluster,
	};
	struct affinity value = { .seen = bpf_ktime_get_ns(), .endpoint = v->endpoint };

	if (v->affinity_s)
		bpf_map_update_elem(&affinity, &key, &value, BPF_ANY);
}

#endif
