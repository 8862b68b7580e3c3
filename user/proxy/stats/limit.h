/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_STATS_LIMIT_H
#define WEFT_PROXY_STATS_LIMIT_H
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
	uint32_t *held;			   /* those of them that are this process's */
	uint32_t admitted;		   /* requests that have one, or wait for one */
	uint32_t pending;		   /* those that wait */
	uint32_t requests;		   /* those that have one */
	uint32_t retries;		   /* requests that are being tried again */
	uint64_t turn;			   /* the waiter the next free connection is for; private */
	uint64_t turn_since;		   /* ms: when that waiter began to wait */
};

/* 0: as many as you like. */
struct limit_max {
	uint32_t connections, pending, requests, retries;
	/* Instead of `retries`: a share of the requests, of a million, but always so many. */
	bool retry_budget;
	uint32_t retry_share, retry_least;
};

/* One more, unless there are `max` already. */
static inline bool limit_take(uint32_t *count, uint32_t max)
{
	uint32_t n = __atomic_load_n(count, __ATOMIC_SEQ_CST);

	do
		if (max && n >= max)
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

/* A connection. `held` is behind: what a process that is killed had is never taken for more than it
 * was. */
bool limit_connect(struct limit *l, uint32_t max);
void limit_disconnect(struct limit *l);

/*
 * A worker serves its own waiters first, since it has the connections. A waiter of another worker
 * that has waited much longer asks for the next connection that becomes free; one waiter at a time.
 * `waiter` identifies it and is never followed (its lowest two bits are 0). `since`: ms.
 */
/* Asks, unless another waiter has. `since`: when this waiter began to wait. */
void limit_ask(struct limit *l, const void *waiter, uint64_t since);
/* Whether a waiter has asked that comes before the first one here, which waits since `since`. */
bool limit_asked_before(const struct limit *l, uint64_t since);
/* Hands the place of a connection that is about to be closed to the waiter that has asked: it goes
 * on counting. False if none has asked, or the first one here comes before it. */
bool limit_pass_on(struct limit *l, uint64_t since);
/* Takes the place that was handed to the waiter. False if none was. */
bool limit_passed(struct limit *l, const void *waiter);
/* Cancels the waiter. True if a place was already handed to it: the caller must release it. */
bool limit_withdraw(struct limit *l, const void *waiter);

/* A request that will have a connection or wait for one: never more than may do either. */
bool limit_admit(struct limit *l, const struct limit_max *max);

/* A retry of one of them. */
bool limit_retry(struct limit *l, const struct limit_max *max);

/* The rows of `limits`, CLUSTER_IDS_MAX of them: those of the map, or with fd -1 the process's own.
 * 0 or -errno. */
int limits_map(int fd, struct cluster_limit **out);
void limits_unmap(struct cluster_limit *rows); /* accepts NULL */
/* struct proxy_held (proxy_orders.h) in the file, or with fd -1 in memory. Likewise. */
int held_map(int fd, uint32_t **out);
void held_unmap(uint32_t *held); /* accepts NULL */

#endif
