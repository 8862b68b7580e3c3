// SPDX-License-Identifier: GPL-2.0
/*
 * tc ingress of every pod's veth and of the node's NICs.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "connect.bpf.h"
#include "fragment.bpf.h"
#include "icmp.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* A client that asks for a new connection with the addresses of one that has ended. */
static __always_inline int is_reopened(const struct packet *p, const struct conn *c)
{
	return (p->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && c->dir == DIR_FORWARD &&
	       (c->state == CONN_CLOSED || c->state == CONN_DEAD);
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

static __always_inline int steer_tcp(struct __sk_buff *skb, struct packet *p, int from_pod)
{
	struct conn *c = bpf_map_lookup_elem(&conns, &p->t);

	if (c && is_reopened(p, c)) {
		release(c, NULL);
		conn_delete(&p->t, c);
		c = NULL;
	}
	if (c)
		return steer_known(skb, p, c);
	if ((p->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return TC_ACT_UNSPEC;
	return connect_new(skb, p, from_pod);
}

static __always_inline int steer(struct __sk_buff *skb, int from_pod)
{
	struct packet p = {};

	switch (packet_parse(skb, &p)) {
	case PACKET_TCP:
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

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	return steer(skb, 1);
}

SEC("tc")
int from_nic(struct __sk_buff *skb)
{
	return steer(skb, 0);
}

/* See weft/verdict.h. */
SEC("tc")
int explain(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	__u64 *number = bpf_map_lookup_elem(&generation, &zero);

	if (!s || !number || bpf_skb_load_bytes(skb, 0, &s->question, sizeof(s->question)))
		return TC_ACT_SHOT;
	s->question.dry = 1;
	s->question.generation = *number;
	__builtin_memset(&s->verdict, 0, sizeof(s->verdict));
	decide(&s->question, &s->verdict);
	return bpf_skb_store_bytes(skb, 0, &s->verdict, sizeof(s->verdict), 0) ? TC_ACT_SHOT
									       : TC_ACT_OK;
}
