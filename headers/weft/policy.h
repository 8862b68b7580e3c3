/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef WEFT_POLICY_H
#define WEFT_POLICY_H
/*
 * Counters. They outlive generations and daemon restarts: keyed by stable ids, created by weftd
 * with the name filled in before a generation that refers to them is published, written by BPF with
 * atomic adds.
 */
#include "addr.h"

enum {
	CLUSTER_NAME_MAX = 224,	 /* outbound|9000|v1|tcp-echo.default.svc.cluster.local */
	ROUTE_NAME_MAX = 160,	 /* default/tcp-echo/tcp[0] */
	ENDPOINT_NAME_MAX = 56,	 /* 10.244.0.12:9000 or [fd00::12]:9000 */
	CLUSTER_IDS_MAX = 65536, /* clusters have ids below this */
	REASON_NAME_MAX = 32,
};

/* `clusters`: __u32 id -> */
struct cluster_stat {
	char name[CLUSTER_NAME_MAX]; /* as Envoy's users know it, NUL-terminated */
	__u64 cx_total;		     /* connections steered here */
	__u64 overflow;		     /* refused because of maxConnections */
	__u64 connect_fail; /* refused by the endpoint, or not answered within connectTimeout */
	__u64 none_healthy; /* refused because the cluster has no endpoint */
	__u64 rx_bytes;	    /* payload bytes from endpoints, of connections that have ended */
	__u64 tx_bytes;	    /* payload bytes to endpoints, of connections that have ended */
	__u64 rr;	    /* the next turn of ROUND_ROBIN */
};

/*
 * `limits`: an array by cluster id, which weft-proxy has mapped into its memory. Open connections:
 * reservations taken and not given back. One is taken by a compare-and-swap of the first 8 bytes,
 * so that kernel and proxy together never exceed maxConnections; each counts its own, so that weftd
 * can give back what a proxy held that has died.
 */
struct cluster_limit {
	__u32 steered; /* of the kernel's path */
	__u32 proxied; /* of the proxy's */
	__u32 peak;    /* the highest sum of both ever */
	__u32 pad;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct cluster_limit) == 16, "cluster_limit has no holes");

/* `endpoints`: __u32 id -> */
struct endpoint_stat {
	char name[ENDPOINT_NAME_MAX];
	__u64 active;
	__u64 cx_total;
	__u64 connect_fail;
};

/* `routes`: __u32 id -> */
struct route_stat {
	char name[ROUTE_NAME_MAX];
	__u64 picks; /* connections decided by this route; drives the weighted choice */
};

/* `dests`: connections per route destination. */
struct dest_key {
	__u32 route;   /* stable id */
	__u32 cluster; /* stable id */
};

struct dest_stat {
	char route[ROUTE_NAME_MAX];
	char cluster[CLUSTER_NAME_MAX];
	__u64 cx_total;
};

/* `reasons`: why packets were dropped, connections refused or something went past us. Index -> */
enum reason {
	REASON_NONE = 0,
	REASON_OVERFLOW,    /* refused: maxConnections reached */
	REASON_NO_ENDPOINT, /* refused: the cluster has no endpoint */
	REASON_NO_CLUSTER,  /* refused: the rule names a subset or service that does not exist */
	REASON_TABLE_FULL,  /* refused: no room in `conns` or `proxied` */
	REASON_NO_PORT,	    /* refused: no free source port towards the endpoint */
	REASON_RESERVE_CONTENTION, /* refused: the reservation lost too many races */
	REASON_POD_GONE,	   /* reset: the endpoint's pod was deleted */
	REASON_TIMED_OUT,	   /* reset: idleTimeout, maxConnectionDuration or connectTimeout */
	REASON_FRAGMENT,	   /* passed: a later fragment whose first was not seen */
	REASON_MALFORMED,	   /* dropped: a steered packet that could not be rewritten */
	REASON_GENERATION,	   /* passed: tables missing or inconsistent */
	REASON_NO_ROUTE,	   /* refused: no way to the endpoint */
	REASON_FOREIGN_WAY, /* passed: a caller from outside, whose endpoint is behind an interface
			     * that is none of ours, so replies would not come back by us */
	REASON_SYN_RACE,    /* dropped: a SYN that another CPU is opening a connection for */
	REASON_NO_PROXY,    /* refused: the port needs weft-proxy, and there is none */
	REASON_BRIDGED,	    /* refused: the port needs weft-proxy, which pods behind a bridge can't
			       reach */
	REASON_SPOOFED, /* passed or dropped: the sender has not the source address, or is not where
			   the connection's packets come from */
	REASON_SAFETY_NET,   /* steered: a pod's connection, by its packets, as no hook saw its
				connect() */
	REASON_UNSEEN,	     /* refused: the same, where that is not wanted */
	REASON_SOURCE_RANGE, /* dropped or refused: the caller's address is in none of the Service's
			      * loadBalancerSourceRanges */
	REASON_NO_LOCAL,     /* dropped: externalTrafficPolicy is Local, and no endpoint is here */
	REASON_UNREGISTERED, /* refused: outboundTrafficPolicy is REGISTRY_ONLY, and no Service or
			      * ServiceEntry knows what was called */
	REASON_RBAC_DENIED,  /* refused: an AuthorizationPolicy, where the pod is */
	REASON_RBAC_ALLOWED, /* passed: AuthorizationPolicies let the connection through there */
	REASON_PLAINTEXT_DENIED, /* refused: a PeerAuthentication is STRICT, where the pod is, and
				  * the caller speaks no mutual TLS */
	REASON_RBAC_LOGGED, /* passed or refused, which is counted besides: an AuthorizationPolicy
			     * with the action AUDIT is met, where the pod is */
	REASON_MAX,
};

struct reason_stat {
	char name[REASON_NAME_MAX]; /* lower-case name of the enum: "overflow" */
	__u64 count;
};

#endif
