/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_SOCKET_BPF_H
#define WEFT_SOCKET_BPF_H
/*
 * Which sockets packets are for. The includer has included hook_tc.bpf.h or hook_xdp.bpf.h.
 */
#include "packet.bpf.h"

enum {
	STATE_TIME_WAIT = 6, /* of the kernel's tcp_states.h */
	STATE_LISTEN = 10,
};

/* With `back`, that of what comes back. */
static __always_inline struct bpf_sock *find_socket(hook_ctx *ctx, int ip4, const struct tuple *to,
						    __u32 netns_id, int back)
{
	__be16 sport = bpf_htons(back ? to->dport : to->sport),
	       dport = bpf_htons(back ? to->sport : to->dport);
	const struct addr *src = back ? &to->dst : &to->src, *dst = back ? &to->src : &to->dst;
	struct bpf_sock_tuple t = {};

	if (ip4) {
		t.ipv4.saddr = addr_ip4(src);
		t.ipv4.daddr = addr_ip4(dst);
		t.ipv4.sport = sport;
		t.ipv4.dport = dport;
		return bpf_skc_lookup_tcp(ctx, &t, sizeof(t.ipv4), netns_id, 0);
	}
	__builtin_memcpy(t.ipv6.saddr, src, 16);
	__builtin_memcpy(t.ipv6.daddr, dst, 16);
	t.ipv6.sport = sport;
	t.ipv6.dport = dport;
	return bpf_skc_lookup_tcp(ctx, &t, sizeof(t.ipv6), netns_id, 0);
}

/*
 * Whether a packet with these addresses is for a connection of a socket, whatever its state; or,
 * with `back`, what comes back.
 */
GLOBAL_FUNC int has_socket(hook_ctx *ctx, int ip4, const struct tuple *to, __u32 netns_id, int back)
{
	struct bpf_sock *sk;
	__u32 state;

	if (!to)
		return 0;
	sk = find_socket(ctx, ip4, to, netns_id, back);
	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
	return state != STATE_LISTEN;
}

/*
 * Whether a server of the node's own listens where these packets go: what is not a SYN may be for
 * one of its connections then. weft-proxy's listening sockets are elsewhere.
 */
static __noinline __attribute__((unused)) int has_listener(hook_ctx *ctx, int ip4,
							   const struct tuple *to)
{
	struct tuple any = { .dst = to->dst, .dport = to->dport };
	struct bpf_sock *sk;
	__u32 state;

	sk = find_socket(ctx, ip4, &any, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
	return state == STATE_LISTEN;
}

#endif
