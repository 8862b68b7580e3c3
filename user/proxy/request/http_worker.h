/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_REQUEST_HTTP_WORKER_H
#define WEFT_PROXY_REQUEST_HTTP_WORKER_H
/*
 * A worker that speaks HTTP: its clients' connections, its endpoints' connections, its router, and
 * the requests that wait for a connection. Only these are shared with other workers: the limits.
 */
#include "proxy/io/worker.h"
#include "proxy/request/access_entry.h"
#include "proxy/route/route.h"
#include "proxy/stats/traffic.h"
#include "proxy/upstream/pool.h"

struct h1_client;
struct mirror;
struct predecessor;
struct request;
struct tunnel;

/* Milliseconds. */
struct worker_options {
	uint32_t handshake_timeout_ms; /* of TLS, and for a ClientHello that is only looked at */
	uint32_t head_timeout_ms;      /* for a whole request head */
	uint32_t idle_timeout_ms;      /* between requests */
	uint32_t stream_timeout_ms;    /* without a byte in either direction */
	struct upstream_options upstream;
	struct traffic_rows *traffic; /* where requests are counted by who talks to whom; or NULL */
	/* Told of each request when it is over; may be NULL. */
	void (*log)(void *arg, const struct access_entry *e);
	/* Asked before, with the present in ms: whether it is of interest. NULL: each is. */
	bool (*log_wants)(void *arg, uint64_t now);
	/* Told of each request whose spans are, likewise; may be NULL. */
	void (*trace)(void *arg, const struct trace_entry *e);
	/* And when there is nothing else to do; whether it has come to an end. May be NULL. */
	bool (*flush)(void *arg);
	void *log_arg;
};

struct worker_stats {
	uint64_t connections, requests, responses_own;
	uint64_t active;			 /* connections that are open */
	uint64_t handshakes, handshake_failures; /* of TLS */
	uint64_t retries, timeouts, bad_requests, upstream_resets, connect_failures;
};

struct http_worker {
	struct worker io;	   /* first */
	struct h1_client *clients; /* all that are connected */
	struct request *requests;  /* all that are under way */
	struct tunnel *tunnels;	   /* likewise */
	struct request *spare;	   /* request.c */
	unsigned spares;
	struct upstreams upstreams;
	struct worker_options options;
	struct router *router; /* not owned */
	struct mirror *mirrors;
	struct request *waiting, **waiting_end; /* for a connection to an endpoint, in order */
	struct loop_timer poll_timer;		/* of the waiters */
	/* Not owned: all that share limits, this one included; or NULL. */
	struct http_worker **peers;
	size_t peer_count;
	struct loop_timer flush_again;
	struct traffic_counts *traffic; /* NULL: none are kept */
	struct loop_timer traffic_due;
	/* drain.h */
	struct loop_timer pass_again, unlisten;
	struct predecessor *predecessors;
	int successor;	  /* where clients go, or -1 */
	bool draining;	  /* no request begins here */
	bool listens;	  /* although it drains */
	bool drained;	  /* atomic */
	int tell_drained; /* an eventfd, not owned */
	bool unflushed;	  /* something was logged */
	unsigned settled; /* for router->version */
	bool woken;	  /* atomic: the waiters may try again */
	struct worker_stats stats;
	struct h1_response response; /* the one being looked at */
};

extern const struct worker_options worker_defaults;

/* Takes the listening socket over, also on failure; -1: as for worker_open(). The router stays the
 * caller's. 0 or -errno: then it is closed. */
int http_worker_open(struct http_worker *w, int listener, const struct worker_options *options,
		     struct router *router);
/* From the worker's thread: all that wait for a connection, in any worker, may try again. */
void http_worker_wake_waiters(struct http_worker *w);
/* Counts it in the worker's counts of who talks to whom, if there are any. */
void http_worker_count(struct http_worker *w, const struct traffic_sample *s);
/* The first that waits in this worker because of the limit, or NULL. */
struct request *http_worker_first_waiting(const struct http_worker *w, const struct limit *l);

#endif
