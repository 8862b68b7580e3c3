/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_ROUTE_H
#define WEFT_PROXY_ROUTE_ROUTE_H
/*
 * The interface of a router: what requests ask of it, and what they report to it. A router belongs
 * to one worker; every answer holds on to the rules it was made from until it is released.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/types.h>

#include "proxy/h1/h1.h"
#include "proxy/io/buf.h"
#include "proxy/io/transport_tls.h"
#include "proxy/stats/stats.h"
#include "proxy/upstream/target.h"
#include "weft/addr.h"

/* A client's TLS connection. */
struct route_tls {
	struct tls_facts facts;		 /* what its handshake has found */
	uint64_t terms;			 /* what was asked of the client: struct router.server() */
	struct http_listener_stat *stat; /* where its handshake is counted */
	bool tcp;    /* no HTTP is in it: likewise, and then struct router.tunnel() */
	bool mutual; /* it is mutual TLS within the mesh: likewise */
};

/* What a client has said first, where that is looked at: struct router.peeks(). */
struct route_hello {
	bool tls;	     /* a ClientHello; else something else, or nothing in time */
	bool mesh;	     /* which offers a protocol of the mesh's mutual TLS */
	bool other;	     /* neither TLS nor the beginning of a request (router.mixed()) */
	struct h1_span name; /* that it asks for (SNI), in lower case; empty: for none */
};

/* The request, its client and the address called. Ports in host byte order. */
struct route_ask {
	const struct h1_request *request; /* NULL: none yet */
	const struct route_tls *tls;	  /* NULL: plain TCP */
	struct addr client, called;
	uint16_t client_port, called_port;
	bool called_node; /* `called` is an address of the node itself */
};

enum plan_action {
	PLAN_FORWARD,
	PLAN_ANSWER, /* with plan.answer */
};

enum plan_op_type { PLAN_REMOVE, PLAN_SET, PLAN_ADD };

/* To be carried out in order. */
struct plan_op {
	enum plan_op_type type;
	struct h1_span name, value;
};

struct plan_ops {
	const struct plan_op *items;
	size_t count;
};

/* An answer of the proxy's own. */
struct plan_answer {
	unsigned status;
	struct h1_span body;	       /* text/plain unless `headers` say something else */
	const struct plan_op *headers; /* PLAN_ADD only: Location, Access-Control-..., */
	size_t header_count;
	const char *details; /* Envoy's response code details; NULL: none */
	const char *flags;   /* for the access log: "NR", "UO"; never NULL */
	bool last;	     /* the client's connection is of no further use */
};

/* What makes a try be followed by another one. */
enum plan_retry_on {
	PLAN_RETRY_5XX = 1 << 0,	   /* a 5xx, or no answer at all */
	PLAN_RETRY_GATEWAY_ERROR = 1 << 1, /* 502, 503, 504, or no answer at all */
	PLAN_RETRY_RESET = 1 << 2,	   /* no answer at all, per-try timeout included */
	PLAN_RETRY_CONNECT_FAILURE = 1 << 3,
	PLAN_RETRY_4XX = 1 << 4,		  /* 409 */
	PLAN_RETRY_RESET_BEFORE_REQUEST = 1 << 5, /* nothing of the request was sent */
	PLAN_RETRY_RATELIMITED = 1 << 6,	  /* an answer with x-envoy-ratelimited */
	PLAN_RETRY_CANCELLED = 1 << 7,		  /* this and the following: gRPC statuses */
	PLAN_RETRY_DEADLINE_EXCEEDED = 1 << 8,
	PLAN_RETRY_INTERNAL = 1 << 9,
	PLAN_RETRY_RESOURCE_EXHAUSTED = 1 << 10,
	PLAN_RETRY_UNAVAILABLE = 1 << 11,
};

/* What is known of who talks to whom before there is an endpoint. */
struct plan_traffic {
	uint32_t source;     /* peer */
	uint32_t cluster;    /* stable id; 0: none was chosen */
	struct h1_span host; /* then, as struct http_traffic has it; as long as the plan */
	uint8_t reporters;   /* enum traffic_reporters, without the endpoint's */
	bool mutual;	     /* it came by mutual TLS: who calls is no pod that is known */
	bool uncounted;	     /* another weft-proxy has counted it */
};

/* What becomes of the request's trace, by the row of HS_TRACINGS of who calls. */
struct plan_tracing {
	uint32_t sampling; /* of HS_SAMPLING_ALL: so many of the traces that begin here */
	bool told;	   /* spans are, of some pods */
	bool client;	   /* and of who calls */
};

/* One more attribute of a span, as struct hs_tag has it. */
struct route_tag {
	struct h1_span name, header, value;
};

/* Milliseconds; 0: none. */
struct plan {
	enum plan_action action;
	struct plan_answer answer; /* PLAN_ANSWER: after the delay */
	uint32_t delay_ms;

	struct h1_span authority, path; /* for the endpoint */
	struct plan_ops request, response;
	uint32_t timeout_ms;
	uint32_t per_try_timeout_ms;
	uint32_t retries;  /* tries beyond the first */
	uint32_t retry_on; /* enum plan_retry_on */
	const uint32_t *retry_statuses;
	size_t retry_status_count;
	uint32_t backoff_ms; /* base of the pause before another try */
	bool identify;	     /* the request gets the fields of request_headers.h */
	bool gateway;	     /* likewise, those of a gateway */
	struct h1_span scheme;
	bool count_tries; /* tell endpoints by x-envoy-attempt-count which one it is */

