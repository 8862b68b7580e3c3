/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef WEFT_TRAFFIC_H
#define WEFT_TRAFFIC_H
/*
 * Who talks to whom, and how it goes: what Istio's standard metrics are made of. weft-proxy counts
 * requests in `http_traffic`, the programs count connections without requests in `tcp_traffic`;
 * nothing is in both. weftd makes labels of the ids (daemon/datapath/traffic.h).
 *
 * A peer is a workload as the labels tell it apart: all pods of a Deployment that have the same
 * app, version, canonical name, revision and account are one.
 */
#include "addr.h"

enum {
	TRAFFIC_PEERS_MAX = 16384,	/* that have names at one time */
	TRAFFIC_PEER_IDS_MAX = 1 << 29, /* ids are below: at one a second they last for 17 years */
	TRAFFIC_PEER_NAME_MAX = 512,
	TRAFFIC_HTTP_ROWS = 4096,
	TRAFFIC_CALLER_ROWS = 512,	   /* of one caller; then codes are told apart by class */
	TRAFFIC_CALLER_ROWS_FOLDED = 1024, /* and those of classes included */
	TRAFFIC_TCP_ROWS = 16384,
	TRAFFIC_TCP_OPEN = 16384,      /* open connections whose bytes move on */
	TRAFFIC_SOCKETS_AT_ONCE = 256, /* that `count_sockets` asks */
	TRAFFIC_HOST_MAX = 256,
	TRAFFIC_BUCKETS = 20,
	TRAFFIC_GRPC_NONE = 255, /* http_traffic_key.grpc: it was no gRPC, or had no status */
};

/* `traffic_peers`: __u32 id -> who that is, as lib/mesh/peer.h reads it. Written by weftd before
 * the id is told to weft-proxy, and deleted some time after the last pod and the last row of it
 * have gone (daemon/datapath/peers.h). An id is never given to another peer: the next one is above
 * the highest that is here, which stays for that. 0: not known, as is an id that has no row. */
struct traffic_peer {
	char name[TRAFFIC_PEER_NAME_MAX];
};

/* The upper ends of the buckets, those of Envoy's histograms; the last bucket has none. Of
 * durations in milliseconds, of sizes in bytes. */
#define TRAFFIC_BUCKET_ENDS                                                                  \
	{                                                                                    \
		0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, \
			300000, 600000, 1800000, 3600000                                     \
	}

struct traffic_histogram {
	__u64 buckets[TRAFFIC_BUCKETS]; /* each for itself, not added up */
	__u64 sum;			/* of durations in microseconds, of sizes in bytes */
};

enum traffic_reporters {
	TRAFFIC_SOURCE = 1,	 /* the caller is a pod of the mesh, or came through a Gateway */
	TRAFFIC_DESTINATION = 2, /* the endpoint is a pod of the mesh, and has got the request */
};

enum traffic_security {
	TRAFFIC_PLAIN = 0,
	TRAFFIC_MUTUAL_TLS = 1,
	TRAFFIC_SECURITY_UNKNOWN = 2, /* no connection came about */
};

/* What Istio's labels tell requests apart by. Integers are in host byte order. */
struct http_traffic_key {
	__u32 source;	   /* peer */
	__u32 destination; /* peer of the last try; 0: it reached none, or it is no pod */
	__u32 cluster;	   /* stable id (policy.h) of the one that was chosen; 0: none */
	__u32 flags;	   /* bits of lib/base/response_flags.h */
	__u16 code;	   /* the response's status; 0: the client got none */
	__u8 grpc;	   /* grpc-status, 0 to 16, or TRAFFIC_GRPC_NONE */
	__u8 is_grpc;	   /* 1: request_protocol is grpc */
	__u8 reporters;	   /* enum traffic_reporters */
	__u8 security;	   /* enum traffic_security */
	__u8 is_tcp;	   /* 1: connections without requests that weft-proxy carries */
	__u8 pad;
};
_Static_assert(sizeof(struct http_traffic_key) == 24, "http_traffic_key has no holes");

/* Written by weft-proxies, but for what is said to be weftd's. */
enum traffic_taken {
	TRAFFIC_FREE = 0, /* so are all rows behind it */
	TRAFFIC_TAKEN = 1,
	TRAFFIC_BEING_TAKEN = 2, /* its key is not to be read, and nothing is counted there yet */
	TRAFFIC_LEAVING = 3,	 /* weftd's: it may be read, and nothing more is counted there */
	TRAFFIC_BEING_FREED = 4, /* weftd's: it is not to be read */
	TRAFFIC_FREE_AGAIN = 5,	 /* weftd's: it may be taken, and rows behind it are in use */
};

