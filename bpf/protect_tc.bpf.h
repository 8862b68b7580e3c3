/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_PROTECT_TC_BPF_H
#define WEFT_PROTECT_TC_BPF_H
/*
 * A ConnectionPolicy at tc: for what XDP has not judged, any packet where there is no XDP.
 */
#include <linux/pkt_cls.h>

#include "protect.bpf.h"
#include "rewrite.bpf.h"

/* Whether XDP has judged it on the way here. By a veth it might take the mark along to a node that
 * has not. */
static __always_inline int take_mark(const struct __sk_buff *skb)
{
	__u32 *mark = (void *)(long)skb->data_meta;

	if ((void *)(mark + 1) > (void *)(long)skb->data || *mark != PROTECT_MARK)
		return 0;
	*mark = 0;
	return 1;
}

/* Whether the IP packet is longer than its frame, or shorter than its headers. */
static __always_inline int tells_lies(const struct __sk_buff *skb, const struct packet *p)
{
	__u32 end = LINK_HLEN + p->bytes, headers = p->l4 + TCP_MIN;

	if (!p->frag)
		headers = p->frag_header + (p->ip4 ? p->l4 : 0);
	return end > skb->len || end < headers;
}

/* TCP whose header packet_parse() could not make sense of. */
static __always_inline int is_no_tcp(const struct packet *p, enum packet_kind kind)
{
	return kind == PACKET_OTHER && p->proto == IPPROTO_TCP && p->l4 <= PACKET_L4_MAX;
}

/*
 * IPv6 whose headers packet_parse() has not read to their end: they are more, or longer, than those
 * of any host's TCP. What they hide might be a SYN. A later fragment asks for nothing.
 */
static __always_inline int is_unread(const struct packet *p, enum packet_kind kind)
{
	if (kind != PACKET_OTHER || p->ip4 || !p->l4 || p->frag_off)
		return 0;
	return p->l4 > PACKET_L4_MAX || p->proto == IPPROTO_HOPOPTS ||
	       p->proto == IPPROTO_ROUTING || p->proto == IPPROTO_DSTOPTS ||
	       p->proto == IPPROTO_FRAGMENT;
}

/* Nothing tells its port: for a pod of the node's it is not about what is served from outside. */
static __always_inline int drop_unread(const struct packet *p)
{
	if (bpf_map_lookup_elem(&pod_addrs, &p->t.dst))
		return TC_ACT_UNSPEC;
	protect_count_one(PROTECT_MALFORMED);
	return TC_ACT_SHOT;
}

static __always_inline void read_ports(struct __sk_buff *skb, struct packet *p)
{
	__be16 ports[2];

	if (bpf_skb_load_bytes(skb, p->l4, ports, sizeof(ports)))
		return;
	p->t.sport = bpf_ntohs(ports[0]);
	p->t.dport = bpf_ntohs(ports[1]);
}

static __noinline int send_challenge(struct __sk_buff *skb, const struct packet *p)
{
	int action = TC_ACT_SHOT;
	struct tcphdr tcp;

	/* What is for another host is seen where the NIC is in promiscuous mode. */
	if (skb->pkt_type == 0 /* PACKET_HOST */ && !protect_challenge(p, &tcp))
		action = send_answer(skb, p, &tcp);
	protect_count_one(action == TC_ACT_SHOT ? PROTECT_UNANSWERED : PROTECT_COOKIE_SENT);
	return action;
}

/* What becomes of a packet that has come in by a NIC. TC_ACT_UNSPEC: nothing is said against it.
 * Parts of it are keys, which on 6.1 can't be where an argument points to. */
GLOBAL_FUNC int protect_packet(struct __sk_buff *skb, const struct packet *given,
			       enum packet_kind kind)
{
	const struct protect_limits *l = protect_in_force();
	enum protect_verdict verdict;
	enum protect_reason reason;
	struct packet own, *p = &own;
	__u32 ifindex = skb->ifindex; /* once, or clang makes a pointer into the context */
	int lies = 1;

	if (!given || !l)
		return TC_ACT_UNSPEC;
	own = *given;
	if (is_unread(p, kind))
		return drop_unread(p);
	if (kind == PACKET_TCP)
		lies = tells_lies(skb, p);
	else if (is_no_tcp(p, kind))
		read_ports(skb, p);
	else
		return TC_ACT_UNSPEC;
	reason = protect_fault(skb, p, l, lies, ifindex);
	if (reason != PROTECT_REASONS) {
		protect_count_one(reason);
		return TC_ACT_SHOT;
	}
	if (!protect_is_syn(p))
		verdict = protect_other(p, l, ifindex, 1);
	else if (take_mark(skb) || !protect_is_new(p, l, ifindex))
		return TC_ACT_UNSPEC;
	else
		verdict = protect_syn(p, l);
	if (verdict == PROTECT_CHALLENGE)
		return send_challenge(skb, p);
	return verdict == PROTECT_DROP ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

#endif
