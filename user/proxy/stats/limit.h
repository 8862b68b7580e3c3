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
	uint32_t admitted;		   /* requests that have one, or wait for one */
	uint32_t pending;		   /* those that wait */
	uint32_t requests;		   /* those that have one */
	uint32_t retries;		   /* requests that are being tried again */
	uint64_t turn;			   /* whose the next free connection is; private */
	uint64_t turn_since;		   /* ms: he has been waiting */
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

/* A connection. */
bool limit_connect(struct limit *l, uint32_t max);
void limit_disconnect(struct limit *l);

/*
 * A worker serves those who wait there first: it has the connections. Who has waited much longer
 * elsewhere asks for the next one that becomes free, one at a time. `who` is a pointer to tell him
 * by, `since` (ms) is when he, or whoever is first here, began to wait.
 */
void limit_ask(struct limit *l, const void *who, uint64_t since);
/* Whether somebody has asked who comes before those here. */
bool limit_asked_before(const struct limit *l, uint64_t since);
/* A connection that is about to be closed goes on counting, for whoever has asked. False: nobody.
 */
bool limit_pass_on(struct limit *l, uint64_t since);
/* Whether one was passed on to him. */
bool limit_passed(struct limit *l, const void *who);
/* He waits no longer. Whether one had been passed on to him, which nobody uses now. */
bool limit_withdraw(struct limit *l, const void *who);

/* A request that will have a connection or wait for one: never more than may do either. */
bool limit_admit(struct limit *l, const struct limit_max *max);

/* A retry of one of them. */
bool limit_retry(struct limit *l, const struct limit_max *max);

/* The rows of `limits`, CLUSTER_IDS_MAX of them: those of the map, or with fd -1 the process's own.
 * 0 or -errno. */
int limits_map(int fd, struct cluster_limit **out);
void limits_unmap(struct cluster_limit *rows); /* accepts NULL */

#endif
