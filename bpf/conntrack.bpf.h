/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_CONNTRACK_BPF_H
#define WEFT_CONNTRACK_BPF_H
/*
 * The life of an entry of `conns` (weft/conn.h) and of the reservation that it holds. A segment
 * changes an entry only if its receiver would take it (RFC 9293 3.10.7, RFC 5961): else the sender
 * that repeats, reorders or forges one could end a connection here that lives on, or the other way
 * round.
 */
#include "packet.bpf.h"
#include "reserve.bpf.h"
#include "traffic.bpf.h"

enum {
	BOTH_FINS = 1 << DIR_FORWARD | 1 << DIR_REPLY,
};

/* CLOCK_MONOTONIC in jiffies' resolution: plenty for timeouts and much cheaper per packet. */
static __always_inline __u64 packet_ns(void)
{
	return bpf_ktime_get_coarse_ns();
}

/* ---- entries ---- */

/* Whether there are any: it costs much less than to look for one. */
static __always_inline int has_conns(void)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&conn_count, &zero);

	return count && *(volatile __u64 *)count;
}

struct bpf_map {
	__u32 max_entries;
} __attribute__((preserve_access_index));

/* More than an eighth of `conns` is in use: what is only kept for good measure must not fill it. */
static __always_inline int is_crowded(void)
{
	const struct bpf_map *map = (const void *)&conns;
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&conn_count, &zero);

	return count && *count > map->max_entries / 8;
}

static __always_inline void count_conns(__s64 n)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&conn_count, &zero);

	if (count)
		__sync_fetch_and_add(count, n);
}

static __always_inline void conn_remove(const struct tuple *key)
{
	int r = bpf_map_delete_elem(&conns, key);

	if (!r)
		count_conns(-1);
}

/* The key of a forward entry's reply entry, and of a reply entry's forward entry. */
static __always_inline void conn_other_key(const struct conn *c, struct tuple *key)
{
	tuple_back(key, &c->to,
		   c->dir == DIR_FORWARD && !(c->flags & CONN_HAIRPIN) ? HOOK_EGRESS
								       : HOOK_INGRESS);
}

static __always_inline struct conn *conn_other(const struct conn *c)
{
	struct tuple key;

	conn_other_key(c, &key);
	return bpf_map_lookup_elem(&conns, &key);
}

/* The two entries that only translate, for B and C. */
static __noinline void conn_delete_source(const struct conn *forward)
{
	struct tuple key = forward->to; /* one for both: the stack is small */
	struct conn *out;

	key.hook = HOOK_EGRESS;
	out = bpf_map_lookup_elem(&conns, &key);
	if (!out || out->dir != DIR_TRANSLATE)
		return;
	tuple_reverse(&key, &out->to);
	conn_remove(&key);
	key = forward->to;
	key.hook = HOOK_EGRESS;
	conn_remove(&key);
}

/*
 * Deletes all entries; for the program that has set CONN_REAPED. `key` is the forward one's. The
 * reply entry tells which connection B belongs to, so the entries that depend on it go before it.
 */
static __always_inline void conn_delete(const struct tuple *key, const struct conn *forward)
{
	struct tuple reply;

	conn_other_key(forward, &reply);
	if (forward->flags & CONN_SOURCE)
		conn_delete_source(forward);
	conn_remove(&reply);
	conn_remove(key);
}

/* ---- who talks to whom ---- */

static __always_inline void conn_traffic_key(const struct conn *forward, __u64 held,
					     struct tcp_traffic_key *key)
{
	__builtin_memset(key, 0, sizeof(*key));
	if (!(forward->flags & CONN_OUTSIDE))
		key->caller = forward->flags & CONN_HAIRPIN ? forward->to.dst : forward->to.src;
	key->cluster = held >> 32;
	key->endpoint = held;
}

