/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef WEFT_PROTECT_H
#define WEFT_PROTECT_H
/*
 * What a ConnectionPolicy asks of the programs on the node's NICs (bpf/protect.bpf.h): which
 * callers from outside are heard, how many new connections they may ask for, and which of them must
 * prove first that they are where they say.
 *
 * It is about TCP to what weft serves from outside: ports of the node, addresses of load balancers
 * and other external ones. With `ports`, about those ports of the node's own addresses, whoever
 * listens there, and of such external ones.
 *
 * Written by weftd only, in an order that lets through what both the old policy and the new one let
 * through: it adds the rows of `protect_sources` that are new, puts the new limits in force, and
 * then deletes the rows that are no more. A row whose verdict changes is written in one step.
 */
#include "addr.h"

/* `protect_sources`, a BPF_MAP_TYPE_LPM_TRIE: struct protect_key -> __u32 enum protect_source. The
 * row with the longest prefix that a caller's address is in counts; a verdict of 0 is as good as no
 * row, and hides what shorter ones say. */
enum protect_source {
	PROTECT_ALLOW = 1,
	PROTECT_DENY = 2,
};

/* The bytes of a struct addr, which itself would leave a hole behind the first field. A prefix of
 * IPv4 is 96 bits longer than it is written. */
struct protect_key {
	__u32 prefixlen;
	__u8 addr[16];
};
_Static_assert(sizeof(struct protect_key) == 20, "the address follows the prefix's length");

enum {
	PROTECT_SOURCES_MAX = 65536, /* rows of `protect_sources` */
	PROTECT_PORTS_MAX = 64,
	PROTECT_PAUSE_MS = 100, /* between two changes of `protect`: see there */
};

enum protect_flags {
	PROTECT_ON = 1,		    /* there is a policy; without it nothing else counts */
	PROTECT_ALLOW_LISTED = 2,   /* only sources that a PROTECT_ALLOW is for */
	PROTECT_COOKIES_ALWAYS = 4, /* each new connection proves where it comes from */
	PROTECT_COOKIES_AUTO = 8,   /* the same while more than `cookie_threshold` are asked for */
};

/*
 * `protect`, an array of two entries. `protect_turn`, an array of one __u64, says which of them is
 * in force: entry N % 2, or neither while N is 0. To change it, weftd writes entry (N + 1) % 2, and
 * then stores N + 1: a program reads the number once for each packet, and then an entry that is not
 * being written. As a program may still be reading the entry of before, weftd leaves at least
 * PROTECT_PAUSE_MS between two changes. No policy is an entry without PROTECT_ON.
 *
 * Rates are per second and on this node. `burst` is how many may come at once; 0: as many as
 * `rate`.
 */
struct protect_limits {
	__u32 flags;			 /* enum protect_flags */
	__u32 source_rate, source_burst; /* new connections of one address, or of one /64 of
					  * IPv6; rate 0: unlimited */
	__u32 total_rate, total_burst;	 /* of all of them; rate 0: unlimited */
	__u32 cookie_threshold;		 /* SYNs per second */
	__u32 port_count;		 /* 0: all that is served from outside */
	__u16 ports[PROTECT_PORTS_MAX];	 /* host byte order */
};
_Static_assert(sizeof(struct protect_limits) == 28 + 2 * PROTECT_PORTS_MAX,
	       "protect_limits has no holes");

/*
 * A token bucket in one word (the generic cell rate algorithm): when it will be full again. Each
 * token that is taken puts that off by 1 / rate. `protect_buckets`: struct addr (of IPv6 its first
 * 64 bits) -> ; the least recently used make room. `protect_meters`: enum protect_meter -> .
 */
struct protect_bucket {
	__u64 full_at; /* CLOCK_MONOTONIC, ns */
};

enum protect_meter {
	PROTECT_METER_TOTAL = 0, /* of `total_rate` */
	PROTECT_METER_SYNS,	 /* of `cookie_threshold`: all SYNs that are not denied */
	PROTECT_METER_COOKIES,	 /* until then cookies are asked for; PROTECT_COOKIES_AUTO */
	PROTECT_METERS,
};

/*
 * `protect_proven`: struct tuple (of a SYN, `hook` 0) -> __u64 CLOCK_MONOTONIC, ns, until which
 * such SYNs pass: their sender has returned the cookie that was sent to it.
 */

/*
 * `protect_dsts`, a per-CPU array: what programs have found of an address and a port that packets
 * go to. It counts in the jiffy that it was found in only, and for the same generation: a flood
 * goes to few of them.
 */
enum protect_dst_flags {
	PROTECT_DST_NODE = 1,	/* an address of the node */
	PROTECT_DST_SERVED = 2, /* callers from outside are served there, by rules */
	PROTECT_NIC_PLAIN = 4,	/* no pods are behind the NIC (no_bridge of struct xdp_nic) */
};

enum { PROTECT_DSTS = 64 };

struct protect_dst {
	struct addr dst;
	__u64 generation;
	__u64 jiffies; /* 0: there is nothing here */
	__u32 ifindex; /* of the NIC */
	__u16 port;
	__u16 flags; /* enum protect_dst_flags */
};
_Static_assert(sizeof(struct protect_dst) == 40, "protect_dst has no holes");

/* `protect_count`, a per-CPU array of __u64: packets. */
enum protect_reason {
	PROTECT_PASSED_SYN,  /* passed: a new connection within all limits */
	PROTECT_DENIED,	     /* dropped: from a source of `deny` */
	PROTECT_NOT_ALLOWED, /* dropped: from no source of `allow` */
	PROTECT_SOURCE_RATE, /* dropped: a SYN beyond newConnections.perSource */
	PROTECT_TOTAL_RATE,  /* dropped: a SYN beyond newConnections.total */
	PROTECT_MALFORMED,   /* dropped: flags or lengths that no TCP sends */
	PROTECT_SPOOFED,     /* dropped: a source address that comes from no network */
	PROTECT_COOKIE_SENT, /* answered: a SYN, with a cookie */
	PROTECT_COOKIE_GOOD, /* dropped, as it has served: a RST with the cookie that was sent */
	PROTECT_COOKIE_BAD,  /* passed: a RST without one, of no connection that was steered */
	PROTECT_UNANSWERED,  /* dropped: a SYN that no cookie could be sent for */
	PROTECT_REASONS,
};

#endif
