/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_STATE_H
#define WEFT_PROXY_STATE_H
/*
 * What outlives a snapshot: turns, numbers in use and health, by stable id, shared by all workers.
 * Rows are found under a lock, when a snapshot is opened, and never go away; their fields are
 * changed with atomic operations unless said otherwise.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "http_route.h"
#include "limit.h"

struct route_state {
	struct http_turns turns;
	uint64_t requests;
};

struct endpoint_state {
	uint32_t active;      /* requests under way */
	uint64_t seen, since; /* the last snapshot that has it; in all from when on (ms) */
};

/* An endpoint as one of a cluster. Times in ms. */
struct outlier_state {
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
	uint32_t rr; /* the next turn of round robin */

	pthread_mutex_t lock;
	/* Under the lock. */
	uint64_t started; /* ms: ticks of the ejections' interval are counted from here */
	uint64_t ejections, ejections_overflow;

	/* Envoy's counters */
	uint64_t rq_total, rq_retry, rq_retry_overflow, rq_timeout, rq_connect_fail, rq_reset,
		rq_status[6];
};

struct state;

/* `limits` has CLUSTER_IDS_MAX rows, and stays the caller's. NULL: no memory. */
struct state *state_new(struct cluster_limit *limits);
void state_free(struct state *s);
/* The row of that id, made if need be; NULL: no memory, or a cluster beyond the limits' rows. */
struct route_state *state_route(struct state *s, uint32_t id);
struct cluster_state *state_cluster(struct state *s, uint32_t id);
struct endpoint_state *state_endpoint(struct state *s, uint32_t id);
struct outlier_state *state_outlier(struct state *s, uint32_t cluster, uint32_t endpoint);

#endif
