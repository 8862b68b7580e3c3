/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_PARSE_BPF_H
#define WEFT_PARSE_BPF_H
/*
 * The edge at tc: an Ethernet frame, or a bare IP packet (LINK_HLEN) -> struct packet.
 */
#include "packet.bpf.h"
#include "syn.bpf.h"

/* Makes `len` bytes readable through skb->data; 0 if the frame is shorter. */
static __always_inline int packet_pull(struct __sk_buff *skb, __u32 len)
{
	if (skb->data + len <= skb->data_end)
		return 1;
	return !bpf_skb_pull_data(skb, len) && skb->data + len <= skb->data_end;
}

static __always_inline enum packet_kind parse_ip4(struct __sk_buff *skb, struct packet *p)
{
	struct iphdr *ip;
	__u16 off;

	if (!packet_pull(skb, LINK_HLEN + sizeof(*ip)))
		return PACKET_OTHER;
	ip = (void *)(long)skb->data + LINK_HLEN;
	if ((void *)(ip + 1) > (void *)(long)skb->data_end || ip->version != 4 || ip->ihl < 5)
		return PACKET_OTHER;
	p->ip4 = 1;
	p->proto = ip->protocol;
	p->l4 = LINK_HLEN + ip->ihl * 4;
	p->bytes = bpf_ntohs(ip->tot_len);
	addr_from_ip4(&p->t.src, ip->saddr);
	addr_from_ip4(&p->t.dst, ip->daddr);
	off = bpf_ntohs(ip->frag_off);
	if (off & (IP4_MORE_FRAGMENTS | IP4_OFFSET)) {
		p->frag = 1;
		p->frag_id = ip->id;
		p->frag_more = !!(off & IP4_MORE_FRAGMENTS);
		p->frag_off = (off & IP4_OFFSET) * 8;
		p->payload = p->bytes - ip->ihl * 4;
		if (off & IP4_OFFSET)
			return p->proto == IPPROTO_TCP ? PACKET_TAIL : PACKET_OTHER;
	}
	if (p->proto == IPPROTO_TCP)
		return PACKET_TCP;
	return p->proto == IPPROTO_ICMP && !p->frag ? PACKET_ICMP : PACKET_OTHER;
}

struct ip6_opt {
	__u8 next, len; /* in 8 bytes, the first 8 not counted */
};

struct ip6_frag {
	__u8 next, reserved;
	__be16 off;
	__be32 id;
};

/* Walks the extension headers (RFC 8200 4.1) up to the transport header. */
static __always_inline enum packet_kind parse_ip6_extensions(struct __sk_buff *skb,
							     struct packet *p)
{
	struct ip6_frag frag;
	struct ip6_opt opt;
	int i;

	for (i = 0; i < IP6_MAX_EXTENSIONS; i++) {
		switch (p->proto) {
		case IPPROTO_TCP:
			return PACKET_TCP;
		case IPPROTO_ICMPV6:
			return p->frag ? PACKET_OTHER : PACKET_ICMP;
		case IPPROTO_FRAGMENT:
			if (bpf_skb_load_bytes(skb, p->l4, &frag, sizeof(frag)))
				return PACKET_OTHER;
			p->frag = 1;
			p->frag_id = frag.id;
			p->frag_more = bpf_ntohs(frag.off) & 1;
			p->frag_off = bpf_ntohs(frag.off) & IP6_OFFSET;
			p->proto = frag.next;
			p->l4 += sizeof(frag);
			p->frag_header = -p->l4;
			p->payload = p->bytes + LINK_HLEN - p->l4;
			if (bpf_ntohs(frag.off) & IP6_OFFSET)
				return p->proto == IPPROTO_TCP ? PACKET_TAIL : PACKET_OTHER;
			break;
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			if (bpf_skb_load_bytes(skb, p->l4, &opt, sizeof(opt)))
				return PACKET_OTHER;
			p->proto = opt.next;
			p->l4 += (opt.len + 1) * 8;
			break;
		default:
			return PACKET_OTHER;
		}
	}
	return PACKET_OTHER;
}

static __always_inline enum packet_kind parse_ip6(struct __sk_buff *skb, struct packet *p)
{
	struct ipv6hdr *ip;

	if (!packet_pull(skb, LINK_HLEN + sizeof(*ip)))
		return PACKET_OTHER;
	ip = (void *)(long)skb->data + LINK_HLEN;
	if ((void *)(ip + 1) > (void *)(long)skb->data_end || ip->version != 6)
		return PACKET_OTHER;
	p->proto = ip->nexthdr;
	p->l4 = LINK_HLEN + sizeof(*ip);
	p->bytes = ip->payload_len ? sizeof(*ip) + bpf_ntohs(ip->payload_len) : 0;
	__builtin_memcpy(&p->t.src, &ip->saddr, sizeof(p->t.src));
	__builtin_memcpy(&p->t.dst, &ip->daddr, sizeof(p->t.dst));
	return p->proto == IPPROTO_TCP ? PACKET_TCP : parse_ip6_extensions(skb, p);
}

static __always_inline enum packet_kind parse_tcp(struct __sk_buff *skb, struct packet *p)
{
	__u32 header, l4 = p->l4 & PACKET_L4_MAX; /* bounded for the verifier */
	struct tcphdr *tcp;

	if (!packet_pull(skb, l4 + sizeof(*tcp)))
		return PACKET_OTHER;
	tcp = (void *)(long)skb->data + l4;
	if ((void *)(tcp + 1) > (void *)(long)skb->data_end || tcp->doff < 5)
		return PACKET_OTHER;
	packet_read_tcp(p, tcp);
	/* A short frame is padded, so the IP length counts; but "big TCP" has 0 there. */
	if (!p->bytes)
		p->bytes = skb->len - LINK_HLEN;
	header = l4 + tcp->doff * 4;
	p->frag_header = (p->ip4 ? tcp->doff * 4 : p->frag_header + header);
	p->payload = LINK_HLEN + p->bytes > header ? LINK_HLEN + p->bytes - header : 0;
	return PACKET_TCP;
}

/* Fills in `p`, which the caller has zeroed. */
static __always_inline enum packet_kind packet_parse(struct __sk_buff *skb, struct packet *p)
{
	enum packet_kind kind;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		kind = parse_ip4(skb, p);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		kind = parse_ip6(skb, p);
	else
		return PACKET_OTHER;
	if (p->l4 > PACKET_L4_MAX)
		return PACKET_OTHER;
	if (kind != PACKET_TCP || parse_tcp(skb, p) != PACKET_TCP)
		return kind == PACKET_TCP ? PACKET_OTHER : kind;
	if (p->flags & TCP_SYN)
		p->wscale = syn_wscale(skb, p->l4);
	return PACKET_TCP;
}

#endif
