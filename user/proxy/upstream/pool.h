/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_UPSTREAM_POOL_H
#define WEFT_PROXY_UPSTREAM_POOL_H
/*
 * Connections to endpoints, one pool of unused ones per worker. A connection comes from
 * an address and is counted for a cluster: it is used again only where both are the same. One that
 * speaks TLS is used again only by a target with the same client and name, or the same peer's
 * identity: one of mutual TLS is its caller's.
 *
 * What the pool hands out is a stream for one request.
 */
#include "proxy/io/random.h"
#include "proxy/stream/half.h"
#include "proxy/upstream/source_addr.h"
#include "proxy/upstream/target.h"

struct upstream_conn;
struct upstream_tls; /* upstream_tls.h */

/* The endpoint's side of a request: all of a connection with HTTP/1, a stream of one with HTTP/2.
 */
struct upstream {
	struct half half; /* first: half.changed() finds the rest */
	struct upstream_conn *conn;
	void *owner; /* is told of changes; NULL: it is not handed out */
	void (*changed)(struct upstream *u);
};

struct upstream_conn {
	struct upstream stream; /* first; with HTTP/1 there is no other */
	struct upstreams *pool;
	struct addr source; /* ::: the node's own */
	struct addr endpoint;
	uint16_t port;
	struct addr local; /* of the socket, once connected */
	uint16_t local_port;
	uint64_t opened; /* ms */
	bool connected;
	bool reused;			 /* has served a request before the current one */
	unsigned requests;		 /* that it was used for, the current one included */
	uint64_t counted_rx, counted_tx; /* bytes that `stat` knows of */
	struct http_cluster_stat *stat;
	uint32_t known_by;	  /* target.endpoint */
	struct limit *limit;	  /* counts this connection; NULL: none does */
	struct upstream_tls *tls; /* NULL: it speaks none */
	struct loop_timer idle;
	struct upstream_conn *next, **link; /* in its bucket, while idle */
};

enum { UPSTREAM_BUCKETS = 1024 };

struct upstream_options {
	bool transparent; /* connect from the client's address (CAP_NET_ADMIN), see source_addr.h */
	struct source_options source;	    /* its mark is that of all packets to endpoints */
	const struct source_lookup *lookup; /* instead of the kernel's answers, or NULL */
};

struct upstreams {
	struct loop *loop;
	struct buffer_pool *buffers;
	struct upstream_options options;
	struct sources sources;
	struct random random;

	/* A connection that counts was closed, so that another may be opened; one became unused. */
	void (*freed)(struct upstreams *pool);
	void (*unused)(struct upstreams *pool);
	/* ms, as loop_now(): since when this worker's first request has waited; UINT64_MAX: none
	 * waits. */
	uint64_t (*waits_since)(struct upstreams *pool, const struct limit *l);
	/* Whether that is no endpoint any more. */
	bool (*gone)(struct upstreams *pool, uint32_t endpoint);
	struct upstream_conn *buckets[UPSTREAM_BUCKETS];
	size_t idle_count, count;
};

/* `pool` is zeroed but for its loop, buffers and functions. 0 or -errno. */
int upstreams_open(struct upstreams *pool, const struct upstream_options *options);
void upstreams_close(struct upstreams *pool); /* idle connections, too */

/* Whether it is an address of the node itself. */
bool upstream_is_node(struct upstreams *pool, const struct addr *a);
/* What connections to the target come from; ::, the node's own address. */
struct addr upstream_source(struct upstreams *pool, const struct target *t,
			    const struct addr *client, const struct addr *called);
/* A stream of a connection that is there, or NULL. */
struct upstream *upstream_reuse(struct upstreams *pool, const struct target *t,
				const struct addr *source);
/* One of a new connection, perhaps not connected yet. The connection has been counted for the
 * target's limit, which is given back with it, or on failure. 0 or -errno. */
int upstream_connect(struct upstreams *pool, const struct target *t, const struct addr *source,
		     struct upstream **out);
/* Of its connection, after the first event: 0, -EAGAIN: not yet, -errno: it did not come about;
 * -EPROTO: by a TLS handshake that has failed. */
int upstream_connected(struct upstream *u);
/* The request is over: others may use the connection, unless it can't be used again. */
void upstream_release(struct upstream *u, const struct target *t);
/* The request is over, or given up, and its connection can't be used again. Accepts NULL. */
void upstream_close(struct upstream *u);
/* Likewise, and the endpoint is to see that there was to be more. */
void upstream_reset(struct upstream *u);
/* Counts the bytes that have been moved by now, which else is done when the request is over. */
void upstream_count(struct upstream *u);
/* Closes an idle connection that counts for the limit. Whether there was one. */
bool upstreams_close_idle(struct upstreams *pool, const struct limit *l);
/* Closes idle connections to what is no endpoint any more. */
void upstreams_close_gone(struct upstreams *pool);
/* Closes one idle connection for each limit that requests wait for. */
void upstreams_close_unusable(struct upstreams *pool);

#endif