	size_t mirror_count; /* clusters that may get a copy */
	struct h1_span mirror_authority;

	/* Counters; never NULL with PLAN_FORWARD. */
	struct http_cluster_stat *cluster;
	struct http_route_stat *route;
	struct plan_traffic traffic;
	struct plan_tracing tracing;

	struct buf text; /* for what had to be put together; the proxy releases it */
	void *data;	 /* the router's */
};

enum pick {
	PICK_OK,
	PICK_NONE,	 /* no healthy endpoint: 503 UH */
	PICK_NO_CLUSTER, /* the rule names what does not exist: 503 NC */
};

/* What AuthorizationPolicies say of a request. Texts live as long as the plan. */
struct route_rbac {
	const char *details; /* of a refusal: Envoy's response code details; NULL without memory */
	const char *audit;   /* "ns[foo]-policy[p]-rule[0]": the rule of the first AUDIT policy that
				is met; NULL: none is */
};

struct router {
	/* Fills in `plan`, which is zeroed. */
	void (*plan)(struct router *r, const struct route_ask *ask, struct buffer_pool *buffers,
		     struct plan *plan);
	/* An endpoint for the n-th try, from 0. What it returns with PICK_OK is ended with done();
	 * a target that is `closed` is not to be connected to. */
	enum pick (*pick)(struct router *r, struct plan *plan, unsigned n, struct target *out);
	void (*done)(struct router *r, struct plan *plan, struct target *target,
		     enum outcome outcome, unsigned status);
	/* An endpoint for the i-th copy; PICK_NONE also if this request is not copied there, or may
	 * not be. */
	enum pick (*pick_mirror)(struct router *r, struct plan *plan, size_t i, struct target *out);
	void (*release)(struct router *r, struct plan *plan);
	/* Between events: switches to other rules if some were offered. Whether it did. May be
	 * NULL. */
	bool (*turn)(struct router *r);
	/* Goes up when turn() has exchanged all rules. */
	unsigned version;
	/*
	 * Then, for a plan of before whose endpoint has answered, or taken a connection without
	 * requests: lets go of the rules that it was made by. What is left of it are the counters
	 * and what is the plan's own; of its target all but the names of TLS. done() and release()
	 * follow as ever. May be NULL.
	 */
	void (*settle)(struct router *r, struct plan *plan);
	/* Whether that target.endpoint is one no longer. May be NULL. */
	bool (*gone)(struct router *r, uint32_t endpoint);
	/* TLS is spoken at some addresses, or has been: what follows is to be asked of each
	 * connection, and is not NULL. */
	bool tls;
	/* What a connection to the address that was called begins with, and its counters; NULL: it
	 * is plain TCP. */
	const struct tls_base *(*speaks_tls)(struct router *r, const struct route_ask *ask,
					     struct http_listener_stat **stat);
	/* The server for a ClientHello: as tls_chooser, with the terms that hold for the client. */
	int (*server)(struct router *r, const struct route_ask *ask, const char *name, size_t n,
		      struct tls_context **out, struct route_tls *tls);
	/* Whether a connection to the address that was called begins with a look at its
	 * ClientHello, of which nothing is taken out of the socket, and with tunnel(). */
	bool (*peeks)(struct router *r, const struct route_ask *ask);
	/* Whether such a connection is none to be looked at: it has no requests, and tunnel() is
	 * asked at once, as for one that sends no TLS. May be NULL. */
	bool (*opaque)(struct router *r, const struct route_ask *ask);
	/* Whether one that says nothing at first is soon taken for one that sends no TLS: its
	 * server may be the one that speaks first. May be NULL. */
	bool (*hurries)(struct router *r, const struct route_ask *ask);
	/* Whether what is no TLS may be requests there, or something else: then route_hello.other
	 * is to say it. May be NULL. */
	bool (*mixed)(struct router *r, const struct route_ask *ask);
	/*
	 * What becomes of a connection that has no requests: fills in `plan`, which is zeroed.
	 * PLAN_FORWARD: its bytes go on as they are to what pick() chooses, once; PLAN_ANSWER: it
	 * is closed, and `flags` and `details` say why. With ask->tls it is that whose TLS has been
	 * ended, and `hello` is NULL. False, with `hello` alone: TLS is to be ended here first;
	 * without TLS it is HTTP.
	 */
	bool (*tunnel)(struct router *r, const struct route_ask *ask,
		       const struct route_hello *hello, struct plan *plan);
	/* Between pick() and done() of a tunnel: the endpoint has accepted its connection. May be
	 * NULL. */
	void (*reached)(struct router *r, struct plan *plan);
	/*
	 * Between pick() and done(), or for a copy: whether the endpoint's AuthorizationPolicies
	 * let the request through to the target (NULL: a connection without requests). Fills in
	 * `out`, which is zeroed; NULL: it is a copy, of which nothing is told. May be NULL.
	 */
	bool (*allows)(struct router *r, const struct plan *plan, const struct h1_request *request,
		       const struct target *target, struct route_rbac *out);
	/* Calls each() for what the spans of the pod at that address, or, with NULL, of who calls,
	 * have beside the usual; not for a plan that is settled. May be NULL. */
	void (*tags)(struct router *r, const struct plan *plan, const struct addr *endpoint,
		     void (*each)(void *arg, const struct route_tag *tag), void *arg);
};

#endif
