/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_CONNTRACK_BPF_H
#define WEFT_CONNTRACK_BPF_H
/*
 * The life of an entry of `conns` (weft/conn.h) and of the reservation that it holds.
 */
#include "packet.bpf.h"
#include "reserve.bpf.h"

enum {
	BOTH_FINS = 1 << DIR_FORWARD | 1 << DIR_REPLY,
};

/* CLOCK_MONOTONIC in jiffies' resolution: plenty for timeouts and much cheaper per packet. */
static __always_inline __u64 packet_ns(void)
{
	return bpf_ktime_get_coarse_ns();
}

/*
 * Gives the reservation of a forward entry back, once however many CPUs see the connection end.
 * What it was for comes out of the swap, as the entry may be another connection's by then. `reply`
 * may be NULL.
 */
static __always_inline void release(struct conn *forward, const struct conn *reply)
{
	__u64 held = __sync_lock_test_and_set(&forward->reservation, 0);

	if (held)
		give_back(held, forward->bytes, reply ? reply->bytes : 0);
}

static __always_inline struct conn *conn_other(const struct conn *c)
{
	struct tuple key;

	tuple_reverse(&key, &c->to);
	return bpf_map_lookup_elem(&conns, &key);
}

static __always_inline int change_state(struct conn *forward, __u32 from, __u32 to)
{
	return __sync_val_compare_and_swap(&forward->state, from, to) == from;
}

/* Deletes both entries; for whoever has set CONN_REAPED. `key` is the forward one's. */
static __always_inline void conn_delete(const struct tuple *key, const struct conn *forward)
{
	struct tuple reply;

	tuple_reverse(&reply, &forward->to);
	bpf_map_delete_elem(&conns, &reply);
	bpf_map_delete_elem(&conns, key);
}

/* Both entries stay to answer stragglers with RST, of which the sender can make something. */
static __always_inline void conn_die(struct conn *forward, struct conn *reply, __u64 now,
				     enum reason reason)
{
	__u32 state = forward->state;

	if (state == CONN_REAPED || !change_state(forward, state, CONN_DEAD))
		return;
	release(forward, reply);
	forward->reason = reason;
	forward->seen = now;
	if (reply) {
		reply->state = CONN_DEAD;
		reply->reason = reason;
		reply->seen = now;
	}
}

enum conn_fate {
	FATE_KEEP = 0,
	FATE_DELETE = 1, /* this packet is the last, and ours to delete the entries after */
};

static __always_inline enum conn_fate conn_end(struct conn *forward, struct conn *reply)
{
	__u32 state = forward->state;

	release(forward, reply);
	return state != CONN_REAPED && change_state(forward, state, CONN_REAPED) ? FATE_DELETE
										 : FATE_KEEP;
}

enum reset {
	RESET_IGNORED = 0, /* its receiver would not take it either */
	RESET_POSSIBLE,	   /* its receiver may take it, or ask back (RFC 5961 3.2) */
	RESET_CERTAIN,
};

/*
 * A RST is taken if it is exactly what its receiver expects next. That may be more than it has
 * acknowledged, but not more than was sent.
 */
static __always_inline enum reset classify_reset(const struct packet *p, const struct conn *c,
						 const struct conn *other)
{
	if (c->syn_ack && (p->flags & TCP_ACK))
		return p->ack == c->syn_ack ? RESET_CERTAIN : RESET_IGNORED;
	if (!other->started || p->seq == other->ack)
		return RESET_CERTAIN;
	if ((__s32)(p->seq - other->ack) > 0 && (__s32)(p->seq - c->seq) <= 0)
		return RESET_POSSIBLE;
	return RESET_IGNORED;
}

static __always_inline enum conn_fate conn_on_reset(const struct packet *p, struct conn *c,
						    struct conn *other, struct conn *forward,
						    struct conn *reply)
{
	switch (classify_reset(p, c, other)) {
	case RESET_CERTAIN:
		if (forward->state == CONN_SYN && c->dir == DIR_REPLY)
			count_connect_fail(forward->cluster, forward->endpoint);
		return conn_end(forward, reply);
	case RESET_POSSIBLE:
		conn_die(forward, reply, packet_ns(), REASON_NONE);
		return FATE_KEEP;
	default:
		return FATE_KEEP;
	}
}

