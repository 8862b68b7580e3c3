/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_FIB_BPF_H
#define WEFT_FIB_BPF_H
/*
 * What the node's routes are asked.
 */
#include <linux/bpf.h>

#include "addr.bpf.h"

enum {
	AF_INET = 2, /* of the kernel's socket.h, which BPF can't include */
	AF_INET6 = 10,
};

/* Asks for the way of what goes from `src` to `dst`. */
static __always_inline void fib_addrs(struct bpf_fib_lookup *fib, int ip4, const struct addr *src,
				      const struct addr *dst)
{
	if (ip4) {
		fib->family = AF_INET;
		fib->ipv4_src = addr_ip4(src);
		fib->ipv4_dst = addr_ip4(dst);
		return;
	}
	fib->family = AF_INET6;
	__builtin_memcpy(fib->ipv6_src, src, 16);
	__builtin_memcpy(fib->ipv6_dst, dst, 16);
}

#endif