/* The endpoint has answered. */
GLOBAL_FUNC int conn_count_open(struct conn *forward)
{
	struct tcp_traffic_key key;
	__u64 held = forward ? forward->reservation : 0;

	if (!held || forward->traffic)
		return 0;
	conn_traffic_key(forward, held, &key);
	forward->traffic = traffic_open(&key);
	return 0;
}

/* `held`: what its reservation was. No GLOBAL_FUNC: Linux 6.1 takes `to` for a key only where it is
 * known to be a map's. */
static __noinline void conn_count_end(const struct conn *forward, const struct conn *reply,
				      __u64 held)
{
	struct tcp_traffic_key key;

	conn_traffic_key(forward, held, &key);
	traffic_close(&key, forward->traffic, &forward->to, forward->swept, forward->bytes,
		      reply ? reply->bytes : 0);
}

/* ---- the reservation ---- */

/*
 * Gives the reservation of a forward entry back, once however many CPUs see the connection end.
 * What it was for comes out of the swap, as the entry may be another connection's by then. `reply`
 * may be NULL.
 */
static __always_inline void release(struct conn *forward, const struct conn *reply)
{
	__u64 held = __sync_lock_test_and_set(&forward->reservation, 0);

	if (!held)
		return;
	give_back(held, forward->bytes, reply ? reply->bytes : 0);
	if (forward->traffic)
		conn_count_end(forward, reply, held);
}

static __always_inline int change_state(struct conn *forward, __u32 from, __u32 to)
{
	return __sync_val_compare_and_swap(&forward->state, from, to) == from;
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
	CONN_KEEP = 0,
	CONN_DELETE = 1, /* this packet is the last, and ours to delete the entries after */
};

static __always_inline enum conn_fate conn_end(struct conn *forward, struct conn *reply)
{
	__u32 state = forward->state;

	release(forward, reply);
	return state != CONN_REAPED && change_state(forward, state, CONN_REAPED) ? CONN_DELETE
										 : CONN_KEEP;
}

/* ---- segments ---- */

static __always_inline int seq_before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

static __always_inline int seq_after(__u32 a, __u32 b)
{
	return seq_before(b, a);
}

/* The sequence number after a segment. */
static __always_inline __u32 seq_end(const struct packet *p)
{
	return p->seq + p->payload + !!(p->flags & TCP_SYN) + !!(p->flags & TCP_FIN);
}

/* Whether `ack` acknowledges a SYN: all of it, and as much of its data as the other took. */
static __always_inline int acks_syn(__u32 ack, __u32 isn, __u32 end)
{
	return seq_after(ack, isn) && !seq_after(ack, end);
}

/* What the two sides have told each other with their SYNs. Windows are scaled if both will have it.
 */
static __always_inline void agree_on_wscale(struct conn *a, struct conn *b)
{
	if (a->wscale != WSCALE_NONE && b->wscale != WSCALE_NONE)
		return;
	a->wscale = b->wscale = 0;
}

/* A SYN of the endpoint's that the client will take. */
static __always_inline void take_syn(const struct packet *p, struct conn *forward,
				     struct conn *reply)
{
	reply->syn_again = reply->open;
	reply->syn_isn = reply->isn;
	reply->isn = p->seq;
	reply->end = reply->next = seq_end(p);
	reply->window = p->window;
	reply->wscale = p->wscale;
	reply->fin = 0;
	reply->reset_at = 0;
	reply->seen = packet_ns();
	forward->ack = p->seq + 1;
	forward->edge = forward->ack + forward->window;
	forward->open = 1;
	__sync_fetch_and_add(&reply->packets, 1);
}

/* The endpoint has acknowledged the client's SYN. */
static __always_inline void open_with(const struct packet *p, struct conn *forward,
				      struct conn *reply)
{
	agree_on_wscale(forward, reply);
	reply->ack = p->ack;
	reply->edge = p->ack + ((__u32)p->window << (p->flags & TCP_SYN ? 0 : reply->wscale & 15));
	reply->open = reply->started = 1;
	if (change_state(forward, CONN_SYN, CONN_ESTABLISHED))
		conn_count_open(forward);
}