/*
 * The client's SYN, first or repeated, or on a connection that it has forgotten: then the endpoint
 * either knows better, or has forgotten it, too, and makes it a new one.
 */
static __always_inline void conn_on_syn(const struct packet *p, struct conn *c, struct conn *other)
{
	if (c->dir == DIR_FORWARD) {
		other->syn_ack = p->seq + 1;
		return;
	}
	if (!c->syn_ack || p->ack != c->syn_ack)
		return;
	c->syn_ack = 0;
	if (!change_state(other, CONN_SYN, CONN_ESTABLISHED) &&
	    !change_state(other, CONN_CLOSING, CONN_ESTABLISHED) &&
	    other->state != CONN_ESTABLISHED)
		return;
	other->fins = 0;
	other->fin = c->fin = 0;
	other->started = 0;
	other->seq = p->ack;
	c->ack = p->ack;
	c->seq = p->seq + 1;
	c->started = 1;
}

static __always_inline void conn_on_fin(const struct packet *p, struct conn *c, struct conn *other,
					struct conn *forward, struct conn *reply)
{
	__u32 bit = 1u << c->dir;

	c->fin = 1;
	other->fin_ack = p->seq + p->payload + 1;
	/* Of two FINs that cross on two CPUs, one is the second. */
	if ((__sync_fetch_and_or(&forward->fins, bit) | bit) != BOTH_FINS) {
		change_state(forward, CONN_ESTABLISHED, CONN_CLOSING);
		return;
	}
	if (!change_state(forward, CONN_CLOSING, CONN_CLOSED))
		change_state(forward, CONN_ESTABLISHED, CONN_CLOSED);
	release(forward, reply);
}

/*
 * Both FINs have been acknowledged, the client's ACK being the last: nothing can follow. The last
 * ACK of an endpoint may get lost, so then the entry stays for the client's repeated FIN until the
 * sweep.
 */
static __always_inline int conn_is_over(const struct conn *c, const struct conn *other)
{
	return c->dir == DIR_FORWARD && c->fins == BOTH_FINS && c->ack == c->fin_ack &&
	       other->ack == other->fin_ack;
}

static __always_inline void conn_count(const struct packet *p, struct conn *c)
{
	__u32 end = p->seq + p->payload + !!(p->flags & TCP_SYN) + !!(p->flags & TCP_FIN);

	if (!c->packets || (__s32)(end - c->seq) > 0)
		c->seq = end;
	if ((p->flags & TCP_ACK) && (!c->started || (__s32)(p->ack - c->ack) > 0)) {
		c->ack = p->ack;
		c->started = 1;
	}
	c->seen = packet_ns();
	__sync_fetch_and_add(&c->bytes, p->bytes);
	__sync_fetch_and_add(&c->packets, 1);
}

/*
 * A packet of a known connection. SYN, FIN and RST change its state, as does an ACK once its sender
 * has sent FIN; any other packet touches its own entry only.
 */
static __always_inline enum conn_fate conn_track(const struct packet *p, struct conn *c)
{
	struct conn *other, *forward, *reply;

	if (!(p->flags & TCP_RST))
		conn_count(p, c);
	if (!(p->flags & (TCP_SYN | TCP_FIN | TCP_RST)) && !c->fin)
		return FATE_KEEP;
	other = conn_other(c);
	if (!other)
		return FATE_KEEP;
	forward = c->dir == DIR_FORWARD ? c : other;
	reply = c->dir == DIR_FORWARD ? other : c;
	if (p->flags & TCP_RST)
		return conn_on_reset(p, c, other, forward, reply);
	if (p->flags & TCP_SYN)
		conn_on_syn(p, c, other);
	if (p->flags & TCP_FIN)
		conn_on_fin(p, c, other, forward, reply);
	return conn_is_over(c, other) ? conn_end(forward, reply) : FATE_KEEP;
}

#endif
