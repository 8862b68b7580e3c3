/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_REFUSAL_BPF_H
#define WEFT_REFUSAL_BPF_H
/*
 * Telling `weft logs` which connections were refused. While nothing follows, the ring is full, and
 * nothing is written.
 */
#include "maps.h"

/* The kernel keeps 8 bytes with each, and one byte of the ring free. Asked for without the ring's
 * lock, which all CPUs share: many connections may be refused at a time. */
static __always_inline int has_room_for_refusal(void)
{
	return bpf_ringbuf_query(&refusals, BPF_RB_AVAIL_DATA) + sizeof(struct refusal_event) + 8 <
	       bpf_ringbuf_query(&refusals, BPF_RB_RING_SIZE);
}

/* A place for one, to be handed over with tell_refusal(); NULL: none is free. */
static __always_inline struct refusal_event *new_refusal(__u32 reason)
{
	struct refusal_event *e =
		has_room_for_refusal() ? bpf_ringbuf_reserve(&refusals, sizeof(*e), 0) : NULL;

	if (!e)
		return NULL;
	e->time = bpf_ktime_get_ns();
	e->reason = reason;
	e->cluster = 0;
	return e;
}

/* weftd looks by itself: it is not woken. */
static __always_inline void tell_refusal(struct refusal_event *e)
{
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
}

/* Of a packet's connection. */
static __always_inline void tell_refused(const struct tuple *t, __u32 reason)
{
	struct refusal_event *e = new_refusal(reason);

	if (!e)
		return;
	e->t = *t;
	tell_refusal(e);
}

#endif
