/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_FRAGMENT_BPF_H
#define WEFT_FRAGMENT_BPF_H
/*
 * Only the first fragment of a packet has the ports. They are remembered for those that follow; one
 * that comes before the first can't be placed, is passed and counted (if it was for us, TCP sends
 * it again).
 */
#include "conntrack.bpf.h"
#include "handover.bpf.h"

static __always_inline void fragment_key(const struct packet *p, struct frag_key *key)
{
	key->src = p->t.src;
	key->dst = p->t.dst;
	key->id = p->frag_id;
	key->pad = 0;
}

static __always_inline void fragment_remember(const struct packet *p)
{
	struct frag ports = { .sport = p->t.sport, .dport = p->t.dport };
	struct frag_key key;

	fragment_key(p, &key);
	bpf_map_update_elem(&frags, &key, &ports, BPF_ANY);
}

static __noinline int steer_fragment(struct __sk_buff *skb, struct packet *p)
{
	struct frag_key key;
	struct frag *ports;
	struct conn *c;
	struct tuple to;
	struct way way;

	fragment_key(p, &key);
	ports = bpf_map_lookup_elem(&frags, &key);
	if (!ports) {
		count_reason(REASON_FRAGMENT);
		return TC_ACT_UNSPEC;
	}
	p->t.sport = ports->sport;
	p->t.dport = ports->dport;
	c = bpf_map_lookup_elem(&conns, &p->t);
	if (!c)
		return steer_proxied(skb, p->ip4, &p->t);
	if (c->state == CONN_DEAD)
		return TC_ACT_SHOT;
	c->seen = packet_ns();
	__sync_fetch_and_add(&c->bytes, p->bytes);
	to = c->to;
	way = c->way;
	if (rewrite(skb, p, &to, 1)) {
		count_reason(REASON_MALFORMED);
		return TC_ACT_SHOT;
	}
	return send_on(skb, &way);
}

#endif
