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

/* In and out of the `sweep` program (BPF_PROG_TYPE_SYSCALL, run by weftd with BPF_PROG_TEST_RUN).
 */
struct sweep_args {
	__u32 check_gone; /* in: 1 if `gone_addrs` has entries */
	__u32 entries;	  /* out: entries of `conns` visited */
	__u32 ended;	  /* out: connections deleted */
	__u32 killed;	  /* out: connections reset: pod gone or timed out */
	__u32 live;	  /* out: connections that hold a reservation */
	__u32 pad;
};

#endif
