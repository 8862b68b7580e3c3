// SPDX-License-Identifier: GPL-2.0
/*
 * Ends the connections that no packet will end: run by weftd, once a second or more often.
 */
#include "conntrack.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum { ORPHAN_NS = 1000000000 };

/* Seconds without a packet. Half-open and half-closed are short, as in the kernel's own connection
 * tracking. */
const volatile __u32 half_open_s = 10;
const volatile __u32 half_closed_s = 120;
const volatile __u32 closed_s = 5;
const volatile __u32 dead_s = 60;
const volatile __u32 established_s = 432000;

static __always_inline int is_gone(const struct addr *a)
{
	return bpf_map_lookup_elem(&gone_addrs, a) != NULL;
}

static __always_inline int has_pod(__u32 ifindex)
{
	return bpf_map_lookup_elem(&pods, &ifindex) != NULL;
}

static __always_inline int has_interface(__u32 ifindex)
{
	return has_pod(ifindex) || bpf_map_lookup_elem(&nics, &ifindex);
}

/* Asks weftd for a RST to the sender of the packets that `c` is for. */
static __always_inline void request_reset(const struct tuple *key, const struct conn *c, __u32 ack,
					  int has_ack)
{
	struct reset_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return;
	tuple_reverse(&e->packet, key);
	e->seq = c->ack;
	e->ack = ack;
	e->has_ack = has_ack;
	e->pad = 0;
	bpf_ringbuf_submit(e, 0);
}

/* The reservation goes back at once; the entries stay to answer stragglers with RST. */
static __always_inline void kill(struct sweep_args *args, const struct tuple *key,
				 struct conn *forward, struct conn *reply, enum reason reason)
{
	struct tuple reply_key;

	count_reason(reason);
	release(forward, reply);
	if (forward->state == CONN_SYN && reply) {
		count_connect_fail(forward);
		request_reset(key, forward, reply->ack, 1);
	} else if (reason == REASON_TIMED_OUT && forward->started) {
		request_reset(key, forward, 0, 0);
	}
	if (reason == REASON_TIMED_OUT && reply && reply->started) {
		tuple_reverse(&reply_key, &forward->to);
		request_reset(&reply_key, reply, 0, 0);
	}
	if (reply) {
		reply->state = CONN_DEAD;
		reply->reason = reason;
	}
	forward->state = CONN_DEAD;
	forward->reason = reason;
	forward->seen = bpf_ktime_get_ns();
	args->killed++;
}

static __always_inline __u64 ms_or(__u32 ms, __u32 seconds)
{
	return ms ? ms * 1000000ull : seconds * 1000000000ull;
}

/* How long a connection may go on without a packet. */
static __always_inline __u64 silence_allowed(const struct conn *forward)
{
	switch (forward->state) {
	case CONN_SYN:
		return ms_or(forward->connect_timeout_ms, half_open_s);
	case CONN_ESTABLISHED:
		return ms_or(forward->idle_timeout_ms, established_s);
	case CONN_CLOSING:
		return half_closed_s * 1000000000ull;
	case CONN_CLOSED:
		return closed_s * 1000000000ull;
	default:
		return dead_s * 1000000000ull;
	}
}

static __always_inline void delete_both(struct sweep_args *args, const struct tuple *key,
					struct conn *forward, struct conn *reply)
{
	release(forward, reply);
	conn_delete(key, forward);
	args->ended++;
}

static __always_inline void sweep_forward(struct sweep_args *args, const struct tuple *key,
					  struct conn *forward)
{
	struct conn *reply = conn_other(forward);
	__u64 now = bpf_ktime_get_ns(), last = forward->seen, since;

	if (reply && reply->seen > last)
		last = reply->seen;
	/* SYNs repeated are no progress. */
	since = forward->state == CONN_SYN ? forward->created : last;
	if (!has_interface(forward->client_ifindex) || (args->check_gone && is_gone(&key->src))) {
		delete_both(args, key, forward, reply);
		return;
	}
	if (forward->state == CONN_CLOSED || forward->state == CONN_DEAD) {
		if (now > since + silence_allowed(forward))
			delete_both(args, key, forward, reply);
		return;
	}
	if ((forward->way.deliver == DELIVER_PEER && !has_pod(forward->way.ifindex)) ||
	    (args->check_gone && is_gone(&forward->to.dst))) {
		kill(args, key, forward, reply, REASON_POD_GONE);
		return;
	}
	if (now > since + silence_allowed(forward) ||
	    (forward->max_duration_ms &&
	     now > forward->created + forward->max_duration_ms * 1000000ull)) {
		kill(args, key, forward, reply, REASON_TIMED_OUT);
		return;
	}
	args->live += forward->reserved;
}

static long sweep_entry(void *map, struct tuple *key, struct conn *c, struct sweep_args **ctx)
{
	struct sweep_args *args = *ctx;

	args->entries++;
	if (c->dir == DIR_FORWARD)
		sweep_forward(args, key, c);
	else if (bpf_ktime_get_ns() > c->seen + ORPHAN_NS && !conn_other(c))
		bpf_map_delete_elem(&conns,
				    key); /* its forward entry never came to be, or went alone */
	return 0;
}

SEC("syscall")
int sweep(struct sweep_args *args)
{
	struct sweep_args local = { .check_gone = args->check_gone }, *p = &local;

	bpf_for_each_map_elem(&conns, sweep_entry, &p, 0);
	args->entries = local.entries;
	args->ended = local.ended;
	args->killed = local.killed;
	args->live = local.live;
	return 0;
}