/* The endpoint has forgotten the connection that the client has forgotten, too. */
static __always_inline void start_over(struct conn *forward, struct conn *reply)
{
	__u32 state = forward->state;

	if (state >= CONN_CLOSED || !change_state(forward, state, CONN_SYN))
		return;
	forward->isn = forward->syn_isn;
	forward->end = forward->next = forward->syn_end;
	forward->window = forward->syn_window;
	forward->wscale = forward->syn_wscale;
	forward->syn_again = forward->started = forward->fin = 0;
	forward->fins_acked = 0;
	forward->reset_at = reply->reset_at = 0;
	forward->created = forward->seen = packet_ns();
}

/*
 * The endpoint's SYN, with or without ACK (RFC 9293 3.10.7.3). While the client has acknowledged
 * nothing, one with another number may take its place: what answers with SYN cookies keeps none.
 */
static __always_inline void on_endpoint_syn(const struct packet *p, struct conn *forward,
					    struct conn *reply)
{
	int again = reply->open && p->seq == reply->isn;

	if (!(p->flags & TCP_ACK)) {
		if (forward->state == CONN_SYN)
			take_syn(p, forward, reply);
		return;
	}
	if (!again &&
	    (forward->state == CONN_SYN ||
	     (forward->state == CONN_ESTABLISHED && !forward->started)) &&
	    acks_syn(p->ack, forward->isn, forward->end)) {
		take_syn(p, forward, reply);
		open_with(p, forward, reply);
		return;
	}
	if (again || !forward->syn_again || !acks_syn(p->ack, forward->syn_isn, forward->syn_end) ||
	    forward->state >= CONN_CLOSED)
		return;
	start_over(forward, reply);
	take_syn(p, forward, reply);
	open_with(p, forward, reply);
}

/*
 * The client's SYN, repeated, or for a connection that it has forgotten: then the endpoint either
 * knows better, or has forgotten it, too, and makes it a new one. With ACK: see take_syn().
 */
static __always_inline void on_client_syn(const struct packet *p, struct conn *forward,
					  const struct conn *reply)
{
	if (p->flags & TCP_ACK) {
		if (forward->open && p->seq == forward->isn && p->ack == reply->isn + 1) {
			forward->started = 1;
			forward->seen = packet_ns();
		}
		return;
	}
	if (p->seq == forward->isn && forward->state == CONN_SYN) {
		if (seq_after(seq_end(p), forward->end))
			forward->end = forward->next = seq_end(p);
		forward->window = p->window;
		forward->seen = packet_ns();
		return;
	}
	if (p->seq == forward->isn)
		return;
	forward->syn_isn = p->seq;
	forward->syn_end = seq_end(p);
	forward->syn_window = p->window;
	forward->syn_wscale = p->wscale;
	forward->syn_again = 1;
}

/* The first acknowledgement says which of two SYN+ACKs the client has taken: the one before. */
static __always_inline void choose_syn_ack(const struct packet *p, struct conn *forward,
					   struct conn *reply)
{
	if (forward->started || !reply->syn_again || p->ack != reply->syn_isn + 1)
		return;
	reply->syn_again = 0;
	reply->isn = reply->syn_isn;
	reply->end = reply->next = forward->ack = p->ack;
	forward->edge = forward->ack + forward->window;
}

enum reset {
	RESET_IGNORED = 0, /* its receiver would not take it either */
	RESET_POSSIBLE,	   /* its receiver may take it, or ask back (RFC 5961 3.2) */
	RESET_CERTAIN,
};

/* An answer to the client's SYN, which names no sequence number of the client's but by its ACK. */
static __always_inline enum reset classify_refusal(const struct packet *p,
						   const struct conn *forward)
{
	if (!(p->flags & TCP_ACK))
		return forward->state == CONN_SYN && forward->open && p->seq == forward->ack
			       ? RESET_POSSIBLE
			       : RESET_IGNORED;
	if (forward->state == CONN_SYN && acks_syn(p->ack, forward->isn, forward->end))
		return RESET_CERTAIN;
	/* Of another SYN, which may be none of the client's. */
	if (forward->syn_again && acks_syn(p->ack, forward->syn_isn, forward->syn_end))
		return RESET_POSSIBLE;
	return RESET_IGNORED;
}