/*
 * `http_traffic`, an array that weft-proxy maps into its memory. A row belongs to its key and host
 * as long as its epoch is the same; the first free row is taken, and the first one that is
 * TRAFFIC_FREE is the end. Row 0 is for all requests that found no row left, which are told apart
 * by nothing; connections that found none are not counted. Of one caller there are only so many
 * rows: beyond TRAFFIC_CALLER_ROWS `code` is that of its class (200, 400, 500) and `grpc`
 * TRAFFIC_GRPC_NONE, and beyond TRAFFIC_CALLER_ROWS_FOLDED there are no more. Each worker adds to
 * it what it has counted, some 50 ms later at the latest: that is lost with a weft-proxy
 * that is killed.
 *
 * weftd takes a row back in which nothing has been counted for long (daemon/datapath/http_rows.h).
 * Who adds to a row raises `writers` first, then looks whether it is still TRAFFIC_TAKEN in the
 * epoch that it knows, and lowers `writers` behind it. weftd makes the row TRAFFIC_LEAVING, and a
 * round later, when it has no writers, TRAFFIC_BEING_FREED; then it raises its epoch, clears it and
 * makes it TRAFFIC_FREE_AGAIN. The epoch of row 0 counts how often that was done to any row. Who
 * reads a row looks at its state and epoch again behind that. A row whose weft-proxy was killed
 * while it added there stays as it is.
 *
 * Of connections without requests (key.is_tcp) `requests` are those that were opened, `closed`
 * those that have ended, request_bytes.sum what their clients have sent, response_bytes.sum what
 * they were sent, all while they last; the buckets and `duration` are not in use. As in Istio a
 * connection is opened in the row without flags, and ends in that of its flags: one that did not
 * come about does both there. Those that were open when their weft-proxy was killed are never
 * `closed`.
 */
struct http_traffic {
	struct http_traffic_key key;
	__u32 taken;		     /* enum traffic_taken */
	char host[TRAFFIC_HOST_MAX]; /* the host that was called, where `cluster` is 0: the FQDN of
				      * the service, or a host of the rules; empty: not known */
	__u32 epoch;		     /* it was another's before as often */
	__u32 writers;		     /* that are adding to it */
	__u32 pad;
	__u64 requests, closed;
	struct traffic_histogram duration; /* from the request's head to the response's end */
	struct traffic_histogram request_bytes, response_bytes; /* of bodies */
};

/* `tcp_traffic`: connections that a program has steered, from when the endpoint has answered. */
struct tcp_traffic_key {
	struct addr
		caller; /* the address that the pod calls from; :: if it is no pod of this node */
	__u32 cluster;	/* stable ids */
	__u32 endpoint;
};
_Static_assert(sizeof(struct tcp_traffic_key) == 24, "tcp_traffic_key is a hash key without holes");

/*
 * Rows are made by the first connection that opens. One that finds no room is counted in the row
 * whose key is zero, which weftd makes when it starts. A row stays as long as there is room: from
 * three quarters of TRAFFIC_TCP_ROWS on, weftd removes those whose caller or endpoint is gone and
 * that have not changed for a minute (daemon/datapath/tcp_rows.h), and at its start those whose ids
 * have no counters. What shows sums of rows keeps what such a row has counted.
 */
struct tcp_traffic {
	__u64 opened;	/* connections that the endpoint has answered */
	__u64 closed;	/* of those, the ones that have ended, in whatever way */
	__u64 received; /* payload bytes from the caller, of connections that have ended, and of
			 * open ones as far as the sweep has seen */
	__u64 sent;	/* payload bytes to the caller, likewise */
};

/* Where a connection is counted: kept in its entry of `socks` or `conns`. */
enum traffic_place {
	TRAFFIC_NOWHERE = 0, /* it is not open yet, or was opened by a weft that did not count */
	TRAFFIC_ROW = 1,     /* in the row of its key */
	TRAFFIC_REST = 2,    /* in the row of key zero: there was no room */
};

/* `tcp_counted`: the packets of an open connection to its endpoint (struct sock_conn: own, addr;
 * struct conn: `to` of the forward entry) -> what is in its row of it. Made by `count_traffic`
 * and `count_sockets` alone, with the first bytes that they see, and deleted with the connection;
 * where it is full, bytes are counted when the connection ends. */
struct tcp_counted {
	__u64 received;
	__u64 sent;
};

/* A slice of `socks`, as weftd gives it to `count_sockets`: the frame ends behind the last cookie.
 * So many take some 100 us, in which the CPU handles no packet. */
struct traffic_sockets {
	__u8 pad[16]; /* 0: where a frame has its Ethernet header */
	__u64 cookies[TRAFFIC_SOCKETS_AT_ONCE];
};

#endif
