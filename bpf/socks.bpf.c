// SPDX-License-Identifier: GPL-2.0
/*
 * Iterators over the sockets that connect() has steered, in all network namespaces: `list_socks`
 * for `weft conns`, and `sweep_socks`, which gives back what no hook will and names the connections
 * that weftd is to end.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "kernel.bpf.h"
#include "sock.bpf.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 hz = 250; /* jiffies per second: weftd asks the kernel */

enum {
	AF_INET6 = 10,
	UNSENT_NS = 1000000000, /* a connect() that has come to no SYN by then has failed */
	NETNS_GRACE_NS = 2000000000,
};

/* An iterator's context. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};

#pragma clang attribute pop

/* A row is too large for the stack. weftd runs one iterator at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sock_row);
} rows SEC(".maps");

static __always_inline void read_tuple(struct sock *sk, struct tuple *t)
{
	struct sock_common *c = &sk->__sk_common;

	t->sport = c->skc_num;
	t->dport = bpf_ntohs(c->skc_dport);
	if (c->skc_family == AF_INET6) {
		bpf_probe_read_kernel(&t->src, 16, &c->skc_v6_rcv_saddr);
		bpf_probe_read_kernel(&t->dst, 16, &c->skc_v6_daddr);
		return;
	}
	addr_from_ip4(&t->src, c->skc_rcv_saddr);
	addr_from_ip4(&t->dst, c->skc_daddr);
}

static __always_inline void read_tcp(struct sock *sk, struct sock_row *row)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	__u64 age_ms = (bpf_ktime_get_ns() - row->conn.created) / 1000000;
	__u32 now = bpf_jiffies64(), last;

	row->state = sk->__sk_common.skc_state;
	row->idle_ms = age_ms;
	if (!tp)
		return;
	row->sent = without(tp->bytes_acked, 1 + is_fin_acked(row->state)); /* SYN and FIN */
	row->received = without(tp->bytes_received, is_fin_received(row->state));
	last = tp->lsndtime;
	if ((__s32)(tp->inet_conn.icsk_ack.lrcvtime - last) > 0)
		last = tp->inet_conn.icsk_ack.lrcvtime;
	if ((__s32)(now - last) >= 0 && (__u64)(now - last) * 1000 / hz < age_ms)
		row->idle_ms = (__u64)(now - last) * 1000 / hz;
}

static __always_inline void read_row(struct sock *sk, const struct sock_conn *s,
				     struct sock_row *row)
{
	__builtin_memset(row, 0, sizeof(*row));
	row->conn = *s;
	row->cookie = bpf_get_socket_cookie(sk);
	row->ifindex = sk->__sk_common.skc_bound_dev_if;
	read_tuple(sk, &row->t);
	read_tcp(sk, row);
}

static __always_inline struct sock_row *row_room(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&rows, &zero);
}

SEC("iter/bpf_sk_storage_map")
int list_socks(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock_conn *s = ctx->value;
	struct sock_row *row = row_room();
	struct sock *sk = ctx->sk;

	if (!sk || !s || !row || !s->called_port)
		return 0;
	read_row(sk, s, row);
	bpf_seq_write(ctx->meta->seq, row, sizeof(*row));
	return 0;
}

/* Why a connection that holds a place must go; REASON_NONE: it may stay. */
static __always_inline enum reason why_end(const struct sock_row *row)
{
	const struct sock_conn *s = &row->conn;
	__u64 age_ms = (bpf_ktime_get_ns() - s->created) / 1000000;

	if (bpf_map_lookup_elem(&gone_addrs, &s->addr))
		return REASON_POD_GONE;
	if (s->max_duration_ms && age_ms > s->max_duration_ms)
		return REASON_TIMED_OUT;
	if (s->idle_timeout_ms && row->state != BPF_TCP_SYN_SENT &&
	    row->idle_ms > s->idle_timeout_ms)
		return REASON_TIMED_OUT;
	return REASON_NONE;
}

/* Closed by its application, and still to be acknowledged by the endpoint. */
static __always_inline int is_orphan(struct sock *sk)
{
	return !sk->sk_socket;
}

/* Whether nothing else will give the place back: connect() has failed before a SYN, and the
 * application keeps the socket; or the pod is gone, or dead and about to go, and its connection an
 * orphan that waits for its endpoint's answer for minutes. */
static __always_inline int is_lost(struct sock *sk, const struct sock_row *row)
{
	const struct sock_conn *s = &row->conn;
	__u64 age = bpf_ktime_get_ns() - s->created;
	struct netns_pod *pod = bpf_map_lookup_elem(&netns_pods, &s->netns);

	if (!s->seen && row->state == BPF_TCP_CLOSE && age > UNSENT_NS)
		return 1;
	if (bpf_map_lookup_elem(&gone_addrs, &row->t.src))
		return 1;
	if (pod)
		return pod->down && is_orphan(sk);
	return age > NETNS_GRACE_NS;
}

SEC("iter/bpf_sk_storage_map")
int sweep_socks(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock_conn *s = ctx->value;
	struct sock_row *row = row_room();
	struct sock *sk = ctx->sk;

	if (!sk || !s || !row || !s->reservation)
		return 0;
	read_row(sk, s, row);
	if (is_lost(sk, row)) {
		sock_give_back(s, row->sent, row->received);
		return 0;
	}
	row->reason = why_end(row);
	if (!row->reason)
		return 0;
	if (bpf_seq_write(ctx->meta->seq, row, sizeof(*row)))
		return 0;
	if (!s->ended)
		count_reason(row->reason);
	s->ended = 1;
	return 0;
}