/*
 * A RST is taken if it is exactly what its receiver expects next: what that is, we know for certain
 * only while nothing is under way to it. Linux also takes one with the number of a FIN that it has
 * acknowledged.
 */
static __always_inline enum reset classify_reset(const struct packet *p, const struct conn *c,
						 const struct conn *other,
						 const struct conn *forward)
{
	if (c->dir == DIR_REPLY) {
		enum reset r = classify_refusal(p, forward);

		if (r || forward->state == CONN_SYN)
			return r;
	}
	if (!other->open)
		return acks_syn(p->seq, c->isn, c->end) ? RESET_POSSIBLE : RESET_IGNORED;
	if (p->seq == other->ack && c->end == other->ack)
		return other->started || (p->flags & TCP_ACK &&
					  acks_syn(p->ack, other->isn, other->end))
			       ? RESET_CERTAIN
			       : RESET_POSSIBLE;
	if (!seq_before(p->seq, other->ack) && !seq_after(p->seq, c->end) &&
	    !seq_after(p->seq, other->edge))
		return RESET_POSSIBLE;
	return c->fin && other->ack == c->fin_end && p->seq + 1 == other->ack ? RESET_POSSIBLE
									      : RESET_IGNORED;
}

static __always_inline enum conn_fate on_reset(const struct packet *p, struct conn *c,
					       struct conn *other, struct conn *forward,
					       struct conn *reply)
{
	switch (classify_reset(p, c, other, forward)) {
	case RESET_CERTAIN:
		if (forward->state == CONN_SYN && c->dir == DIR_REPLY)
			count_connect_fail(forward->cluster, forward->endpoint);
		return conn_end(forward, reply);
	case RESET_POSSIBLE:
		c->reset_at = packet_ns();
		return CONN_KEEP;
	default:
		return CONN_KEEP;
	}
}

/*
 * Whether the other end would take this acknowledgement, or pass over it for being old: not older
 * than a window (RFC 5961 5.2), or, with the first one, than the connection.
 */
static __always_inline int is_acceptable_ack(__u32 ack, const struct conn *c,
					     const struct conn *other)
{
	__u32 window = (c->edge - c->ack) | 0xffff;

	if (seq_after(ack, other->end))
		return 0;
	return c->started ? !seq_before(ack, c->ack - window) : seq_after(ack, other->isn);
}

/* Whether the receiver of a segment takes it, or at least what it acknowledges (RFC 9293 3.10.7.4).
 */
static __always_inline int is_acceptable(const struct packet *p, const struct conn *c,
					 const struct conn *other)
{
	return p->flags & TCP_ACK && other->open && !seq_before(seq_end(p), other->ack) &&
	       !seq_after(p->seq, other->edge) && is_acceptable_ack(p->ack, c, other);
}

/* Moves `next` on: over a segment, and what the other end acknowledges has no gaps either. */
static __always_inline void advance_next(const struct packet *p, struct conn *c,
					 const struct conn *other)
{
	__u32 end = p->seq + p->payload;

	if (seq_before(c->next, other->ack) && !(c->fin && other->ack == c->fin_end))
		c->next = other->ack;
	if (!seq_after(p->seq, c->next) && seq_after(end, c->next))
		c->next = end;
}

/* A FIN is behind all that its sender has sent: where there has been data, it is hardly the
 * sender's. */
static __always_inline int is_plausible_fin(const struct conn *c, __u32 fin_end)
{
	return seq_after(fin_end, c->next);
}

