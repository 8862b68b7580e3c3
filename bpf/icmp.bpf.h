/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_ICMP_BPF_H
#define WEFT_ICMP_BPF_H
/*
 * ICMP errors about a steered connection. An error quotes the packet that caused it as the reporter
 * saw it, that is, translated; its receiver knows only the untranslated one. So the error is turned
 * back like a reply: the quoted addresses, and its own where they are those of the connection's far
 * end (RFC 5508 4.2 for TCP). What leaves by a NIC comes from the address that was called there, as
 * everything else of the connection does: the reporter's own would come from the wrong side.
 */
#include "parse.bpf.h"
#include "tproxy.bpf.h"
#include "steer.bpf.h"

enum {
	ICMP4_UNREACHABLE = 3, /* RFC 792 */
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_PARAMETER_PROBLEM = 12,
	ICMP6_UNREACHABLE = 1, /* RFC 4443; the errors are 1 to 4 */
	ICMP6_PARAMETER_PROBLEM = 4,
	ICMP4_TOO_BIG = 4, /* a code of ICMP4_UNREACHABLE */
	ICMP4_REDIRECT = 5,
	ICMP_HEADER = 8,
	ICMP_CHECK = 2,
	QUOTE_IP4_CHECK = 10, /* offsets within the quoted packet */
	QUOTE_IP4_ADDRS = 12,
	QUOTE_IP6_ADDRS = 8,
};

struct quote {
	struct packet p; /* t, seq: of the quoted packet; l4: offset of its ports */
	__u32 ip;	 /* offset of its IP header */
};

static __always_inline int icmp_is_error(const struct packet *p, __u8 type)
{
	if (p->ip4)
		return type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED ||
		       type == ICMP4_PARAMETER_PROBLEM || type == ICMP4_REDIRECT;
	return type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER_PROBLEM;
}

static __always_inline int quote_parse_ip4(struct __sk_buff *skb, struct quote *q)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, q->ip, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5 ||
	    ip.protocol != IPPROTO_TCP || ip.frag_off & bpf_htons(IP4_OFFSET))
		return 0;
	q->p.ip4 = 1;
	addr_from_ip4(&q->p.t.src, ip.saddr);
	addr_from_ip4(&q->p.t.dst, ip.daddr);
	q->p.l4 = q->ip + ip.ihl * 4;
	return 1;
}

static __always_inline int quote_parse_ip6(struct __sk_buff *skb, struct quote *q)
{
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, q->ip, &ip, sizeof(ip)) || ip.version != 6)
		return 0;
	__builtin_memcpy(&q->p.t.src, &ip.saddr, 16);
	__builtin_memcpy(&q->p.t.dst, &ip.daddr, 16);
	q->p.proto = ip.nexthdr;
	q->p.l4 = q->ip + sizeof(ip);
	return parse_ip6_extensions(skb, &q->p) == PACKET_TCP;
}

/* At least 8 bytes of TCP are quoted (RFC 792): the ports and the sequence number. */
static __always_inline int quote_parse(struct __sk_buff *skb, const struct packet *p,
				       struct quote *q)
{
	struct {
		__be16 ports[2];
		__be32 seq;
	} tcp;

	q->ip = p->l4 + ICMP_HEADER;
	if (!(p->ip4 ? quote_parse_ip4(skb, q) : quote_parse_ip6(skb, q)) ||
	    bpf_skb_load_bytes(skb, q->p.l4, &tcp, sizeof(tcp)))
		return 0;
	q->p.t.sport = bpf_ntohs(tcp.ports[0]);
	q->p.t.dport = bpf_ntohs(tcp.ports[1]);
	q->p.seq = bpf_ntohl(tcp.seq);
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

/* Gives the error and its quote the addresses that its receiver knows. */
static __noinline int icmp_rewrite(struct __sk_buff *skb, const struct packet *p,
				   const struct quote *q, const struct tuple *to, enum side side)
{
	struct tuple quoted, own = {};

	tuple_reverse(&quoted, to);
	own.src = p->t.src;
	own.dst = to->dst;
	if (addr_equal(&p->t.src, &q->p.t.dst) || (side == SIDE_NIC && p->t.hook == HOOK_EGRESS))
		own.src = to->src;
	return quote_store_ports(skb, p, q, &quoted) ?: quote_store_addrs(skb, p, q, &quoted)
		       ?: icmp_store_addrs(skb, p, &own);
}

static __always_inline int is_unreachable(const struct packet *p, const __u8 type[2])
{
	return p->ip4 ? type[0] == ICMP4_UNREACHABLE && type[1] != ICMP4_TOO_BIG
		      : type[0] == ICMP6_UNREACHABLE;
}

/* The client's connect() fails because of such an error, as long as there is no answer. */
static __noinline void give_up_opening(const struct quote *q, struct conn *reply)
{
	struct conn *forward;
	struct tuple key;

	conn_other_key(reply, &key);
	forward = bpf_map_lookup_elem(&conns, &key);
	if (!forward || forward->state != CONN_SYN || q->p.seq != forward->isn)
		return;
	if (conn_end(forward, reply) != CONN_DELETE)
		return;
	count_connect_fail(forward->cluster, forward->endpoint);
	conn_delete(&key, forward);
}

static __noinline int steer_icmp(struct __sk_buff *skb, struct packet *p, enum side side)
{
	struct tuple key;
	struct quote q = {};
	struct conn *c;
	__u8 type[2];
	int action;

	if (bpf_skb_load_bytes(skb, p->l4, type, 2) || !icmp_is_error(p, type[0]) ||
	    !quote_parse(skb, p, &q))
		return TC_ACT_UNSPEC;
	tuple_back(&key, &q.p.t, p->t.hook);
	c = has_conns() ? find_conn(skb, &key, side) : NULL;
	if (!c)
		return p->t.hook == HOOK_EGRESS ? TC_ACT_UNSPEC : steer_proxied(skb, p->ip4, &key);
	if (c->state == CONN_DEAD)
		return TC_ACT_UNSPEC;
	if (p->ip4 && type[0] == ICMP4_REDIRECT)
		return TC_ACT_SHOT; /* its receiver has never called where it leads away from */
	if (icmp_rewrite(skb, p, &q, &c->to, side)) {
		count_reason(REASON_MALFORMED);
		return TC_ACT_SHOT;
	}
	action = send_on(skb, c->flags, c->dmac);
	if (c->dir == DIR_REPLY && is_unreachable(p, type))
		give_up_opening(&q, c);
	return action;
}

#endif
