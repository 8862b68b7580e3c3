/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_FRAGMENT_BPF_H
#define WEFT_FRAGMENT_BPF_H
/*
 * Only the first fragment of a packet has the TCP header. What matters of it is remembered for
 * those that follow; one that comes before the first can't be placed, is passed and counted (if it
 * was for us, TCP sends it again). The last one tells how long the segment is.
 */
#include "tproxy.bpf.h"
#include "steer.bpf.h"

static __always_inline void fragment_key(const struct packet *p, struct frag_key *key)
{
	key->src = p->t.src;
	key->dst = p->t.dst;
	key->id = p->frag_id;
	key->pad = 0;
}

static __noinline void fragment_remember(const struct packet *p)
{
	struct frag first = {
		.sport = p->t.sport,
		.dport = p->t.dport,
		.seq = p->seq,
		.ack = p->ack,
		.window = p->window,
		.flags = p->flags,
		.header = p->frag_header,
	};
	struct frag_key key;

	fragment_key(p, &key);
	bpf_map_update_elem(&frags, &key, &first, BPF_ANY);
}

/* Makes `p`, the last fragment, the whole segment. */
static __always_inline void fragment_complete(struct packet *p, const struct frag *first)
{
	p->seq = first->seq;
	p->ack = first->ack;
	p->window = first->window;
	p->flags = first->flags;
	p->payload += p->frag_off - first->header;
}

static __noinline int steer_fragment(struct __sk_buff *skb, struct packet *p, enum side side)
{
	struct frag_key key;
	struct frag *first;
	struct conn *c;
	__u8 flags, dmac[6];
	int action;

	fragment_key(p, &key);
	first = bpf_map_lookup_elem(&frags, &key);
	if (!first) {
		count_reason(REASON_FRAGMENT);
		return TC_ACT_UNSPEC;
	}
	p->t.sport = first->sport;
	p->t.dport = first->dport;
	c = has_conns() ? find_conn(skb, &p->t, side) : NULL;
	if (!c) {
		if (p->t.hook == HOOK_EGRESS)
			return TC_ACT_UNSPEC;
		if (has_conns() && is_forged_reply(skb, &p->t, side))
			return TC_ACT_SHOT;
		action = steer_proxied(skb, p->ip4, &p->t);
		return action != TC_ACT_UNSPEC && is_forged(skb, &p->t, side) ? TC_ACT_SHOT
									      : action;
	}
	if (c->state == CONN_DEAD)
		return TC_ACT_SHOT;
	flags = c->flags;
	__builtin_memcpy(dmac, c->dmac, 6);
	if (rewrite(skb, p, &c->to, 1)) {
		count_reason(REASON_MALFORMED);
		return TC_ACT_SHOT;
	}
	if (!p->frag_more && c->dir != DIR_TRANSLATE) {
		fragment_complete(p, first);
		if (conn_track(p, c) == CONN_DELETE)
			conn_forget(p, c);
	}
	return send_on(skb, flags, dmac);
}

#endif
