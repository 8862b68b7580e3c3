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
CHECKED_ONCE enum reason reserve(struct cluster_limit *l, __u32 max)
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

#endif
