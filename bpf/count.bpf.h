/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_COUNT_BPF_H
#define WEFT_COUNT_BPF_H
/*
 * The bytes of open connections (weft/traffic.h), which weftd has counted every few seconds. It is
 * linked with the sweep.
 *
 * No walk keeps softirqs off: that over `conns` is a system call's, and sockets, which programs of
 * tc's kind alone can look for, are asked some at a time. What ends between two of these is counted
 * by the one that ends it; what is asked twice is counted once (traffic_raise()).
 */
#include "conntrack.bpf.h"
#include "sock.bpf.h"
#include "socket.bpf.h"

/*
 * What has been counted of a connection; `fresh`: nothing yet. NULL: there is no room, or it has
 * ended. The one that ends it swaps the reservation to 0 before it looks for the entry, and we do
 * it the other way round: one of us sees what the other has done.
 */
static __always_inline struct tcp_counted *count_entry(const struct tuple *t, int fresh,
						       __u64 *reservation, __u64 *held)
{
	struct tcp_counted none = {};

	if (fresh)
		bpf_map_update_elem(&tcp_counted, t, &none, BPF_ANY);
	*held = __sync_fetch_and_add(reservation, 0);
	if (*held)
		return bpf_map_lookup_elem(&tcp_counted, t);
	bpf_map_delete_elem(&tcp_counted, t);
	return NULL;
}

static __always_inline void count_more(const struct tcp_traffic_key *key, enum traffic_place place,
				       struct tcp_counted *counted, __u64 received, __u64 sent)
{
	received = traffic_raise(&counted->received, received);
	sent = traffic_raise(&counted->sent, sent);
	if (received || sent)
		traffic_add(key, place, received, sent, 0);
}

/* ---- those of packets ---- */

/* The entry may become another connection's meanwhile, as this may be interrupted anywhere. If it
 * has, nothing is counted, and at the other's end all of its bytes are. */
static long count_conn(void *map, struct tuple *key, struct conn *forward, void *ctx)
{
	__u64 created = *(volatile __u64 *)&forward->created, held, received, sent;
	int fresh = !forward->swept, place = forward->traffic;
	struct tcp_counted *counted;
	struct tcp_traffic_key row;
	const struct conn *reply;
	struct tuple to;

	if (forward->dir != DIR_FORWARD || !place || !forward->reservation)
		return 0;
	reply = conn_other(forward);
	if (!reply || (!forward->bytes && !reply->bytes))
		return 0;
	to = forward->to;
	forward->swept = 1;
	counted = count_entry(&to, fresh, &forward->reservation, &held);
	if (!counted)
		return 0;
	conn_traffic_key(forward, held, &row);
	received = *(volatile __u64 *)&forward->bytes;
	sent = *(volatile __u64 *)&reply->bytes;
	if (*(volatile __u64 *)&forward->created == created)
		count_more(&row, place, counted, received, sent);
	else
		bpf_map_delete_elem(&tcp_counted, &to);
	return 0;
}

SEC("syscall")
int count_traffic(void *ctx)
{
	if (has_conns())
		bpf_for_each_map_elem(&conns, count_conn, NULL, 0);
	return 0;
}

/* ---- those of sockets ---- */

struct count_args {
	hook_ctx *ctx;
};

/* The state is read last: of a FIN that has been sent since, no acknowledgement is in what was read
 * before. Until its connection ends, a FIN is taken for acknowledged. */
static __always_inline void read_bytes(const struct tcp_sock *tp, struct sock_bytes *out)
{
	__u64 sent = *(volatile __u64 *)&tp->bytes_acked,
	      received = *(volatile __u64 *)&tp->bytes_received;
	__u32 state = tp->inet_conn.icsk_inet.sk.__sk_common.skc_state;

	out->sent = without(sent, 1 + sends_fin(state));
	out->received = without(received, is_fin_received(tp));
}

/* Those of the socket in its pod. 0: it is not found there. One that is bound to an interface never
 * is. */
static __noinline int ask_socket(hook_ctx *ctx, const struct tuple *t, __u32 netns_id, __u64 cookie,
				 struct sock_bytes *out)
{
	struct bpf_sock *sk = find_socket(ctx, addr_is_mapped(&t->dst), t, netns_id, 1);
	struct tcp_sock *tp;
	int found;

	if (!sk)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	found = tp && tp->inet_conn.icsk_inet.sk.__sk_common.skc_cookie.counter == cookie;
	if (found)
		read_bytes(tp, out);
	bpf_sk_release(sk);
	return found;
}

static __always_inline void count_bytes(struct sock_conn *s, const struct tuple *t,
					const struct sock_bytes *bytes)
{
	struct tcp_counted *counted;
	struct tcp_traffic_key row;
	int fresh = !s->swept;
	__u64 held;

	s->swept = 1;
	counted = count_entry(t, fresh, &s->reservation, &held);
	if (!counted)
		return;
	sock_traffic_key(s, held, &row);
	count_more(&row, s->traffic, counted, bytes->sent, bytes->received);
}

static __always_inline void count_socket(hook_ctx *ctx, __u64 cookie, struct sock_conn *s)
{
	struct sock_bytes bytes = {};
	const struct netns_pod *pod;
	__u64 netns = s->netns;
	struct tuple t;

	if (!s->traffic || !s->reservation)
		return;
	pod = bpf_map_lookup_elem(&netns_pods, &netns);
	if (!pod || pod->netns_id == NETNS_UNKNOWN)
		return;
	sock_tuple(s, &t);
	if (ask_socket(ctx, &t, pod->netns_id, cookie, &bytes) && (bytes.sent || bytes.received))
		count_bytes(s, &t, &bytes);
}

static long count_one(__u32 i, struct count_args *args)
{
	__u32 at = __builtin_offsetof(struct traffic_sockets, cookies) + i * sizeof(__u64);
	struct sock_conn *s;
	__u64 cookie;

	if (hook_load(args->ctx, at, &cookie, sizeof(cookie)))
		return 1; /* there are no more */
	s = sock_of(cookie);
	if (s)
		count_socket(args->ctx, cookie, s);
	return 0;
}

/* Of tc's kind, for that can look for sockets; weftd runs it, no interface does. One at a time. The
 * frame is a struct traffic_sockets. */
SEC("tc")
int count_sockets(struct __sk_buff *skb)
{
	struct count_args args = { .ctx = skb };

	bpf_loop(TRAFFIC_SOCKETS_AT_ONCE, count_one, &args, 0);
	return 0;
}

#endif
