/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_CONNTRACK_BPF_H
#define WEFT_CONNTRACK_BPF_H
/*
 * The life of an entry of `conns` (weft/conn.h) and of the reservation that it holds.
 */
#include <linux/errno.h>

#include "packet.bpf.h"

enum {
	RESERVE_TRIES = 64,
	RESET_WINDOW =
		1 << 24, /* how far beyond what was acknowledged a RST may be to be believed */
};

/* CLOCK_MONOTONIC in jiffies' resolution: plenty for timeouts and much cheaper per packet. */
static __always_inline __u64 packet_ns(void)
{
	return bpf_ktime_get_coarse_ns();
}

static __always_inline struct cluster_stat *cluster_stat(__u32 id)
{
	return bpf_map_lookup_elem(&clusters, &id);
}

static __always_inline struct endpoint_stat *endpoint_stat(__u32 id)
{
	return bpf_map_lookup_elem(&endpoints, &id);
}

static __always_inline void raise_peak(__u64 *peak, __u64 value)
{
	int i;

	for (i = 0; i < RESERVE_TRIES; i++) {
		__u64 old = *(volatile __u64 *)peak;

		if (value <= old || __sync_val_compare_and_swap(peak, old, value) == old)
			return;
	}
}

/* Takes one of `max` (0: unlimited) connections of a cluster. Never exceeds it, not even for a
 * moment. */
static __always_inline enum reason reserve(struct cluster_stat *s, __u32 max)
{
	int i;

	if (!max) {
		raise_peak(&s->peak, __sync_fetch_and_add(&s->active, 1) + 1);
		return REASON_NONE;
	}
	for (i = 0; i < RESERVE_TRIES; i++) {
		__u64 active = *(volatile __u64 *)&s->active;

		if (active >= max)
			return REASON_OVERFLOW;
		if (__sync_val_compare_and_swap(&s->active, active, active + 1) == active) {
			raise_peak(&s->peak, active + 1);
			return REASON_NONE;
		}
	}
	return REASON_RESERVE_CONTENTION;
}

/*
 * Gives the reservation of a forward entry back, once however many CPUs see the connection end.
 * `reply` may be NULL.
 */
static __always_inline void release(struct conn *forward, const struct conn *reply)
{
	struct endpoint_stat *e;
	struct cluster_stat *c;

	if (__sync_val_compare_and_swap(&forward->reserved, 1, 0) != 1)
		return;
	c = cluster_stat(forward->cluster);
	if (c) {
		__sync_fetch_and_add(&c->active, -1);
		__sync_fetch_and_add(&c->tx_bytes, forward->bytes);
		if (reply)
			__sync_fetch_and_add(&c->rx_bytes, reply->bytes);
	}
	e = endpoint_stat(forward->endpoint);
	if (e)
		__sync_fetch_and_add(&e->active, -1);
}

static __always_inline void count_connect_fail(const struct conn *forward)
{
	struct cluster_stat *c = cluster_stat(forward->cluster);
	struct endpoint_stat *e = endpoint_stat(forward->endpoint);

	if (c)
		__sync_fetch_and_add(&c->connect_fail, 1);
	if (e)
		__sync_fetch_and_add(&e->connect_fail, 1);
}

static __always_inline struct conn *conn_other(const struct conn *c)
{
	struct tuple key;

	tuple_reverse(&key, &c->to);
	return bpf_map_lookup_elem(&conns, &key);
}

/* Deletes both entries. `key` is the forward one's. */
static __always_inline void conn_delete(const struct tuple *key, struct conn *forward)
{
	struct tuple reply;

	tuple_reverse(&reply, &forward->to);
	bpf_map_delete_elem(&conns, &reply);
	bpf_map_delete_elem(&conns, key);
}

/* A RST counts if its receiver would take it: within the window of what that has acknowledged (RFC
 * 5961 3.2). */
static __always_inline int reset_is_plausible(const struct packet *p, const struct conn *other)
{
	return !other->started || p->seq - other->ack < RESET_WINDOW;
}

static __always_inline void conn_on_ack(const struct packet *p, struct conn *c)
{
	if (c->started && (__s32)(p->ack - c->ack) < 0)
		return;
	c->ack = p->ack;
	c->started = 1;
}

enum conn_fate {
	FATE_KEEP = 0,
	FATE_DELETE = 1, /* this packet is the last: delete the entries once it is on its way */
};

static __always_inline enum conn_fate conn_on_reset(const struct packet *p, struct conn *c,
						    struct conn *other, struct conn *forward)
{
	if (!reset_is_plausible(p, other))
		return FATE_KEEP;
	if (forward->state == CONN_SYN && c->dir == DIR_REPLY)
		count_connect_fail(forward);
	return FATE_DELETE;
}

static __always_inline void conn_on_fin(const struct packet *p, struct conn *c, struct conn *other,
					struct conn *forward, struct conn *reply)
{
	c->fin = 1;
	other->fin_ack = p->seq + p->payload + !!(p->flags & TCP_SYN) + 1;
	if (!other->fin) {
		forward->state = CONN_CLOSING;
		return;
	}
	forward->state = CONN_CLOSED;
	release(forward, reply);
}

/* Both FINs have been acknowledged, the client's ACK being the last: nothing can follow. The last
 * ACK of an endpoint may get lost, so then the entry stays for the client's repeated FIN until the
 * sweep. */
static __always_inline int conn_is_over(const struct conn *c, const struct conn *other)
{
	return c->dir == DIR_FORWARD && c->fin && other->fin && c->ack == c->fin_ack &&
	       other->ack == other->fin_ack;
}

/*
 * A packet of a known connection. SYN, FIN and RST change its state, as does an ACK once both FINs
 * are out; any other packet touches its own entry only.
 */
static __always_inline enum conn_fate conn_track(const struct packet *p, struct conn *c)
{
	struct conn *other, *forward, *reply;

	c->seen = packet_ns();
	__sync_fetch_and_add(&c->bytes, p->bytes);
	__sync_fetch_and_add(&c->packets, 1);
	if (p->flags & TCP_ACK)
		conn_on_ack(p, c);
	if (!(p->flags & (TCP_SYN | TCP_FIN | TCP_RST)) && !c->fin)
		return FATE_KEEP;
	other = conn_other(c);
	if (!other)
		return FATE_KEEP;
	forward = c->dir == DIR_FORWARD ? c : other;
	reply = c->dir == DIR_FORWARD ? other : c;
	if (p->flags & TCP_RST) {
		if (conn_on_reset(p, c, other, forward) == FATE_KEEP)
			return FATE_KEEP;
		release(forward, reply);
		return FATE_DELETE;
	}
	if (p->flags & TCP_SYN) {
		if (c->dir == DIR_REPLY && forward->state == CONN_SYN)
			forward->state = CONN_ESTABLISHED;
		return FATE_KEEP;
	}
	if (p->flags & TCP_FIN)
		conn_on_fin(p, c, other, forward, reply);
	return conn_is_over(c, other) ? FATE_DELETE : FATE_KEEP;
}

#endif
