/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_REWRITE_BPF_H
#define WEFT_REWRITE_BPF_H
/*
 * Giving a packet other addresses, sending it on, and answering it with a RST.
 */
#include "answer.bpf.h"

enum {
	IP4_CHECK = LINK_HLEN + 10,
	IP4_ADDRS = LINK_HLEN + 12,
	IP6_ADDRS = LINK_HLEN + 8,
};

/*
 * IPv4's own checksum absorbs the change, so skb->csum (CHECKSUM_COMPLETE) stays right; IPv6 has
 * none, there the store has to account for it (BPF_F_RECOMPUTE_CSUM), as bpf_l4_csum_replace()
 * takes the pseudo header's share off again.
 */
static __always_inline int store_addrs(struct __sk_buff *skb, const struct packet *p,
				       const struct tuple *to, __s64 diff)
{
	if (p->ip4) {
		__be32 new[2] = { addr_ip4(&to->src), addr_ip4(&to->dst) };

		return bpf_l3_csum_replace(skb, IP4_CHECK, 0, diff, 0)
			       ?: bpf_skb_store_bytes(skb, IP4_ADDRS, new, sizeof(new), 0);
	}
	return bpf_skb_store_bytes(skb, IP6_ADDRS, &to->src, 32, BPF_F_RECOMPUTE_CSUM);
}

static __always_inline int store_ports(struct __sk_buff *skb, const struct packet *p,
				       const struct tuple *to)
{
	__be16 old[2] = { bpf_htons(p->t.sport), bpf_htons(p->t.dport) };
	__be16 new[2] = { bpf_htons(to->sport), bpf_htons(to->dport) };
	__be32 from, with;

	__builtin_memcpy(&from, old, 4);
	__builtin_memcpy(&with, new, 4);
	if (from == with)
		return 0;
	return bpf_l4_csum_replace(skb, p->l4 + TCP_CHECK, from, with, 4)
		       ?: bpf_skb_store_bytes(skb, p->l4, new, sizeof(new), 0);
}

/* Gives a TCP packet the addresses and ports of `to`, of the same family. A later fragment (`tail`)
 * has addresses only. */
static __noinline int rewrite(struct __sk_buff *skb, const struct packet *p, const struct tuple *to,
			      int tail)
{
	__s64 diff = addrs_diff(p, to);

	if (!tail) {
		if (bpf_l4_csum_replace(skb, p->l4 + TCP_CHECK, 0, diff, BPF_F_PSEUDO_HDR) ||
		    store_ports(skb, p, to))
			return -1;
	}
	return store_addrs(skb, p, to, diff);
}

/* Straight into the namespace of the pod that the packet comes from. */
static __noinline int send_into_pod(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct pod *pod = bpf_map_lookup_elem(&pods, &ifindex);
	__u8 macs[12];

	if (!pod)
		return TC_ACT_SHOT;
	__builtin_memcpy(macs, pod->mac, 6);
	__builtin_memcpy(macs + 6, pod->host_mac, 6);
	if (bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0))
		return TC_ACT_SHOT;
	/* Behind a bridge the frame was addressed to the bridge, not to the veth it came in by. */
	if (skb->pkt_type != 0 /* PACKET_HOST */)
		bpf_skb_change_type(skb, 0);
	return bpf_redirect_peer(ifindex, 0);
}

/* Up the node's own stack, or over the bridge that client and endpoint share. */
static __always_inline int send_on(struct __sk_buff *skb, __u8 flags, const __u8 *dmac)
{
	if (flags & CONN_HAIRPIN)
		return send_into_pod(skb);
	if (flags & CONN_SWITCHED && bpf_skb_store_bytes(skb, 0, dmac, 6, 0))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

/*
 * Whether the packet's checksum is left to the device (CHECKSUM_PARTIAL), which no field of
 * __sk_buff tells: then bpf_l4_csum_replace() leaves the field alone for anything but the pseudo
 * header.
 */
static __always_inline int checksum_is_partial(struct __sk_buff *skb, __u32 off)
{
	__u16 before = 0, after = 0;

	bpf_skb_load_bytes(skb, off, &before, 2);
	bpf_l4_csum_replace(skb, off, 0, bpf_htons(1), 2);
	bpf_skb_load_bytes(skb, off, &after, 2);
	return before == after;
}

/* Turns the IP header of a packet around, with a TCP header alone behind it. */
static __always_inline int reverse_ip(struct __sk_buff *skb, const struct packet *p,
				      const struct tuple *back)
{
	if (p->ip4) {
		struct iphdr ip;

		answer_ip4(&ip, back);
		return bpf_skb_store_bytes(skb, LINK_HLEN, &ip, sizeof(ip), 0);
	}
	struct ipv6hdr ip;

	answer_ip6(&ip, back);
	return bpf_skb_store_bytes(skb, LINK_HLEN, &ip, sizeof(ip), 0);
}

static __always_inline int swap_macs(struct __sk_buff *skb)
{
	__u8 macs[12], back[12];

	if (!LINK_HLEN)
		return 0;
	if (bpf_skb_load_bytes(skb, 0, macs, sizeof(macs)))
		return -1;
	__builtin_memcpy(back, macs + 6, 6);
	__builtin_memcpy(back + 6, macs, 6);
	return bpf_skb_store_bytes(skb, 0, back, sizeof(back), 0);
}

/*
 * Answers a TCP packet with another one, whose header is `tcp` but for the ports and the checksum.
 * It leaves by the interface that the packet came in by; for one that was about to leave, it is as
 * if the interface's other end had sent it. A packet with options or extension headers is cut to
 * the plain ones first.
 */
static __always_inline int send_answer(struct __sk_buff *skb, const struct packet *p,
				       struct tcphdr *tcp)
{
	__u32 l4 = LINK_HLEN + (p->ip4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
	__u32 pseudo, off = l4 + TCP_CHECK;
	struct tuple back;

	tuple_reverse(&back, &p->t);
	tcp->source = bpf_htons(back.sport);
	tcp->dest = bpf_htons(back.dport);
	if (bpf_skb_change_tail(skb, l4 + TCP_MIN, 0) || swap_macs(skb) ||
	    reverse_ip(skb, p, &back) || bpf_skb_store_bytes(skb, l4, tcp, sizeof(*tcp), 0))
		return TC_ACT_SHOT;
	pseudo = pseudo_sum(p, &back, TCP_MIN);
	if (p->l4 == l4 && checksum_is_partial(skb, off))
		tcp->check = fold(pseudo);
	else
		tcp->check = answer_check(tcp, pseudo);
	if (bpf_skb_store_bytes(skb, off, &tcp->check, sizeof(tcp->check), 0))
		return TC_ACT_SHOT;
	return bpf_redirect(skb->ifindex, p->t.hook == HOOK_EGRESS ? BPF_F_INGRESS : 0);
}

/* Answers with a RST (RFC 9293 3.10.7.1): for a SYN the client's connect() ends with ECONNREFUSED.
 */
static __noinline int send_reset(struct __sk_buff *skb, const struct packet *p)
{
	__u32 syn_fin = !!(p->flags & TCP_SYN) + !!(p->flags & TCP_FIN);
	struct tcphdr tcp = { .doff = 5, .rst = 1 };

	if (p->flags & TCP_RST)
		return TC_ACT_SHOT;
	if (p->flags & TCP_ACK) {
		tcp.seq = bpf_htonl(p->ack);
	} else {
		tcp.ack = 1;
		tcp.ack_seq = bpf_htonl(p->seq + p->payload + syn_fin);
	}
	return send_answer(skb, p, &tcp);
}

#endif
