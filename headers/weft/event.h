/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef WEFT_EVENT_H
#define WEFT_EVENT_H
/*
 * What BPF asks of weftd.
 */
#include "addr.h"

/*
 * `events` (ring buffer): send this TCP packet without data, because no packet is at hand that it
 * could be made of: the RST of a connection that has timed out, or an ACK that asks whether the
 * receiver still knows the connection.
 */
struct reset_event {
	struct tuple packet; /* as its receiver shall see it */
	__u32 seq;
	__u32 ack;   /* with ACK */
	__u32 flags; /* of TCP */
	__u32 pad;
};

/*
 * `events`, too: end this connection of a socket, which has timed out or whose endpoint is gone; or
 * see whether it is idle.
 */
struct sock_event {
	struct tuple t; /* as its packets travel: the pod's own address and port -> endpoint */
	__u64 cookie;	/* of the socket */
	__u64 netns;	/* cookie of its network namespace */
	__u32 ifindex;	/* that it is bound to, or 0 */
	__u32 idle_ms;	/* 0: end it; else only if no data has been sent or received for so long */
};
_Static_assert(sizeof(struct sock_event) != sizeof(struct reset_event), "told apart by size");

/* `refusals` (ring buffer): a connection that was refused, or whose SYN was dropped. */
struct refusal_event {
	__u64 time; /* CLOCK_MONOTONIC, ns */
	struct tuple
		t;     /* the caller -> what it called; its port is 0 where connect() was refused */
	__u32 reason;  /* enum reason */
	__u32 cluster; /* stable id; 0: none, or not known */
};

/* In and out of the `sweep` program (BPF_PROG_TYPE_SYSCALL, run by weftd with BPF_PROG_TEST_RUN).
 */
struct sweep_args {
	__u32 check_gone; /* in: 1 if `gone_addrs` has entries */
	__u32 entries;	  /* out: entries of `conns` visited */
	__u32 ended;	  /* out: connections deleted */
	__u32 killed;	  /* out: connections reset: pod gone or timed out */
	__u32 live;	  /* out: connections that hold a reservation */
	__u32 untold;	  /* out: connections of sockets that `events` had no room for */
	__u32 skip_socks; /* in: 1 if `socks` is empty */
	__u32 pad;
};

enum sock_news {
	SOCK_ACTIVE, /* data was last sent or received at `active` */
	SOCK_IDLE,   /* it is ended, as it is idle */
	SOCK_GONE,   /* there is no such socket */
};

/* In of the `sock_note` program, likewise: what weftd has found out of a connection. */
struct sock_note {
	__u64 cookie;
	__u64 active; /* CLOCK_MONOTONIC, ns */
	__u32 news;   /* enum sock_news */
	__u32 pad;
};

#endif
