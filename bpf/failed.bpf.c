// SPDX-License-Identifier: GPL-2.0
/*
 * A connect() that fails before its SYN (no route, no port) tells no hook, and the application may
 * keep the socket: here its place comes back at once. Where the kernel refuses these programs, the
 * sweep gives it back a second later.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "sock.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct sock;

static __always_inline void forget(struct sock *sk)
{
	struct sock_conn *s = sock_of(bpf_get_socket_cookie(sk));

	if (s)
		sock_give_back(s, 0, 0);
}

SEC("fexit/tcp_v4_connect")
int BPF_PROG(connect4_failed, struct sock *sk, void *to, int len, int result)
{
	if (result)
		forget(sk);
	return 0;
}

SEC("fexit/tcp_v6_connect")
int BPF_PROG(connect6_failed, struct sock *sk, void *to, int len, int result)
{
	if (result)
		forget(sk);
	return 0;
}
