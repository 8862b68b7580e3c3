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
	uint32_t active;     /* requests under way */
	uint32_t errors_5xx; /* since the last good answer */
	uint32_t errors_gateway;
	uint32_t errors_local; /* connection failures, timeouts, resets */
	uint64_t ejected_at;   /* ms; 0: not ejected */
	uint32_t ejections;    /* in a row */
};

struct cluster_state {
	struct limit limit;
	uint32_t rr;	  /* the next turn of round robin */
	uint32_t ejected; /* endpoints; under `lock` */
	uint64_t started; /* ms: ticks of the ejections' interval are counted from here */
	pthread_mutex_t lock;
	/* Envoy's counters */
	uint64_t rq_total, rq_retry, rq_retry_overflow, rq_timeout, rq_connect_fail, rq_reset,
		rq_status[6], ejections_total;
};

struct state;

/* `limits` has CLUSTER_IDS_MAX rows, and stays the caller's. NULL: no memory. */
struct state *state_new(struct cluster_limit *limits);
void state_free(struct state *s);
/* The row of that id, made if need be; NULL: no memory, or a cluster beyond the limits' rows. */
struct route_state *state_route(struct state *s, uint32_t id);
struct cluster_state *state_cluster(struct state *s, uint32_t id);
struct endpoint_state *state_endpoint(struct state *s, uint32_t id);

#endif
