// SPDX-License-Identifier: GPL-2.0
/*
 * Connections of pods' processes, steered where they are made: connect() is given the endpoint's
 * address, and the socket itself says when its connection opens and when it is gone. Attached to
 * the cgroup of --cgroup.
 */
#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_core_read.h>

#include "reserve.bpf.h"

#include "decide.bpf.h"
#include "refusal.bpf.h"
#include "registry.bpf.h"
#include "shortcut.bpf.h"
#include "sock.bpf.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 hz = 250; /* jiffies per second: weftd asks the kernel */

enum {
	SOL_TCP = 6, /* of the kernel's socket.h, tcp.h and net.h, which BPF can't include */
	SOL_SOCKET = 1,
	SO_KEEPALIVE = 9,
	TCP_KEEPIDLE = 4,
	TCP_KEEPINTVL = 5,
	TCP_KEEPCNT = 6,
	TCP_USER_TIMEOUT = 18,
	AF_INET = 2,
	STATE_LISTEN = 10,
	SHUTDOWN_MASK = 3,
	CONNECT_TIMEOUT_MS = 10000, /* unless a rule has another, as Envoy's */
	FIRST_RTO_MS = 1000,	    /* TCP_TIMEOUT_INIT */
	ENDPOINT_TRIES = 16,	    /* endpoints that a bound port is tried with */
	ALLOW = 1,
	DENY = 0,
};

/* ---- what is called ---- */

/* The address that connect() or getpeername() is about; IPv4's mapped. */
static __always_inline void read_addr(const struct bpf_sock_addr *ctx, int ip4, struct addr *a)
{
	if (ip4) {
		addr_from_ip4(a, ctx->user_ip4);
		return;
	}
	__u32 words[4] = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] };

	__builtin_memcpy(a->b, words, sizeof(words));
}

static __always_inline void write_addr(struct bpf_sock_addr *ctx, int ip4, const struct addr *a,
				       __u16 port)
{
	__u32 words[4];

	ctx->user_port = bpf_htons(port);
	if (ip4) {
		ctx->user_ip4 = addr_ip4(a);
		return;
	}
	__builtin_memcpy(words, a->b, sizeof(words));
	ctx->user_ip6[0] = words[0];
	ctx->user_ip6[1] = words[1];
	ctx->user_ip6[2] = words[2];
	ctx->user_ip6[3] = words[3];
}

/* ---- who calls, and from where ---- */

/* The address that the socket is bound to; :: (or its IPv4 form) if none. An IPv4 socket that is
 * used again keeps an old one in its IPv6 fields. */
static __always_inline void bound_addr(const struct bpf_sock_addr *ctx, int mapped, struct addr *a)
{
	struct bpf_sock *sk = ctx->sk;

	if (mapped) {
		addr_from_ip4(a, sk->src_ip4);
		return;
	}
	__u32 words[4] = { sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3] };

	__builtin_memcpy(a->b, words, sizeof(words));
}

/*
 * The address that the endpoint will see: the one bound to, which must be the pod's own, or the
 * pod's first. 0 if it is another's.
 */
static __always_inline int client_addr(const struct bpf_sock_addr *ctx, const struct netns_pod *pod,
				       int mapped, struct addr *a)
{
	struct pod *owner;
	__u32 *ifindex;

	bound_addr(ctx, mapped, a);
	if (addr_is_zero(a)) {
		*a = mapped ? pod->addr4 : pod->addr6;
		return 1;
	}
	ifindex = bpf_map_lookup_elem(&pod_addrs, a);
	owner = ifindex ? bpf_map_lookup_elem(&pods, ifindex) : NULL;
	return owner && owner->netns_id == pod->netns_id;
}

