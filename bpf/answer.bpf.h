/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_ANSWER_BPF_H
#define WEFT_ANSWER_BPF_H
/*
 * The headers of a TCP packet without payload or options that answers one, whichever hook that is
 * seen at.
 */
#include "checksum.bpf.h"

enum { ANSWER_TTL = 64, IP4_DONT_FRAGMENT = 0x4000 };

static __always_inline void answer_ip4(struct iphdr *ip, const struct tuple *t)
{
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = bpf_htons(sizeof(*ip) + TCP_MIN),
		.frag_off = bpf_htons(IP4_DONT_FRAGMENT),
		.ttl = ANSWER_TTL,
		.protocol = IPPROTO_TCP,
		.saddr = addr_ip4(&t->src),
		.daddr = addr_ip4(&t->dst),
	};
	ip->check = ~fold(bpf_csum_diff(NULL, 0, (void *)ip, sizeof(*ip), 0));
}

static __always_inline void answer_ip6(struct ipv6hdr *ip, const struct tuple *t)
{
	*ip = (struct ipv6hdr){
		.version = 6,
		.payload_len = bpf_htons(TCP_MIN),
		.nexthdr = IPPROTO_TCP,
		.hop_limit = ANSWER_TTL,
	};
	__builtin_memcpy(&ip->saddr, &t->src, 16);
	__builtin_memcpy(&ip->daddr, &t->dst, 16);
}

/* The checksum of its TCP header, whose field is 0; `pseudo` is that of pseudo_sum(). */
static __always_inline __u16 answer_check(const struct tcphdr *tcp, __u32 pseudo)
{
	return ~fold(bpf_csum_diff(NULL, 0, (void *)tcp, TCP_MIN, pseudo));
}

#endif
