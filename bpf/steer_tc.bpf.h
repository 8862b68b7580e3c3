/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_STEER_TC_BPF_H
#define WEFT_STEER_TC_BPF_H
/*
 * What becomes of a packet at tc, coming in and going out. The includer has included
 * hook_tc.bpf.h, which says whether there is an Ethernet header in front of it.
 */
#include <linux/pkt_cls.h>

#include "connect.bpf.h"
#include "fragment.bpf.h"
#include "icmp.bpf.h"
#include "parse.bpf.h"
#include "protect_tc.bpf.h"
#include "shortcut.bpf.h"

static __always_inline int is_syn(const struct packet *p)
{
	return (p->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

/* A SYN from the client on a connection that has ended. The same one repeated asks for no new one.
 */
static __always_inline int is_reopened(const struct packet *p, const struct conn *c)
{
	return is_syn(p) && c->dir == DIR_FORWARD && c->state >= CONN_CLOSED && p->seq != c->isn;
}

static __noinline int steer_known(struct __sk_buff *skb, struct packet *p, struct conn *c)
{
	struct tuple to = c->to;
	__u8 flags = c->flags, dmac[6];

	if (c->state == CONN_DEAD)
		return send_reset(skb, p);
	__builtin_memcpy(dmac, c->dmac, 6);
	note_exit(skb, p, c);
	note_tag(skb, p, c);
	if (c->dir != DIR_TRANSLATE && !p->frag && conn_track(p, c) == CONN_DELETE)
		conn_forget(p, c);
	if (rewrite(skb, p, &to, 0)) {
		count_reason(REASON_MALFORMED);
		return TC_ACT_SHOT;
	}
	return send_on(skb, flags, dmac);
}

static __noinline int steer_unknown(struct __sk_buff *skb, struct packet *p, enum side side)
{
	int action;

	if (!may_be_proxied(&p->t))
		return TC_ACT_UNSPEC;
	action = steer_proxied(skb, p->ip4, &p->t);
	if (action != TC_ACT_UNSPEC && is_forged(skb, &p->t, side))
		return TC_ACT_SHOT;
	if (action == TC_ACT_UNSPEC && ends_handshake(skb, p) && hand_over(skb, p, &action))
		return TC_ACT_UNSPEC;
	return action;
}

/* The entries of a connection that has ended. False if another program is deleting them: then the
 * client will ask again. */
static __noinline int replace(const struct packet *p, struct conn *c)
{
	if (!change_state(c, CONN_CLOSED, CONN_REAPED) && !change_state(c, CONN_DEAD, CONN_REAPED))
		return 0;
	release(c, NULL);
	conn_delete(&p->t, c);
	return 1;
}

static __always_inline int steer_tcp(struct __sk_buff *skb, struct packet *p, enum side side)
{
	struct conn *c = NULL;

	if (has_conns()) {
		c = find_conn(skb, &p->t, side);
		if (c && is_reopened(p, c)) {
			if (!replace(p, c))
				return TC_ACT_SHOT;
			c = NULL;
		}
		if (c)
			return steer_known(skb, p, c);
		if (is_forged_reply(skb, &p->t, side))
			return TC_ACT_SHOT;
	}
	return is_syn(p) ? connect_new(skb, p, side) : steer_unknown(skb, p, side);
}

static __always_inline int steer(struct __sk_buff *skb, enum side side)
{
	struct packet p = {};
	enum packet_kind kind = packet_parse(skb, &p);
	int action = side == SIDE_NIC ? protect_packet(skb, &p, kind) : TC_ACT_UNSPEC;

	if (action != TC_ACT_UNSPEC)
		return action;
	switch (kind) {
	case PACKET_TCP:
		if (side == SIDE_POD && !p.frag && !(p.flags & TCP_SYN))
			action = shortcut_take(skb, &p.t);
		if (action != TC_ACT_UNSPEC)
			return action;
		if (p.frag)
			fragment_remember(&p);
		return steer_tcp(skb, &p, side);
	case PACKET_TAIL:
		return steer_fragment(skb, &p, side);
	case PACKET_ICMP:
		return steer_icmp(skb, &p, side);
	default:
		return TC_ACT_UNSPEC;
	}
}

/* On the way out, towards the client or, by a NIC, towards the endpoint. */
static __always_inline int steer_back(struct __sk_buff *skb, enum side side)
{
	struct packet p = {};
	struct conn *c;

	p.t.hook = HOOK_EGRESS;
	switch (packet_parse(skb, &p)) {
	case PACKET_TCP:
		if (p.frag)
			fragment_remember(&p);
		c = find_conn(skb, &p.t, side);
		return c ? steer_known(skb, &p, c) : TC_ACT_UNSPEC;
	case PACKET_TAIL:
		return steer_fragment(skb, &p, side);
	case PACKET_ICMP:
		return steer_icmp(skb, &p, side);
	default:
		return TC_ACT_UNSPEC;
	}
}

#endif
