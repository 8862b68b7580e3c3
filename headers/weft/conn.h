/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef WEFT_CONN_H
#define WEFT_CONN_H
/* clang-format off */
/*
 * The connection table `conns`: struct tuple (a packet where it is looked at) -> struct conn.
 *
 * A connection that packets were steered for has these tuples:
 *   A   client:port -> called:port      as the client sends it
 *   B   client:port -> endpoint:port    as the node's own stack sees it; another source port where A's is taken
 *   C   node:port -> endpoint:port      only for a caller from outside whose endpoint is not on this node, where the
 *                                       reply would not come back here otherwise
 * and these entries:
 *   forward     A, ingress           -> B            state, reservation, what the client has sent
 *   reply       B reversed, egress   -> A reversed   what the endpoint has sent
 *   translate   B, egress            -> C            only with a C; kept in these two: endpoint_ifindex
 *               C reversed, ingress  -> B reversed   only once the former has: else C is the node's own masquerading
 *
 * A pod that reaches itself (CONN_HAIRPIN) would not believe a packet from its own address, and a packet for its own
 * address never leaves it: there B is called:port -> pod:port, the reply entry is for ingress as well, and packets go
 * straight back into the pod.
 */
/* clang-format on */
#include "addr.h"

enum conn_dir {
	DIR_FORWARD = 0, /* client -> endpoint */
	DIR_REPLY = 1,
	DIR_TRANSLATE = 2, /* either: another entry follows the connection */
};

enum conn_state {
	CONN_SYN = 0,	      /* SYN sent on, no acceptable answer yet */
	CONN_ESTABLISHED = 1, /* the endpoint has answered with SYN+ACK */
	CONN_CLOSING = 2,     /* one side has sent FIN */
	CONN_CLOSED = 3,      /* both have, and both FINs were acknowledged: kept for repeats */
	CONN_DEAD = 4,	      /* reset or given up: the next packet is answered with RST */
	CONN_REAPED = 5, /* the program that has set this deletes the entries, and no other does */
};

enum conn_flags {
	CONN_HAIRPIN = 1,  /* the endpoint is the client's own pod */
	CONN_OUTSIDE = 2,  /* the client's packets come by a NIC */
	CONN_SOURCE = 4,   /* forward entries: there is a C */
	CONN_SWITCHED = 8, /* forward entries: client and endpoint are ports of one bridge: frames
			    * go to `dmac`, as they would directly */
	CONN_DIRECT = 16,  /* no rule's connection: the client called the endpoint itself, and
			    * another  connection has its addresses and ports already */
	CONN_TAGGED = 32,  /* with CONN_OUTSIDE: what comes in of it has a VLAN's tag. A driver may
			    * hide it from XDP, which leaves the connection to tc. */
};

enum { WSCALE_NONE = 0xff };

/*
 * Sequence numbers are those of RFC 9293, of segments that their receiver accepts: what it would
 * not take leaves the entry as it is. `end`, `ack` and `edge` only grow, modulo 2^32.
 */