/* Whether the socket's bound port leads to this endpoint already, from another socket. */
static __noinline int is_taken(struct bpf_sock_addr *ctx, const struct addr *client,
			       const struct addr *endpoint, __u16 port)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk = ctx->sk, *found;
	__u32 own = sk ? sk->src_port : 0, state;

	if (addr_is_mapped(endpoint)) {
		t.ipv4.saddr = addr_ip4(endpoint);
		t.ipv4.daddr = addr_ip4(client);
		t.ipv4.sport = bpf_htons(port);
		t.ipv4.dport = bpf_htons(own);
		found = bpf_skc_lookup_tcp(ctx, &t, sizeof(t.ipv4), BPF_F_CURRENT_NETNS, 0);
	} else {
		__builtin_memcpy(t.ipv6.saddr, endpoint, 16);
		__builtin_memcpy(t.ipv6.daddr, client, 16);
		t.ipv6.sport = bpf_htons(port);
		t.ipv6.dport = bpf_htons(own);
		found = bpf_skc_lookup_tcp(ctx, &t, sizeof(t.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	if (!found)
		return 0;
	state = found->state;
	bpf_sk_release(found);
	return state != STATE_LISTEN;
}

/*
 * The kernel chooses a port for each endpoint by itself, unless the application has bound one: of
 * the cluster's endpoints, then one that this port does not lead to yet. 0: there is none.
 */
static __noinline int avoid_taken(struct bpf_sock_addr *ctx, const struct addr *client,
				  struct verdict *v)
{
	const struct cluster *c = table_cluster(v->generation, v->cluster_index);
	__u32 first = bpf_get_prandom_u32();
	struct endpoint_range range;
	int i;

	if (!is_taken(ctx, client, &v->addr, v->port))
		return 1;
	/* A client that has its endpoint for good is not given another one. */
	if (!c || v->affinity_s || c->lb == LB_SOURCE_IP)
		return 0;
	range = cluster_range(c);
	if (!range.count)
		return 0;
	for (i = 0; i < ENDPOINT_TRIES; i++) {
		const struct endpoint *e =
			table_endpoint(v->generation, range.first + (first + i) % range.count);

		if (!e)
			return 0;
		if (is_taken(ctx, client, &e->addr, e->port))
			continue;
		v->endpoint = e->id;
		v->addr = e->addr;
		v->port = e->port;
		return 1;
	}
	return 0;
}

/* ---- connect() ---- */

GLOBAL_FUNC int decide_sock(const struct question *q, struct verdict *v)
{
	if (!q || !v)
		return VERDICT_PASS;
	__builtin_memset(v, 0, sizeof(*v));
	return decide(q, v);
}

/* A Service's own address comes first, even where it is the node's, too (see decide_packet()). */
static __always_inline void decide_call(struct question *q, struct verdict *v, int mapped)
{
	decide_sock(q, v);
	if (v->service || !bpf_map_lookup_elem(&node_addrs, &q->dst))
		return;
	q->scope = SCOPE_NODE;
	if (mapped)
		addr_from_ip4(&q->dst, 0);
	else
		__builtin_memset(&q->dst, 0, sizeof(q->dst));
	decide_sock(q, v);
}

/* What was called is told as the caller has called it. */
static __always_inline void tell_sock(const struct bpf_sock_addr *ctx, int ip4,
				      const struct addr *client, __u32 cluster, enum reason reason)
{
	struct refusal_event *e = new_refusal(reason);

	if (!e)
		return;
	__builtin_memset(&e->t, 0, sizeof(e->t));
	e->t.src = *client;
	read_addr(ctx, ip4, &e->t.dst);
	e->t.dport = bpf_ntohs(ctx->user_port);
	e->cluster = cluster;
	tell_refusal(e);
}

static __always_inline int refuse(const struct bpf_sock_addr *ctx, int ip4,
				  const struct addr *client, const struct verdict *v,
				  enum reason reason)
{
	struct cluster_stat *c = cluster_stat(v->cluster);

	count_reason(reason);
	tell_sock(ctx, ip4, client, v->cluster, reason);
	if (c && reason == REASON_OVERFLOW)
		__sync_fetch_and_add(&c->overflow, 1);
	if (c && v->action == VERDICT_REFUSE)
		__sync_fetch_and_add(&c->none_healthy, 1);
	bpf_set_retval(-ECONNREFUSED);
	return DENY;
}

static __always_inline void fill_conn(struct sock_conn *s, const struct verdict *v, __u64 netns)
{
	s->addr = v->addr;
	s->port = v->port;
	s->netns = netns;
	s->created = bpf_ktime_get_ns();
	s->route = v->route;
	s->cluster = v->cluster;
	s->endpoint = v->endpoint;
	s->generation = v->generation;
	s->connect_timeout_ms = v->connect_timeout_ms ?: CONNECT_TIMEOUT_MS;
	s->idle_timeout_ms = v->idle_timeout_ms;
	s->max_duration_ms = v->max_duration_ms;
}

/* TCP_USER_TIMEOUT, ms; 0: the kernel's default. Read past getsockopt(), which costs more. */
static __always_inline __u32 user_timeout(struct bpf_sock *sk)
{
	struct tcp_sock *tp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;

	return tp ? tp->inet_conn.icsk_user_timeout : 0;
}

/* TCP gives a connection up that is not acknowledged for so long. Until it is open, that is the
 * rule's connectTimeout; then it is again what the application had set. */
static __always_inline void limit_connect(struct bpf_sock_addr *ctx, struct sock_conn *s)
{
	int timeout = s->connect_timeout_ms;
	__u32 own = user_timeout(ctx->sk);

	s->limits_connect = 0;
	if (own && own <= s->connect_timeout_ms)
		return;
	s->user_timeout_ms = own;
	s->limits_connect =
		!bpf_setsockopt(ctx, SOL_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
}

/* The application may have set another one since. */
static __always_inline void unlimit_connect(void *ctx, struct bpf_sock *sk, struct sock_conn *s)
{
	int own = s->user_timeout_ms;

	if (!s->limits_connect)
		return;
	s->limits_connect = 0;
	if (user_timeout(sk) == s->connect_timeout_ms)
		bpf_setsockopt(ctx, SOL_TCP, TCP_USER_TIMEOUT, &own, sizeof(own));
}

static __always_inline void set_option(struct bpf_sock_addr *ctx, int level, int name, int value)
{
	if (value)
		bpf_setsockopt(ctx, level, name, &value, sizeof(value));
}

/* tcpKeepalive: what a rule leaves open stays as the pod's kernel or the application has it. */
static __always_inline void keep_alive(struct bpf_sock_addr *ctx, const struct verdict *v)
{
	set_option(ctx, SOL_SOCKET, SO_KEEPALIVE, v->keepalive);
	set_option(ctx, SOL_TCP, TCP_KEEPIDLE, v->keepalive_time_s);
	set_option(ctx, SOL_TCP, TCP_KEEPINTVL, v->keepalive_interval_s);
	set_option(ctx, SOL_TCP, TCP_KEEPCNT, v->keepalive_probes);
}

/* Takes the place and counts. */
static __always_inline enum reason take_place(struct sock_conn *s, const struct verdict *v,
					      const struct question *q)
{
	struct cluster_limit *l = cluster_limit(v->cluster);
	struct cluster_stat *c = cluster_stat(v->cluster);
	enum reason reason;

	if (!c || !l)
		return REASON_GENERATION;
	reason = reserve(l, v->max_connections);
	if (reason)
		return reason;
	count_steered(v, c);
	remember_affinity(q, v);
	s->reservation = reservation(v->cluster, v->endpoint);
	return REASON_NONE;
}

static __always_inline int may_defer(struct bpf_sock_addr *ctx)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(ctx->sk);

	return tp && BPF_CORE_READ_BITFIELD(tp, fastopen_connect);
}

static __always_inline struct sock_conn *remember_socket(__u64 cookie, const struct verdict *v,
							 __u64 netns)
{
	struct sock_conn s = {};

	fill_conn(&s, v, netns);
	return sock_remember(cookie, &s) ? sock_of(cookie) : NULL;
}

static __noinline int steer_socket(struct bpf_sock_addr *ctx, const struct question *q,
				   struct verdict *v, __u64 netns, int ip4)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct sock_conn *s = remember_socket(cookie, v, netns);
	enum reason reason;

	if (!s)
		return REASON_TABLE_FULL;
	read_addr(ctx, ip4, &s->called);
	s->called_port = bpf_ntohs(ctx->user_port);
	s->deferred = may_defer(ctx);
	limit_connect(ctx, s);
	if (v->keepalive)
		keep_alive(ctx, v);
	reason = take_place(s, v, q);
	if (reason) {
		unlimit_connect(ctx, ctx->sk, s);
		sock_forget(cookie);
	}
	return reason;
}

/* The endpoint is where a Service has an address, too, such as an external one, or the node's own
 * on a port that a Gateway or NodePort has there, or one that is open for any address: tc would
 * decide a second time what this socket sends. */
static __always_inline int is_called_there(const struct verdict *v, int mapped)
{
	struct service_key key = { .addr = v->addr, .port = v->port, .scope = SCOPE_MESH };

	if (table_service(v->generation, &key) || may_be_anywhere(v->generation, &v->addr, v->port))
		return 1;
	if (!bpf_map_lookup_elem(&node_addrs, &v->addr))
		return 0;
	key.scope = SCOPE_NODE;
	if (mapped)
		addr_from_ip4(&key.addr, 0);
	else
		__builtin_memset(&key.addr, 0, sizeof(key.addr));
	return table_service(v->generation, &key) != NULL;
}

/* What an earlier connect() of the same socket has left: it has failed, or the hook would not run.
 */
static __always_inline void forget_earlier(struct bpf_sock_addr *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct sock_conn *s = sock_of(cookie);

	if (!s)
		return;
	sock_give_back(s, 0, 0);
	unlimit_connect(ctx, ctx->sk, s);
	sock_forget(cookie);
}

/* One without a file: a subflow of MPTCP, NFS, SMC. No hook tells that such a socket is released
 * after its connect() has failed early, and its place would be lost: tc steers what it sends. */
static __always_inline int is_kernels(struct bpf_sock_addr *ctx)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(ctx->sk);

	return !tp || BPF_CORE_READ_BITFIELD(&tp->inet_conn.icsk_inet.sk, sk_kern_sock);
}