/* Of two that may be it, its receiver comes to the first one first. */
static __always_inline void note_fin(struct conn *c, struct conn *forward, __u32 end)
{
	int plausible = is_plausible_fin(c, end);

	if (c->fin && (is_plausible_fin(c, c->fin_end) ? !plausible || !seq_before(end, c->fin_end)
						       : !plausible))
		return;
	c->fin_end = end;
	c->fin = 1;
	change_state(forward, CONN_ESTABLISHED, CONN_CLOSING);
}

/*
 * `c` may have acknowledged the other's FIN, beyond which its receiver takes nothing. Once both
 * are, entries are only kept in case the last ACK gets lost.
 */
static __always_inline enum conn_fate note_fin_acked(struct conn *c, struct conn *other,
						     struct conn *forward, struct conn *reply)
{
	__u32 bit = 1u << other->dir;

	if (seq_after(c->ack, other->fin_end)) {
		/* It has not been taken for one. */
		other->fin = 0;
		__sync_fetch_and_and(&forward->fins_acked, ~bit);
		if (!c->fin)
			change_state(forward, CONN_CLOSING, CONN_ESTABLISHED);
		return CONN_KEEP;
	}
	if (!is_plausible_fin(other, other->fin_end) || c->ack != other->fin_end ||
	    (__sync_fetch_and_or(&forward->fins_acked, bit) | bit) != BOTH_FINS)
		return CONN_KEEP;
	if (!change_state(forward, CONN_CLOSING, CONN_CLOSED))
		return CONN_KEEP;
	release(forward, reply);
	return is_crowded() ? conn_end(forward, reply) : CONN_KEEP;
}

static __always_inline enum conn_fate take_segment(const struct packet *p, struct conn *c,
						   struct conn *other, struct conn *forward,
						   struct conn *reply)
{
	__u32 end = seq_end(p), edge = p->ack + ((__u32)p->window << (c->wscale & 15));

	if (seq_after(end, c->end)) {
		__sync_fetch_and_add(&c->bytes, end - c->end - !!(p->flags & TCP_FIN));
		c->end = end;
	}
	advance_next(p, c, other);
	if (seq_after(p->ack, c->ack))
		c->ack = p->ack;
	if (seq_after(edge, c->edge))
		c->edge = edge;
	c->started = 1;
	c->seen = packet_ns();
	__sync_fetch_and_add(&c->packets, 1);
	if (p->flags & TCP_FIN)
		note_fin(c, forward, end);
	return other->fin ? note_fin_acked(c, other, forward, reply) : CONN_KEEP;
}

/* A packet of the direction of `c`; `other` is the other direction's entry. */
static __always_inline enum conn_fate conn_track_pair(const struct packet *p, struct conn *c,
						      struct conn *other)
{
	struct conn *forward = c->dir == DIR_FORWARD ? c : other;
	struct conn *reply = c->dir == DIR_FORWARD ? other : c;

	if (p->flags & TCP_RST)
		return on_reset(p, c, other, forward, reply);
	if (p->flags & TCP_SYN) {
		if (c->dir == DIR_FORWARD)
			on_client_syn(p, forward, reply);
		else
			on_endpoint_syn(p, forward, reply);
		return CONN_KEEP;
	}
	/* Both have sent SYN, and this end has taken the other's SYN+ACK. */
	if (c->dir == DIR_REPLY && forward->state == CONN_SYN && forward->open &&
	    p->seq == forward->ack && p->flags & TCP_ACK &&
	    acks_syn(p->ack, forward->isn, forward->end))
		open_with(p, forward, reply);
	if (c->dir == DIR_FORWARD && p->flags & TCP_ACK)
		choose_syn_ack(p, forward, reply);
	return is_acceptable(p, c, other) ? take_segment(p, c, other, forward, reply) : CONN_KEEP;
}

/* A packet of a known connection. */
static __always_inline enum conn_fate conn_track(const struct packet *p, struct conn *c)
{
	struct conn *other = conn_other(c);

	return other ? conn_track_pair(p, c, other) : CONN_KEEP;
}

#endif
