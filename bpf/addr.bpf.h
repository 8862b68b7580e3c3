/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_ADDR_BPF_H
#define WEFT_ADDR_BPF_H
/*
 * Addresses: IPv4 is v4-mapped from the edge on (weft/addr.h).
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "weft/addr.h"

/* In two words, as it is read: a processor waits for what is read in one piece and was written in
 * several. */
static __always_inline void addr_from_ip4(struct addr *a, __be32 ip)
{
	__u64 *half = (void *)a;
	__u64 low = bpf_cpu_to_be64(0xffff00000000ull | bpf_ntohl(ip));

	half[0] = 0;
	half[1] = low;
}

static __always_inline __be32 addr_ip4(const struct addr *a)
{
	__be32 ip;

	__builtin_memcpy(&ip, a->b + 12, 4);
	return ip;
}

static __always_inline int addr_equal(const struct addr *a, const struct addr *b)
{
	const __u64 *x = (const void *)a, *y = (const void *)b;

	return x[0] == y[0] && x[1] == y[1];
}

static __always_inline int addr_is_zero(const struct addr *a)
{
	const __u64 *x = (const void *)a;

	return !x[0] && (!x[1] || x[1] == bpf_cpu_to_be64(0xffff00000000ull));
}

static __always_inline int addr_is_mapped(const struct addr *a)
{
	const __u64 *hi = (const void *)a;
	const __u32 *mark = (const void *)(a->b + 8);

	return !*hi && *mark == bpf_htonl(0xffff);
}

#endif
