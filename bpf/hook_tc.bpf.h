/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_HOOK_TC_BPF_H
#define WEFT_HOOK_TC_BPF_H
/*
 * The context of tc's programs, for what XDP's have in common with them. To be included first.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

/* Bytes in front of the IP header. tunnel.bpf.c has another value. */
#ifndef LINK_HLEN
#define LINK_HLEN ETH_HLEN
#endif

typedef struct __sk_buff hook_ctx;

/* Copies `len` bytes of the frame. 0, or an error if there are not as many. */
static __always_inline long hook_load(hook_ctx *skb, __u32 off, void *to, __u32 len)
{
	return bpf_skb_load_bytes(skb, off, to, len);
}

#endif
