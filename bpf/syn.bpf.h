/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_SYN_BPF_H
#define WEFT_SYN_BPF_H
/*
 * What a SYN says beside its header. The includer has included hook_tc.bpf.h or hook_xdp.bpf.h.
 */
#include "packet.bpf.h"

/* The window scale that a SYN's options name (RFC 7323 2.2). `off` is that of its TCP header. */
GLOBAL_FUNC int syn_wscale(hook_ctx *ctx, __u32 off)
{
	__u8 option[3], doff;
	__u32 end;
	int i;

	if (hook_load(ctx, off + 12, &doff, 1))
		return WSCALE_NONE;
	end = off + (doff >> 4) * 4;
	off += TCP_MIN;
	for (i = 0; i < TCP_OPTIONS_MAX && off + sizeof(option) <= end; i++) {
		if (hook_load(ctx, off, option, sizeof(option)))
			return WSCALE_NONE;
		if (option[0] == TCP_OPTION_WSCALE && option[1] == sizeof(option))
			return option[2] < TCP_WSCALE_MAX ? option[2] : TCP_WSCALE_MAX;
		if (option[0] == TCP_OPTION_END || (option[0] != TCP_OPTION_NOP && option[1] < 2))
			return WSCALE_NONE;
		off += option[0] == TCP_OPTION_NOP ? 1 : option[1];
	}
	return WSCALE_NONE;
}

#endif
