/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIMIT_H
#define WEFT_LIMIT_H
/*
 * What a cluster may have at a time: connections in common with the kernel, all else in common with
 * the other workers.
 */
#include <stdbool.h>
#include <stdint.h>

#include <linux/types.h>

#include "weft/policy.h"

struct limit {
	struct cluster_limit *connections; /* open or being opened */
	uint32_t admitted;		   /* requests that have one, or wait for one */
	uint32_t pending;		   /* those that wait */
	uint32_t requests;		   /* those that have one */
	uint32_t retries;		   /* requests that are being tried again */
};

/* 0: as many as you like. */
struct limit_most {
	uint32_t connections, pending, requests, retries;
	/* Instead of `retries`: a share of the requests, of a million, but always so many. */
	bool retry_budget;
	uint32_t retry_share, retry_least;
};

/* One more, unless there are `most` already. */
static inline bool limit_take(uint32_t *count, uint32_t most)
{
	uint32_t n = __atomic_load_n(count, __ATOMIC_SEQ_CST);

	do
		if (most && n >= most)
			return false;
	while (!__atomic_compare_exchange_n(count, &n, n + 1, true, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST));
	return true;
}

static inline void limit_give(uint32_t *count)
{
	__atomic_sub_fetch(count, 1, __ATOMIC_SEQ_CST);
}

static inline bool limit_wanted(const struct limit *l)
{
	return l && __atomic_load_n(&l->pending, __ATOMIC_SEQ_CST) > 0;
}

/* A connection. */
bool limit_connect(struct limit *l, uint32_t most);
void limit_disconnect(struct limit *l);

/* A request that will have a connection or wait for one: never more than may do either. */
bool limit_admit(struct limit *l, const struct limit_most *most);

/* A retry of one of them. */
bool limit_retry(struct limit *l, const struct limit_most *most);

/* The rows of `limits`, CLUSTER_IDS_MAX of them: those of the map, or with fd -1 the process's own.
 * 0 or -errno. */
int limits_map(int fd, struct cluster_limit **out);
void limits_unmap(struct cluster_limit *rows); /* accepts NULL */

#endif