/* Within the pod: the loopback, or an address of its own. */
static __noinline int is_own_call(const struct addr *dst, const struct netns_pod *pod)
{
	__u32 *ifindex = bpf_map_lookup_elem(&pod_addrs, dst);
	struct pod *owner = ifindex ? bpf_map_lookup_elem(&pods, ifindex) : NULL;
	__u8 any = 0;
	int i;

	if (owner && owner->netns_id == pod->netns_id)
		return 1;
	if (addr_is_mapped(dst))
		return dst->b[12] == 127 || !addr_ip4(dst);
	for (i = 0; i < 15; i++)
		any |= dst->b[i];
	return !any && dst->b[15] <= 1;
}

/* Whether the call is refused because nothing knows what it is for. */
static __noinline int is_unregistered(struct bpf_sock_addr *ctx, const struct netns_pod *pod,
				      const struct verdict *v, int ip4)
{
	struct addr dst;

	read_addr(ctx, ip4, &dst);
	return is_no_service(v) && !is_own_call(&dst, pod) &&
	       !is_registered(&dst, bpf_ntohs(ctx->user_port), v->generation);
}

static __always_inline int on_connect(struct bpf_sock_addr *ctx, int ip4)
{
	struct question q = {};
	struct netns_pod *pod;
	struct verdict v = {};
	__u64 netns, *number;
	__u32 zero = 0;
	int mapped, own, reason;

	if (ctx->protocol != IPPROTO_TCP || !ctx->sk || is_kernels(ctx))
		return ALLOW;
	forget_earlier(ctx);
	netns = bpf_get_netns_cookie(ctx);
	pod = bpf_map_lookup_elem(&netns_pods, &netns);
	if (!pod || pod->outside)
		return ALLOW;
	read_addr(ctx, ip4, &q.dst);
	mapped = ip4 || addr_is_mapped(&q.dst);
	q.port = bpf_ntohs(ctx->user_port);
	number = bpf_map_lookup_elem(&generation, &zero);
	q.generation = number ? *number : 0;
	q.source = pod->addr;
	own = client_addr(ctx, pod, mapped, &q.client);
	/* What may have to be left to tc takes no turn here: tc will take one. */
	q.dry = !own || ctx->sk->src_port;
	decide_call(&q, &v, mapped);
	if (!own) {
		if (v.service)
			count_reason(REASON_SPOOFED);
		return ALLOW;
	}
	if (q.dry && v.action == VERDICT_STEER) {
		if (!avoid_taken(ctx, &q.client, &v))
			return ALLOW;
		q.dry = 0;
		q.scope = SCOPE_MESH;
		read_addr(ctx, ip4, &q.dst);
		decide_call(&q, &v, mapped);
	}
	if (v.action == VERDICT_REFUSE || v.action == VERDICT_DROP)
		return refuse(ctx, ip4, &q.client, &v, v.reason);
	if (v.action != VERDICT_STEER) {
		if (registry_only && is_unregistered(ctx, pod, &v, ip4))
			return refuse(ctx, ip4, &q.client, &v, REASON_UNREGISTERED);
		if (v.action == VERDICT_PASS && v.reason)
			count_reason(v.reason);
		return ALLOW;
	}
	if (is_called_there(&v, mapped))
		return ALLOW;
	if (ctx->sk->src_port && !avoid_taken(ctx, &q.client, &v))
		return ALLOW; /* tc gives its packets another port */
	reason = steer_socket(ctx, &q, &v, netns, ip4);
	if (reason == REASON_TABLE_FULL || reason == REASON_GENERATION)
		return ALLOW;
	if (reason)
		return refuse(ctx, ip4, &q.client, &v, reason);
	write_addr(ctx, ip4, &v.addr, v.port);
	return ALLOW;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	return on_connect(ctx, 1);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	return on_connect(ctx, 0);
}

