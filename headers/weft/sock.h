/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef WEFT_SOCK_H
#define WEFT_SOCK_H
/*
 * Connections that are steered in connect(): what a socket remembers, which pod a network namespace
 * belongs to, and what the iterators over the sockets tell weftd.
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
 * `socks`: socket storage, made by the connect hook. `reservation` is swapped to 0 by the one that
 * gives the place back; it is set after all that the sweep reads.
 */
struct sock_conn {
	struct addr called; /* what connect() was given */
	struct addr addr;   /* the endpoint */
	__u64 netns;	    /* cookie of the socket's network namespace */
	__u64 created;	    /* CLOCK_MONOTONIC, ns */
	__u64 reservation;  /* cluster id << 32 | endpoint id; 0: holds no place */
	__u32 route;	    /* stable ids of what was decided */
	__u32 cluster;
	__u32 endpoint;
	__u32 generation; /* that decided, modulo 2^32 */
	__u32 connect_timeout_ms;
	__u32 idle_timeout_ms; /* 0: none, as the next */
	__u32 max_duration_ms;
	__u32 user_timeout_ms; /* TCP_USER_TIMEOUT as the application had set it, 0: not set */
	__u16 called_port;     /* 0: this socket is not steered (any more) */
	__u16 port;
	__u8 seen; /* 1: the SYN is about to leave; from then on its TCP state tells how it ends */
	__u8 limits_connect; /* 1: TCP_USER_TIMEOUT is connect_timeout_ms for now */
	__u8 shortcut;	     /* 1: has entries in `shortcuts` */
	__u8 ended;	     /* 1: the sweep has asked for its end, and counted that */
};
_Static_assert(sizeof(struct sock_conn) == 96, "sock_conn has no holes");

/* What `list_socks` and `sweep_socks` write, one after the other, to the one that reads them. */
struct sock_row {
	struct sock_conn conn;
	struct tuple t; /* as its packets travel: the pod's own address and port -> endpoint */
	__u64 cookie;	/* of the socket (SO_COOKIE), for SOCK_DESTROY */
	__u64 sent;	/* payload bytes that the endpoint has acknowledged */
	__u64 received; /* payload bytes */
	__u64 idle_ms;	/* since data was last sent or received, or the connection was made */
	__u32 state;	/* the kernel's: TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, ... */
	__u32 reason;	/* sweep_socks: why it shall be destroyed (enum reason) */
	__u32 ifindex;	/* that it is bound to (SO_BINDTODEVICE), in its own namespace; or 0 */
	__u32 pad;
};
_Static_assert(sizeof(struct sock_row) == 184, "sock_row has no holes");

#endif
