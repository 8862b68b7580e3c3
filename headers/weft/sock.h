/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef WEFT_SOCK_H
#define WEFT_SOCK_H
/*
 * Connections that are steered in connect(): what is remembered of a socket, and which pod a
 * network namespace belongs to.
 */
#include "addr.h"

/* `netns`: cookie of a pod's network namespace (SO_NETNS_COOKIE) -> who calls. Written by weftd. */
struct netns_pod {
	struct addr addr;  /* the address that identifies the pod in gen_sources; :: if none */
	struct addr addr4; /* the pod's first address of each family, for what is decided by the */
	struct addr addr6; /* client's address; :: if none */
	__u32 ifindex;	   /* of the node's end of the pod's veth, key of `pods` */
	__u32 netns_id;	   /* as in struct pod */
	__u32 down;	   /* 1: none of its interfaces is up */
	__u32 outside;	   /* 1: the pod is not in the mesh: what it opens from now on passes */
};
_Static_assert(sizeof(struct netns_pod) == 64, "netns_pod has no holes");

/*
 * `socks`: cookie of a socket (SO_COOKIE) that connect() has steered -> its connection. Written by
 * the programs of the cgroup as long as the socket is there; by the sweep, which gives back what no
 * hook will. `reservation` is swapped to 0 by the one that gives the place back.
 */
struct sock_conn {
	struct addr called; /* what connect() was given */
	struct addr addr;   /* the endpoint */
	struct addr own;    /* the pod's end, once `seen` is set */
	__u64 netns;	    /* cookie of the socket's network namespace */
	__u64 created;	    /* CLOCK_MONOTONIC, ns */
	__u64 active; /* likewise: when data was last sent or received, as far as weftd has seen */
	__u64 told;   /* likewise: when weftd was last told to end it */
	__u64 reservation; /* cluster id << 32 | endpoint id; 0: holds no place */
	__u32 route;	   /* stable ids of what was decided */
	__u32 cluster;
	__u32 endpoint;
	__u32 generation; /* that decided, modulo 2^32 */
	__u32 connect_timeout_ms;
	__u32 idle_timeout_ms; /* 0: none, as the next */
	__u32 max_duration_ms;
	__u32 user_timeout_ms; /* TCP_USER_TIMEOUT as the application had set it, 0: not set */
	__u32 ifindex; /* that it was bound to (SO_BINDTODEVICE), in its own namespace; or 0 */
	__u16 called_port;
	__u16 port;
	__u16 own_port;
	__u8 seen; /* 1: the SYN is about to leave; from then on its TCP state tells how it ends */
	__u8 limits_connect; /* 1: TCP_USER_TIMEOUT is connect_timeout_ms for now */
	__u8 shortcut;	     /* 1: has entries in `shortcuts` */
	__u8 ended;	     /* 1: its end was asked for, and counted */
	__u8 released;	     /* 1: its last descriptor is closed */
	__u8 deferred : 1;   /* 1: the SYN may wait for the first data (TCP_FASTOPEN_CONNECT) */
	__u8 traffic : 2;    /* enum traffic_place: written once, when it opens */
	__u8 swept : 1;	     /* 1: `tcp_counted` may have an entry for it */
};
_Static_assert(sizeof(struct sock_conn) == 136, "sock_conn has no holes");

#endif
