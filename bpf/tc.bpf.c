// SPDX-License-Identifier: GPL-2.0
/*
 * tc ingress of every pod's veth, of the node's NICs, and of the bridges that pods share.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "connect.bpf.h"
#include "fragment.bpf.h"
#include "icmp.bpf.h"
#include "shortcut.bpf.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline int is_syn(const struct packet *p)
{
	return (p->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

/* But a SYN repeated whose first was given up is no new connection. */
static __always_inline int is_reopened(const struct packet *p, const struct conn *c)
{
	return is_syn(p) && c->dir == DIR_FORWARD && c->state >= CONN_CLOSED &&
	       !(c->state == CONN_DEAD && p->seq + 1 == c->seq);
}

static __noinline int steer_known(struct __sk_buff *skb, struct packet *p, struct conn *c)
{
	struct tuple to = c->to, key;
	struct way way = c->way;

	if (c->state == CONN_DEAD)
		return send_reset(skb, p);
	if (conn_track(p, c) == FATE_DELETE) {
		tuple_reverse(&key, &to);
		bpf_map_delete_elem(&conns, &key);
		bpf_map_delete_elem(&conns, &p->t);
	}
	if (rewrite(skb, p, &to, 0)) {
		count_reason(REASON_MALFORMED);
		return TC_ACT_SHOT;
	}
	return send_on(skb, &way);
}

static __noinline int steer_unknown(struct __sk_buff *skb, struct packet *p)
{
	int action;

	if (!may_be_proxied(&p->t))
		return TC_ACT_UNSPEC;
	action = steer_proxied(skb, p->ip4, &p->t);
	if (action == TC_ACT_UNSPEC && ends_handshake(skb, p) && hand_over(skb, p, &action))
		return TC_ACT_UNSPEC;
	return action;
}

static __always_inline int steer_tcp(struct __sk_buff *skb, struct packet *p, int from_pod)
{
	struct conn *c = bpf_map_lookup_elem(&conns, &p->t);

	if (c && is_reopened(p, c)) {
		/* The entries of a connection that has ended; somebody else may be deleting them,
		 * then the client will ask again. */
		if (!change_state(c, CONN_CLOSED, CONN_REAPED) &&
		    !change_state(c, CONN_DEAD, CONN_REAPED))
			return TC_ACT_SHOT;
		release(c, NULL);
		conn_delete(&p->t, c);
		c = NULL;
	}
	if (c)
		return steer_known(skb, p, c);
	return is_syn(p) ? connect_new(skb, p, from_pod) : steer_unknown(skb, p);
}

static __always_inline int steer(struct __sk_buff *skb, int from_pod)
{
	struct packet p = {};
	int action = TC_ACT_UNSPEC;

	switch (packet_parse(skb, &p)) {
	case PACKET_TCP:
		if (from_pod && !p.frag && !(p.flags & TCP_SYN))
			action = shortcut_take(skb, &p.t);
		if (action != TC_ACT_UNSPEC)
			return action;
		if (p.frag)
			fragment_remember(&p);
		return steer_tcp(skb, &p, from_pod);
	case PACKET_TAIL:
		return steer_fragment(skb, &p);
	case PACKET_ICMP:
		return steer_icmp(skb, &p);
	default:
		return TC_ACT_UNSPEC;
	}
}

/* On the way from a bridge's port to weft-proxy. */
static __noinline int steer_marked(struct __sk_buff *skb)
{
	enum reason reason = REASON_NONE;
	struct packet p = {};

	if (packet_parse(skb, &p) == PACKET_TCP && (is_syn(&p) || ends_handshake(skb, &p)))
		reason = assign_worker(skb, &p);
	return reason ? refuse(skb, &p, reason) : TC_ACT_OK;
}

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	return steer(skb, 1);
}

SEC("tc")
int from_nic(struct __sk_buff *skb)
{
	/* A bridge may be a NIC as well. */
	return skb->mark == HANDOVER_MARK ? steer_marked(skb) : steer(skb, 0);
}

SEC("tc")
int from_bridge(struct __sk_buff *skb)
{
	return skb->mark == HANDOVER_MARK ? steer_marked(skb) : TC_ACT_UNSPEC;
}

/* See weft/verdict.h. */
SEC("tc")
int explain(struct __sk_buff *skb)
{
	__u32 zero = 0, own = 1; /* a packet may interrupt us: it has its own scratch */
	struct scratch *s = bpf_map_lookup_elem(&scratch, &own);
	__u64 *number = bpf_map_lookup_elem(&generation, &zero);

	if (!s || !number || bpf_skb_load_bytes(skb, 0, &s->question, sizeof(s->question)))
		return TC_ACT_SHOT;
	s->question.dry = 1;
	s->question.generation = *number;
	decide_question(s);
	return bpf_skb_store_bytes(skb, 0, &s->verdict, sizeof(s->verdict), 0) ? TC_ACT_SHOT
									       : TC_ACT_OK;
}
