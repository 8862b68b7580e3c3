/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_CHECKSUM_BPF_H
#define WEFT_CHECKSUM_BPF_H
/*
 * Internet checksums (RFC 1071), whichever hook the packet is seen at.
 */
#include "packet.bpf.h"

/* The difference that the addresses make to a checksum: new minus old. */
static __always_inline __s64 addrs_diff(const struct packet *p, const struct tuple *to)
{
	if (p->ip4) {
		__be32 old[2] = { addr_ip4(&p->t.src), addr_ip4(&p->t.dst) };
		__be32 new[2] = { addr_ip4(&to->src), addr_ip4(&to->dst) };

		return bpf_csum_diff(old, sizeof(old), new, sizeof(new), 0);
	}
	return bpf_csum_diff((void *)&p->t.src, 32, (void *)&to->src, 32, 0);
}

/* One's complement sum of the IPv4 or IPv6 pseudo header of a TCP packet of `len` bytes. */
static __always_inline __u32 pseudo_sum(const struct packet *p, const struct tuple *t, __u32 len)
{
	__be32 tail[2] = { bpf_htonl(len), bpf_htonl(IPPROTO_TCP) };
	__u32 sum = bpf_csum_diff(NULL, 0, tail, sizeof(tail), 0);

	if (p->ip4) {
		__be32 ips[2] = { addr_ip4(&t->src), addr_ip4(&t->dst) };

		return bpf_csum_diff(NULL, 0, ips, sizeof(ips), sum);
	}
	return bpf_csum_diff(NULL, 0, (void *)&t->src, 32, sum);
}

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* A checksum (as it stands in the packet) after what it covers has changed by `diff`, new minus old
 * (RFC 1624, equation 3). */
static __always_inline __u16 checksum_changed(__u16 check, __u32 diff)
{
	return ~fold((__u16)~check + (__u32)fold(diff));
}

#endif
