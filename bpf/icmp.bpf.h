/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_ICMP_BPF_H
#define WEFT_ICMP_BPF_H
/*
 * ICMP errors about a steered connection. An error quotes the packet that caused it as the reporter
 * saw it, that is, translated; its receiver knows only the untranslated one. So the error is turned
 * back like a reply: the quoted addresses, and its own where they are those of the connection's far
 * end (RFC 5508 4.2 for TCP).
 */
#include "conntrack.bpf.h"
#include "handover.bpf.h"

enum {
	ICMP4_UNREACHABLE = 3, /* RFC 792 */
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_PARAMETER_PROBLEM = 12,
	ICMP6_UNREACHABLE = 1, /* RFC 4443; the errors are 1..4 */
	ICMP6_PARAMETER_PROBLEM = 4,
	ICMP_HEADER = 8,
	ICMP_CHECK = 2,
	QUOTE_IP4_CHECK = 10, /* offsets within the quoted packet */
	QUOTE_IP4_ADDRS = 12,
	QUOTE_IP6_ADDRS = 8,
};

struct quote {
	struct packet p; /* t: addresses and ports of the quoted packet; l4: offset of its ports */
	__u32 ip;	 /* offset of its IP header */
};

static __always_inline int icmp_is_error(const struct packet *p, __u8 type)
{
	if (p->ip4)
		return type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED ||
		       type == ICMP4_PARAMETER_PROBLEM;
	return type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER_PROBLEM;
}

static __always_inline int quote_parse(struct __sk_buff *skb, const struct packet *p,
				       struct quote *q)
{
	__be16 ports[2];

	q->ip = p->l4 + ICMP_HEADER;
	q->p.ip4 = p->ip4;
	if (p->ip4) {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, q->ip, &ip, sizeof(ip)) || ip.protocol != IPPROTO_TCP)
			return 0;
		addr_from_ip4(&q->p.t.src, ip.saddr);
		addr_from_ip4(&q->p.t.dst, ip.daddr);
		q->p.l4 = q->ip + ip.ihl * 4;
	} else {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes(skb, q->ip, &ip, sizeof(ip)) || ip.nexthdr != IPPROTO_TCP)
			return 0;
		__builtin_memcpy(&q->p.t.src, &ip.saddr, 16);
		__builtin_memcpy(&q->p.t.dst, &ip.daddr, 16);
		q->p.l4 = q->ip + sizeof(ip);
	}
	if (bpf_skb_load_bytes(skb, q->p.l4, ports, sizeof(ports)))
		return 0;
	q->p.t.sport = bpf_ntohs(ports[0]);
	q->p.t.dport = bpf_ntohs(ports[1]);
	return 1;
}

/* The quoted ports: part of what the ICMP checksum covers. */
static __always_inline int quote_store_ports(struct __sk_buff *skb, const struct packet *p,
					     const struct quote *q, const struct tuple *to)
{
	__be16 old[2] = { bpf_htons(q->p.t.sport), bpf_htons(q->p.t.dport) };
	__be16 new[2] = { bpf_htons(to->sport), bpf_htons(to->dport) };
	__be32 from, with;

	__builtin_memcpy(&from, old, 4);
	__builtin_memcpy(&with, new, 4);
	return bpf_l4_csum_replace(skb, p->l4 + ICMP_CHECK, from, with, 4)
		       ?: bpf_skb_store_bytes(skb, q->p.l4, new, sizeof(new), 0);
}

/* The quoted addresses. IPv4's quoted header checksum takes up the change, so that ICMP's own
 * doesn't see it. */
static __always_inline int quote_store_addrs(struct __sk_buff *skb, const struct packet *p,
					     const struct quote *q, const struct tuple *to)
{
	__s64 diff = addrs_diff(&q->p, to);

	if (p->ip4) {
		__be32 new[2] = { addr_ip4(&to->src), addr_ip4(&to->dst) };

		return bpf_l3_csum_replace(skb, q->ip + QUOTE_IP4_CHECK, 0, diff, 0)
			       ?: bpf_skb_store_bytes(skb, q->ip + QUOTE_IP4_ADDRS, new,
						      sizeof(new), 0);
	}
	return bpf_l4_csum_replace(skb, p->l4 + ICMP_CHECK, 0, diff, 0)
		       ?: bpf_skb_store_bytes(skb, q->ip + QUOTE_IP6_ADDRS, &to->src, 32, 0);
}

/* The error's own addresses; only ICMPv6 has them in its checksum. */
static __always_inline int icmp_store_addrs(struct __sk_buff *skb, const struct packet *p,
					    const struct tuple *to)
{
	__s64 diff = addrs_diff(p, to);

	if (!p->ip4 && bpf_l4_csum_replace(skb, p->l4 + ICMP_CHECK, 0, diff, BPF_F_PSEUDO_HDR))
		return -1;
	return store_addrs(skb, p, to, diff);
}

static __noinline int steer_icmp(struct __sk_buff *skb, struct packet *p)
{
	struct tuple key, quoted, own = {};
	struct quote q = {};
	struct conn *c;
	struct way way;
	__u8 type;

	if (bpf_skb_load_bytes(skb, p->l4, &type, 1) || !icmp_is_error(p, type) ||
	    !quote_parse(skb, p, &q))
		return TC_ACT_UNSPEC;
	tuple_reverse(&key, &q.p.t);
	c = bpf_map_lookup_elem(&conns, &key);
	if (!c)
		return steer_proxied(skb, p->ip4, &key);
	if (c->state == CONN_DEAD)
		return TC_ACT_UNSPEC;
	tuple_reverse(&quoted, &c->to);
	own.src = addr_equal(&p->t.src, &q.p.t.dst) ? c->to.src : p->t.src;
	own.dst = c->to.dst;
	way = c->way;
	if (quote_store_ports(skb, p, &q, &quoted) || quote_store_addrs(skb, p, &q, &quoted) ||
	    icmp_store_addrs(skb, p, &own)) {
		count_reason(REASON_MALFORMED);
		return TC_ACT_SHOT;
	}
	return send_on(skb, &way);
}

#endif
