/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_SHARED_STATE_H
#define WEFT_PROXY_ROUTE_SHARED_STATE_H
/*
 * What outlives a snapshot: turns, numbers in use and health, by stable id, shared by all workers.
 * Rows are found under a lock, when a snapshot is opened, and never go away; their fields are
 * changed with atomic operations unless said otherwise.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/route/route.h"
#include "proxy/stats/limit.h"
#include "proxy/stats/stats.h"

struct route_state {
	struct http_turns turns;
	struct http_route_stat *stat;
};

struct endpoint_state {
	uint32_t active;      /* requests under way */
	uint64_t seen, since; /* the last snapshot that has it; in all from when on (ms) */
};

/* An endpoint as one of a cluster. Times in ms. */
struct outlier_state {
	uint32_t endpoint;   /* stable id */
	uint32_t errors_5xx; /* since the last good answer */
	uint32_t errors_gateway;
	uint32_t errors_local; /* connection failures, timeouts, resets */
	/* Changed under the cluster's lock. */
	uint32_t times;	     /* ejected, less those forgiven */
	uint64_t ejected_at; /* 0: not ejected */
	uint64_t back_at;    /* when it came back the last time */
};

struct cluster_state {
	struct limit limit;
	struct http_cluster_stat *stat;
	uint32_t rr; /* the next turn of round robin */

	pthread_mutex_t lock;
	/* Under the lock. */
	uint64_t started; /* ms: ticks of the ejections' interval are counted from here */
};

struct shared_state;

/* `limits` and `held` have CLUSTER_IDS_MAX rows; all stay the caller's. NULL: no memory. */
struct shared_state *shared_state_new(struct cluster_limit *limits, uint32_t *held,
				      struct stats *stats);
void shared_state_free(struct shared_state *s);
struct stats *shared_state_stats(const struct shared_state *s);
/* The row of that id and name, made if need be; NULL: no memory, or a cluster beyond the limits'
 * rows. */
struct route_state *shared_state_route(struct shared_state *s, uint32_t id, struct http_span name);
struct cluster_state *shared_state_cluster(struct shared_state *s, uint32_t id,
					   struct http_span name);
struct endpoint_state *shared_state_endpoint(struct shared_state *s, uint32_t id);
struct outlier_state *shared_state_outlier(struct shared_state *s, uint32_t cluster,
					   uint32_t endpoint);

#endif
