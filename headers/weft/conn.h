/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef WEFT_CONN_H
#define WEFT_CONN_H
/*
 * The connection table `conns`: struct tuple (a packet as it arrives) -> struct conn.
 *
 * A steered connection has two entries, one per direction. The other direction's key is `to`
 * reversed. The forward entry holds the connection's state and its reservation; the reply entry
 * only translates, counts and remembers its own FIN.
 */
#include "addr.h"

enum conn_dir {
	DIR_FORWARD = 0, /* client -> endpoint */
	DIR_REPLY = 1,
};

enum conn_state {
	CONN_SYN = 0,	      /* SYN sent on, nothing back yet */
	CONN_ESTABLISHED = 1, /* the endpoint has answered with SYN+ACK */
	CONN_CLOSING = 2,     /* one side has sent FIN */
	CONN_CLOSED = 3,      /* both have: kept for the last ACK or a repeated FIN */
	CONN_DEAD = 4,	      /* reset or given up: the next packet is answered with RST */
	CONN_REAPED = 5,      /* whoever has set this deletes the entries, and nobody else does */
};

enum conn_deliver {
	DELIVER_PEER = 0,  /* redirect to the peer of the veth `ifindex` */
	DELIVER_NEIGH = 1, /* redirect out of the interface `ifindex`, next hop from the FIB */
};

/* How a packet leaves. */
struct way {
	__u32 ifindex;
	__u8 deliver; /* enum conn_deliver */
	__u8 dmac[6]; /* DELIVER_PEER: destination and source address of the Ethernet header */
	__u8 smac[6];
	__u8 pad[3];
};

struct conn {
	struct tuple to; /* the packet's addresses once translated */
	__u64 created;	 /* CLOCK_MONOTONIC, ns */
	__u64 seen;	 /* last packet of this direction, CLOCK_MONOTONIC, ns */
	__u64 bytes;	 /* IP bytes of this direction */
	__u64 packets;
	__u64 reservation; /* forward entries: cluster id << 32 | endpoint id, which hold a place
			    * for this connection in their `active`; 0: none. Whoever swaps it
			    * to 0 gives what he gets back. */
	struct way way;
	__u32 state;   /* enum conn_state, forward entries; CONN_DEAD in both */
	__u32 fins;    /* forward entries: 1 << enum conn_dir of each direction that has sent FIN */
	__u32 seq;     /* the sequence number after all that this direction has sent */
	__u32 ack;     /* the highest acknowledgement number it has sent: what a RST to its sender
			* must carry (RFC 5961 3.2). Valid if `started`. */
	__u32 fin_ack; /* once the other direction has sent FIN: the `ack` that acknowledges it */
	__u32 syn_ack; /* reply entries: what acknowledges the client's last SYN; 0: it has been */
	__u32 route;   /* stable ids of what was decided; 0 in reply entries */
	__u32 cluster;
	__u32 endpoint;
	__u32 generation;	  /* that decided, modulo 2^32 */
	__u32 connect_timeout_ms; /* 0: the default */
	__u32 idle_timeout_ms;
	__u32 max_duration_ms; /* 0: none */
	__u32 client_ifindex;  /* interface the client's packets enter by */
	__u32 reason;	       /* CONN_DEAD: why (enum reason) */
	__u8 dir;	       /* enum conn_dir */
	__u8 fin;	       /* 1: this direction has sent FIN */
	__u8 started;	       /* 1: this direction has sent an acknowledgement */
	__u8 pad;
};
_Static_assert(sizeof(struct conn) == 168, "conn has no holes");

/* `affinity`: sessionAffinity ClientIP. struct affinity_key -> struct affinity */
struct affinity_key {
	struct addr client;
	__u32 service; /* struct service.id */
	__u32 cluster; /* struct cluster.id */
};

struct affinity {
	__u64 seen;	/* CLOCK_MONOTONIC, ns */
	__u32 endpoint; /* struct endpoint.id */
	__u32 pad;
};

/* `frags`: ports of a fragmented packet, remembered from its first fragment. */
struct frag_key {
	struct addr src;
	struct addr dst;
	__u32 id; /* IPv4 identification or IPv6 fragment identification, network byte order */
	__u32 pad;
};

struct frag {
	__u16 sport;
	__u16 dport;
};

/* `pods`: __u32 ifindex of the host side of a pod's veth -> */
struct pod {
	struct addr addr; /* an address that identifies the pod in gen_sources */
	__u32 netns_id;	  /* nsid of the pod's namespace as the node sees it (rtnetlink), or
			     0xffffffff */
	__u8 mac[6];	  /* of the pod's end */
	__u8 host_mac[6]; /* of the node's end */
	char name[16];	  /* interface name of the node's end */
	__u32 bridge;	  /* ifindex of the bridge that the node's end is a port of; 0: none */
	__u8 bridge_mac[6];
	__u8 shortcut; /* 1: packets from and to it need not take the node's way (shortcut.h) */
	__u8 pad[5];
};
_Static_assert(sizeof(struct pod) == 64, "pod has no holes");

/* A pod's `bridge` when its master is no bridge of the kernel's: Open vSwitch, a VRF, ... */
#define BRIDGE_OTHER 0xffffffff

/* `pod_addrs`: struct addr -> __u32 ifindex, key of `pods`: the pod whose own it is, whoever else
 * claims it. */

/* `node_addrs`: struct addr of the node itself -> __u32 ifindex. */

/* `nics`: __u32 ifindex -> what a connection that must come back through this node uses as its
 * source. */
struct nic {
	struct addr addr4; /* v4-mapped; :: if none */
	struct addr addr6; /* :: if none */
	char name[16];
};

#endif