struct conn {
	struct tuple to; /* the packet's addresses once translated */
	__u64 created;	 /* CLOCK_MONOTONIC, ns */
	__u64 seen;	 /* last accepted packet of this direction, CLOCK_MONOTONIC, ns */
	__u64 bytes;	 /* payload bytes of this direction, repeats not counted */
	__u64 packets;
	__u64 reservation; /* forward entries: cluster id << 32 | endpoint id, which hold a place
			    * for this connection in their `active`; 0: none. The program that swaps
			    * it to 0 gives the place back. */
	__u64 reset_at;	  /* when this direction sent a RST that its receiver may have taken; 0: not
			   */
	__u32 state;	  /* enum conn_state, forward entries; CONN_DEAD in both */
	__u32 fins_acked; /* forward entries: 1 << enum conn_dir of each direction whose FIN the
			   * other has acknowledged */
	__u32 isn;	  /* of this direction's SYN */
	__u32 end;	  /* the sequence number after all that this direction has sent */
	__u32 next;	  /* the same without gaps, and without FIN */
	__u32 ack;	  /* the highest acknowledgement number it has sent: what a RST to it must
			   * carry (RFC 5961 3.2). Valid if `open`. */
	__u32 edge;    /* the end of its receive window, as far as it has told. Valid if `open`. */
	__u32 fin_end; /* with `fin`: the acknowledgement number for its FIN */
	__u32 window;  /* of its SYN */
	/* With `syn_again`. Forward entries: another SYN of the client's, which makes the
	 * connection a new one if the endpoint answers it with SYN+ACK. Reply entries: the number
	 * of the SYN+ACK before this one, until the client has acknowledged either. */
	__u32 syn_isn;
	__u32 syn_end;
	__u32 syn_window;
	__u32 route; /* stable ids of what was decided; 0 in reply entries */
	__u32 cluster;
	__u32 endpoint;
	__u32 generation;	  /* that decided, modulo 2^32 */
	__u32 connect_timeout_ms; /* 0: the default */
	__u32 idle_timeout_ms;
	__u32 max_duration_ms;	/* 0: none */
	__u32 client_ifindex;	/* interface the client's packets enter by */
	__u32 endpoint_ifindex; /* forward entries: of the endpoint's pod; 0: it is no pod of this
				 * node. Others, with CONN_OUTSIDE and for HOOK_EGRESS: the NIC by
				 * which the node's own stack has sent the last of these packets;
				 * 0: none yet. XDP forwards only by that one. */
	__u32 reason;		/* CONN_DEAD: why (enum reason) */
	__u8 dir;		/* enum conn_dir */
	__u8 flags;		/* enum conn_flags */
	__u8 open;		/* 1: the other direction's SYN has been seen */
	__u8 started;		/* 1: this direction has acknowledged it */
	__u8 fin;		/* 1: this direction has sent what looks like its FIN */
	__u8 wscale;		/* shift of its window; WSCALE_NONE: its SYN names none */
	__u8 syn_again;
	__u8 syn_wscale;
	__u8 dmac[6]; /* with CONN_SWITCHED; or, with CONN_OUTSIDE and for HOOK_EGRESS, the
		       * next hop of that last packet: XDP forwards only to that one */
	__u8 traffic; /* forward entries: enum traffic_place, written once, when it opens */
	__u8 swept;   /* forward entries, 1: `tcp_counted` may have an entry for it */
};
_Static_assert(sizeof(struct conn) == 192, "conn has no holes");

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

/* `frags`: what only the first fragment of a packet tells of it. */
struct frag_key {
	struct addr src;
	struct addr dst;
	__u32 id; /* IPv4 identification or IPv6 fragment identification, network byte order */
	__u32 pad;
};

struct frag {
	__u16 sport;
	__u16 dport;
	__u32 seq;
	__u32 ack;
	__u16 window;
	__u8 flags;  /* of TCP */
	__u8 header; /* bytes before the payload, of what is fragmented */
};

/* `xdp_count`: what XDP has forwarded. */
struct xdp_stat {
	__u64 packets;
	__u64 bytes; /* of their frames */
};

/*
 * `xdp_nics`: __u32 ifindex of a NIC that XDP runs on -> what it may do with packets that come by
 * it, or leave by it. Written by weftd. With --xdp auto it puts off `until` as long as it sees that
 * the node would not treat the packets in any way of its own; once weftd is gone, they go up the
 * stack.
 */
struct xdp_nic {
	__u64 until; /* CLOCK_MONOTONIC, ns; all ones: for good */
	__u8 mac[6]; /* of the NIC: other frames are not for this node */
	__u8 sends;  /* 1: it sends what XDP on another NIC redirects to it */
	/* 1: new connections, too; the node's own stack has no say in them */
	__u8 opens : 1;
	/* 1: what has come by it can be answered (XDP_TX), whatever `until` says; where not, SYN
	 * cookies are tc's to send */
	__u8 answers : 1;
	/* 1: it is no bridge: no pods are behind it, whose packets would come by it as well */
	__u8 no_bridge : 1;
};
_Static_assert(sizeof(struct xdp_nic) == 16, "xdp_nic has no holes");

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
	__u8 outside;  /* 1: the pod is not in the mesh: as in struct netns_pod */
	__u8 pad[4];
};
_Static_assert(sizeof(struct pod) == 64, "pod has no holes");

/* A pod's `bridge` when its master is no bridge of the kernel's: Open vSwitch, a VRF, ... */
#define BRIDGE_OTHER 0xffffffff

/* `pod_addrs`: struct addr -> __u32 ifindex, key of `pods`: the pod whose own it is, even if
 * another claims it. */

/* `node_addrs`: struct addr of the node itself -> __u32 ifindex. */

/* `nics`: __u32 ifindex -> what a connection that must come back through this node uses as its
 * source. */
struct nic {
	struct addr addr4; /* v4-mapped; :: if none */
	struct addr addr6; /* :: if none */
	char name[16];
};

#endif
