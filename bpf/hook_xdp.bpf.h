/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_HOOK_XDP_BPF_H
#define WEFT_HOOK_XDP_BPF_H
/*
 * The context of XDP's programs, for what tc's have in common with them. To be included first.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

typedef struct xdp_md hook_ctx;

/* Copies `len` bytes of the frame. 0, or an error if there are not as many. */
static __always_inline long hook_load(hook_ctx *ctx, __u32 off, void *to, __u32 len)
{
	return bpf_xdp_load_bytes(ctx, off, to, len);
}

#endif