/* ---- getpeername(): the address that was called ---- */

static __always_inline int on_getpeername(struct bpf_sock_addr *ctx, int ip4)
{
	struct sock_conn *s = sock_of(bpf_get_socket_cookie(ctx));

	if (s)
		write_addr(ctx, ip4, &s->called, s->called_port);
	return ALLOW;
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *ctx)
{
	return on_getpeername(ctx, 1);
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *ctx)
{
	return on_getpeername(ctx, 0);
}

/* ---- the life of the connection ---- */

/* The application has not given up by itself: its close() says so before the state changes. Its
 * AF_UNSPEC does not, and counts as a failure. */
static __always_inline int has_failed(struct bpf_sock *sk)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	return tp && tp->inet_conn.icsk_inet.sk.sk_shutdown != SHUTDOWN_MASK;
}

/* As the client's packets travel. The kernel lets a word be read at a time, which `volatile` keeps
 * the compiler to. */
static __always_inline void read_ops_tuple(const volatile struct bpf_sock_ops *ops, struct tuple *t)
{
	t->sport = ops->local_port;
	t->dport = bpf_ntohl(ops->remote_port);
	t->hook = 0;
	if (ops->family == AF_INET) {
		addr_from_ip4(&t->src, ops->local_ip4);
		addr_from_ip4(&t->dst, ops->remote_ip4);
		return;
	}
	__u32 src[4] = { ops->local_ip6[0], ops->local_ip6[1], ops->local_ip6[2],
			 ops->local_ip6[3] };
	__u32 dst[4] = { ops->remote_ip6[0], ops->remote_ip6[1], ops->remote_ip6[2],
			 ops->remote_ip6[3] };

	__builtin_memcpy(t->src.b, src, sizeof(src));
	__builtin_memcpy(t->dst.b, dst, sizeof(dst));
}

