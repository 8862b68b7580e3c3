/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_SOCK_BPF_H
#define WEFT_SOCK_BPF_H
/*
 * The state of a steered socket (weft/sock.h).
 */
#include "kernel.bpf.h"
#include "reserve.bpf.h"
#include "traffic.bpf.h"

enum { SOCK_DONE = 1 }; /* of the kernel's enum sock_flags: a FIN has been received */

/* Payload bytes of a socket. */
struct sock_bytes {
	__u64 sent; /* and acknowledged */
	__u64 received;
};

/* SYN and FIN are counted as a byte each. */
static __always_inline __u64 without(__u64 bytes, __u32 extra)
{
	return bytes > extra ? bytes - extra : 0;
}

static __always_inline __u32 is_fin_received(const struct tcp_sock *tp)
{
	return tp->inet_conn.icsk_inet.sk.__sk_common.skc_flags >> SOCK_DONE & 1;
}

/* Whether a socket in this state has sent a FIN, or is about to. */
static __always_inline __u32 sends_fin(__u32 state)
{
	return state == BPF_TCP_FIN_WAIT1 || state == BPF_TCP_FIN_WAIT2 ||
	       state == BPF_TCP_CLOSING || state == BPF_TCP_LAST_ACK;
}

static __always_inline struct sock_conn *sock_of(__u64 cookie)
{
	return bpf_map_lookup_elem(&socks, &cookie);
}

static __always_inline void sock_counted(__u64 by)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&sock_count, &zero);

	if (count)
		__sync_fetch_and_add(count, by);
}

/* Makes an entry, where there is none. Whether there is room for it. */
static __always_inline int sock_remember(__u64 cookie, const struct sock_conn *s)
{
	if (bpf_map_update_elem(&socks, &cookie, s, BPF_NOEXIST))
		return 0;
	sock_counted(1);
	return 1;
}

static __always_inline void sock_forget(__u64 cookie)
{
	if (!bpf_map_delete_elem(&socks, &cookie))
		sock_counted(-1);
}

/* Gives the socket's place back, once however many hooks see it end. Payload bytes. */
static __always_inline void sock_give_back(struct sock_conn *s, __u64 sent, __u64 received)
{
	__u64 held = __sync_lock_test_and_set(&s->reservation, 0);

	if (held)
		give_back(held, sent, received);
}

/* ---- who talks to whom ---- */

/* The pod by its end of the connection, which stays what it is when the pod has gone. */
static __always_inline void sock_traffic_key(const struct sock_conn *s, __u64 held,
					     struct tcp_traffic_key *key)
{
	key->caller = s->own;
	key->cluster = held >> 32;
	key->endpoint = held;
}

/* As its packets go to the endpoint. */
static __always_inline void sock_tuple(const struct sock_conn *s, struct tuple *t)
{
	__builtin_memset(t, 0, sizeof(*t));
	t->src = s->own;
	t->dst = s->addr;
	t->sport = s->own_port;
	t->dport = s->port;
}

/* `held`: what its reservation was. */
GLOBAL_FUNC int sock_count_end(const struct sock_conn *s, __u64 held, __u64 sent, __u64 received)
{
	struct tcp_traffic_key key;
	struct tuple t;

	if (!s)
		return 0;
	sock_traffic_key(s, held, &key);
	sock_tuple(s, &t);
	traffic_close(&key, s->traffic, &t, s->swept, sent, received);
	return 0;
}

/* The same as sock_give_back() of a socket whose connection may have been open. */
static __always_inline void sock_end(struct sock_conn *s, __u64 sent, __u64 received)
{
	__u64 held = __sync_lock_test_and_set(&s->reservation, 0);

	if (!held)
		return;
	give_back(held, sent, received);
	if (s->traffic)
		sock_count_end(s, held, sent, received);
}

#endif
