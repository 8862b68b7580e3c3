/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_SHARED_STATE_H
#define WEFT_PROXY_ROUTE_SHARED_STATE_H
/*
 * What outlives a snapshot: turns, numbers in use and health, by stable id, shared by all workers.
 * Rows are found under a lock, when a snapshot is opened or patched; their fields are changed with
 * atomic operations unless said otherwise. Those of routes and clusters never go away, those of
 * endpoints when nothing holds them any more.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/route/route.h"
#include "proxy/stats/limit.h"
#include "proxy/stats/stats.h"

struct tls_store;

struct route_state {
	struct http_turns turns;
	struct http_route_stat *stat;
};

struct endpoint_state {
	uint32_t id;
	uint32_t active;  /* requests under way */
	uint64_t since;	  /* ms: it has been an endpoint from then on */
	uint32_t holds;	  /* so many need the row; becomes 1 and 0 under the state's lock */
	uint32_t workers; /* so many have rules that it is an endpoint by; under the lock */
};

/* An endpoint as one of a cluster. Times in ms. */
struct outlier_state {
	struct cluster_state *cluster;
	uint32_t endpoint; /* stable id */
	/* Under the state's lock. */
	uint32_t holds;		    /* so many need the row */
	bool lingers;		    /* it is in the list of those that few may need */
	struct outlier_state *next; /* in that list */

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
struct tls_store *shared_state_tls(const struct shared_state *s);
/* The row of that id and name, made if need be; NULL: no memory, or a cluster beyond the limits'
 * rows. */
struct route_state *shared_state_route(struct shared_state *s, uint32_t id, struct http_span name);
struct cluster_state *shared_state_cluster(struct shared_state *s, uint32_t id,
					   struct http_span name);

/* Likewise, and held: to be let go of as often. */
struct endpoint_state *shared_state_endpoint(struct shared_state *s, uint32_t id);
void shared_state_hold(struct endpoint_state *e); /* by one more, while it is held */
void shared_state_let_go(struct shared_state *s, struct endpoint_state *e);
/* It becomes an endpoint, at `now`, by the rules of one more worker; by those of one less. */
void shared_state_join(struct shared_state *s, struct endpoint_state *e, uint64_t now);
void shared_state_leave(struct shared_state *s, struct endpoint_state *e);

/* Likewise; `id` is the cluster's. What is known of one that has left the cluster is kept for some
 * thousand endpoints, should it come back. */
struct outlier_state *shared_state_outlier(struct shared_state *s, uint32_t id,
					   struct cluster_state *cluster, uint32_t endpoint);
void shared_state_let_go_outlier(struct shared_state *s, struct outlier_state *o);
/* Rows of endpoints, and of endpoints of clusters. */
void shared_state_count(struct shared_state *s, size_t *endpoints, size_t *outliers);

#endif