static __always_inline void open_shortcut(struct bpf_sock_ops *ops, struct sock_conn *s)
{
	struct tuple t;

	if (!shortcut_in_use())
		return;
	read_ops_tuple(ops, &t);
	s->shortcut = shortcut_open(&t);
}

static __always_inline void close_shortcut(struct bpf_sock_ops *ops, struct sock_conn *s)
{
	struct tuple t;

	if (!s->shortcut)
		return;
	read_ops_tuple(ops, &t);
	shortcut_close(&t);
	s->shortcut = 0;
}

/* Where the last descriptor is closed at the same time, at least one of on_closed() and
 * sock_release() sees what the other one has written. */
static __always_inline int is_released(const volatile struct sock_conn *s)
{
	return s->released;
}

/* `was`: the state that it has ended in. */
static __always_inline void read_bytes(struct bpf_sock *sk, __u32 was, struct sock_bytes *out)
{
	const struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (!tp)
		return;
	out->sent = without(tp->bytes_acked, 1 + (sends_fin(was) && tp->snd_una == tp->write_seq));
	out->received = without(tp->bytes_received, is_fin_received(tp));
}

static __always_inline void on_closed(struct bpf_sock_ops *ops, struct bpf_sock *sk,
				      struct sock_conn *s)
{
	__u32 was = ops->args[0];
	struct sock_bytes bytes = {};

