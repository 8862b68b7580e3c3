/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_IO_WORKER_H
#define WEFT_PROXY_IO_WORKER_H
/*
 * One thread of the proxy: a loop, a listener, its connections. Nothing is shared with other
 * workers.
 */
#include "proxy/io/loop.h"
#include "proxy/io/random.h"
#include "proxy/route/route.h"
#include "proxy/upstream/pool.h"

struct conn;
struct worker;
struct mirror;
struct access_entry;

/* Milliseconds. */
struct worker_options {
	uint32_t head_timeout_ms;   /* for a whole request head */
	uint32_t idle_timeout_ms;   /* between requests */
	uint32_t stream_timeout_ms; /* without a byte in either direction */
	struct upstream_options upstream;
	/* Told of each request when it is over; may be NULL. */
	void (*log)(void *arg, const struct access_entry *e);
	/* And when there is nothing else to do; whether it has come to an end. May be NULL. */
	bool (*flush)(void *arg);
	void *log_arg;
};

/* One request, when it is over. Spans are valid during the call only. */
struct access_entry {
	const struct h1_request *request; /* NULL: it could not be read */
	const struct plan *plan;	  /* NULL: as above */
	unsigned status;		  /* 0: the client got none */
	const char *flags;		  /* Envoy's response flags, "-" for none */
	const char *details;		  /* Envoy's response code details; NULL: none */
	uint64_t received, sent;	  /* bytes of bodies */
	uint64_t duration_ms;
	struct h1_span request_id;
	int64_t service_ms; /* from the whole request to the endpoint's response; -1: none */
	unsigned tries;
	struct addr client, called;
	struct addr local, endpoint; /* the last try's */
	uint16_t client_port, called_port;
	uint16_t local_port, endpoint_port; /* 0: none was asked */
};

struct worker_stats {
	uint64_t connections, requests, responses_own;
	uint64_t active; /* connections that are open */
	uint64_t retries, timeouts, bad_requests, upstream_resets, connect_failures;
};

/* Something for the worker's thread to do. */
struct worker_call {
	void (*run)(struct worker *w, struct worker_call *call);
	bool done; /* atomic */
};

struct worker {
	struct loop *loop;
	struct supply supply;
	struct exchange *spare; /* conn_request.c */
	unsigned spares;
	struct upstreams upstreams;
	struct loop_io listener;
	struct loop_timer accept_again;
	struct worker_options options;
	struct router *router; /* not owned */
	struct conn *conns;    /* all that are open */
	struct mirror *mirrors;
	struct conn *again;		     /* want another turn */
	struct conn *waiting, **waiting_end; /* for a connection to an endpoint, in order */
	struct loop_timer look;		     /* of theirs */
	struct worker **peers; /* not owned: all that share limits, this one included; or NULL */
	size_t peer_count;
	struct loop_timer flush_again;
	bool unflushed;		  /* something was logged */
	bool stirred;		  /* atomic: those who wait may try again */
	struct worker_call *call; /* atomic */
	struct worker_stats stats;
	struct random random;
	struct h1_response response; /* the one being looked at */
	bool stopping;
};

extern const struct worker_options worker_defaults;

/* Takes the listening socket over, also on failure; -1: connections come by worker_adopt() or after
 * worker_listen(). 0 or -errno. */
int worker_open(struct worker *w, int listener, const struct worker_options *options,
		struct router *router);
/* From any thread: takes a listening socket over, also on failure, from a worker that has none. 0
 * or -errno. */
int worker_listen(struct worker *w, int listener);
/* Serves a connected socket, which it takes over. 0 or -errno. */
int worker_adopt(struct worker *w, int fd, const struct addr *client, uint16_t client_port,
		 const struct addr *called, uint16_t called_port);
/* Until worker_stop(). 0 or -errno. */
int worker_run(struct worker *w);
/* Waits at most `ms` milliseconds for events and handles them. 0 or -errno. */
int worker_once(struct worker *w, int ms);
/* From any thread. */
void worker_stop(struct worker *w);
/* From one other thread: has it done soon. Each call is to be waited for. */
void worker_call(struct worker *w, struct worker_call *call);
/* Whether it has been, within about `ms` milliseconds; if not, it will not be any more. */
bool worker_called(struct worker *w, struct worker_call *call, unsigned ms);
/* From the worker's thread: all that wait for a connection, in any worker, may try again. */
void worker_stir(struct worker *w);
/* Of those who wait here because of the limit, or NULL. */
struct conn *worker_first_waiting(const struct worker *w, const struct limit *l);
/* Ends all connections. */
void worker_close(struct worker *w);

#endif