	if (was == BPF_TCP_SYN_SENT && s->reservation && has_failed(sk))
		count_connect_fail(s->cluster, s->endpoint);
	read_bytes(sk, was, &bytes);
	sock_end(s, bytes.sent, bytes.received);
	close_shortcut(ops, s);
	if (is_released(s))
		sock_forget(bpf_get_socket_cookie(ops));
}

/* The sweep has taken a connect() for failed that was only slow: the place is taken again, above
 * the limit if need be, for the connection is made. */
static __always_inline void take_back(struct sock_conn *s)
{
	struct cluster_limit *l = cluster_limit(s->cluster);
	struct endpoint_stat *e = endpoint_stat(s->endpoint);

	if (!l || reserve(l, 0))
		return;
	if (e)
		__sync_fetch_and_add(&e->active, 1);
	s->reservation = reservation(s->cluster, s->endpoint);
}

/* What the sweep goes by. */
static __always_inline void on_connecting(struct bpf_sock_ops *ops, struct bpf_sock *sk,
					  struct sock_conn *s)
{
	struct tuple t;

	read_ops_tuple(ops, &t);
	s->own = t.src;
	s->own_port = t.sport;
	s->ifindex = sk->bound_dev_if;
	s->seen = 1;
	if (!s->reservation)
		take_back(s);
	bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* The endpoint has answered. */
static __always_inline void count_open(struct sock_conn *s)
{
	struct tcp_traffic_key key;
	__u64 held = s->reservation;

	if (!held || s->traffic)
		return;
	sock_traffic_key(s, held, &key);
	s->traffic = traffic_open(&key);
}

/* Called for every socket of the cgroup, a dozen times in a connection's life: most of it is cut
 * short here. Where both sides have sent a SYN, one that connects is told that it is open as one
 * that accepts is (tcp_rcv_state_process), but has asked for states. */
static __always_inline int concerns_us(const struct bpf_sock_ops *ops, __u32 op)
{
	return op == BPF_SOCK_OPS_TIMEOUT_INIT || op == BPF_SOCK_OPS_TCP_CONNECT_CB ||
	       op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB ||
	       (op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && ops->bpf_sock_ops_cb_flags) ||
	       (op == BPF_SOCK_OPS_STATE_CB && ops->args[1] == BPF_TCP_CLOSE);
}

SEC("sockops")
int sock_ops(struct bpf_sock_ops *ops)
{
	__u32 op = ops->op, ms;
	struct sock_conn *s;
	struct bpf_sock *sk;

	if (!concerns_us(ops, op))
		return 1;
	sk = ops->sk;
	s = sk ? sock_of(bpf_get_socket_cookie(ops)) : NULL;
	if (!s)
		return 1;
	switch (op) {
	case BPF_SOCK_OPS_TIMEOUT_INIT:
		ms = s->connect_timeout_ms;
		if (s->reservation && ms < FIRST_RTO_MS)
			ops->reply = ms * hz / 1000 ?: 1;
		break;
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		on_connecting(ops, sk, s);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		unlimit_connect(ops, sk, s);
		if (!s->reservation)
			break;
		count_open(s);
		open_shortcut(ops, s);
		break;
	default:
		on_closed(ops, sk, s);
	}
	return 1;
}

/* The last descriptor of a socket is closed: if it never came to a SYN, or it has ended, nothing
 * else will tell. */
SEC("cgroup/sock_release")
int sock_release(struct bpf_sock *sk)
{
	__u64 cookie = bpf_get_socket_cookie(sk);
	struct sock_conn *s = sock_of(cookie);

	if (!s)
		return 1;
	s->released = 1;
	if (!s->seen || sk->state == BPF_TCP_CLOSE)
		sock_end(s, 0, 0);
	if (!__sync_fetch_and_add(&s->reservation, 0))
		sock_forget(cookie);
	return 1;
}
