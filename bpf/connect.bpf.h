/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_CONNECT_BPF_H
#define WEFT_CONNECT_BPF_H
/*
 * The first packet of a connection: decide, reserve, and make the entries of `conns`.
 */
#include "conntrack.bpf.h"
#include "decide.bpf.h"
#include "handover.bpf.h"
#include "rewrite.bpf.h"

enum {
	AF_INET = 2, /* of the kernel's socket.h, which BPF can't include */
	AF_INET6 = 10,
	PORT_TRIES = 32,
	PORT_FIRST = 1024,
	NETNS_UNKNOWN = 0xffffffff,
	NETNS_NODE = 0xfffffffe, /* any negative number is the node's own (bpf_sk_lookup_tcp) */
};

static __always_inline void fill_question(const struct packet *p, __u32 ifindex, struct question *q)
{
	struct pod *pod = bpf_map_lookup_elem(&pods, &ifindex);
	__u64 *number;
	__u32 zero = 0;

	__builtin_memset(q, 0, sizeof(*q));
	number = bpf_map_lookup_elem(&generation, &zero);
	q->generation = number ? *number : 0;
	q->client = p->t.src;
	q->dst = p->t.dst;
	q->port = p->t.dport;
	if (pod)
		q->source = pod->addr;
}

static __noinline int decide_question(struct scratch *s)
{
	__builtin_memset(&s->verdict, 0, sizeof(s->verdict));
	return decide(&s->question, &s->verdict);
}

/*
 * A Service's own address comes first, even where it is the node's, too (kube-proxy's IPVS mode).
 * On a port of the node it doesn't matter which of its addresses was called, only the family.
 */
static __always_inline void decide_packet(const struct packet *p, struct scratch *s, int from_pod)
{
	s->verdict.action = VERDICT_PASS;
	s->verdict.service = 0;
	s->verdict.reason = REASON_NONE;
	if (from_pod)
		decide_question(s);
	if (s->verdict.service || !bpf_map_lookup_elem(&node_addrs, &p->t.dst))
		return;
	s->question.scope = SCOPE_NODE;
	if (p->ip4)
		addr_from_ip4(&s->question.dst, 0);
	else
		__builtin_memset(&s->question.dst, 0, sizeof(s->question.dst));
	decide_question(s);
}

/* Towards a pod of this node: straight into its namespace. */
static __always_inline void way_to_pod(struct way *w, __u32 ifindex, const struct pod *pod)
{
	w->ifindex = ifindex;
	w->deliver = DELIVER_PEER;
	__builtin_memcpy(w->dmac, pod->mac, 6);
	__builtin_memcpy(w->smac, pod->host_mac, 6);
}

static __always_inline int way_by_fib(struct __sk_buff *skb, const struct packet *p,
				      struct scratch *s)
{
	struct bpf_fib_lookup fib = { .ifindex = skb->ifindex, .l4_protocol = IPPROTO_TCP };
	int r;

	if (p->ip4) {
		fib.family = AF_INET;
		fib.ipv4_src = addr_ip4(&p->t.src);
		fib.ipv4_dst = addr_ip4(&s->verdict.addr);
	} else {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_src, &p->t.src, 16);
		__builtin_memcpy(fib.ipv6_dst, &s->verdict.addr, 16);
	}
	r = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	if (r != BPF_FIB_LKUP_RET_SUCCESS && r != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	s->way.ifindex = fib.ifindex;
	s->way.deliver = DELIVER_NEIGH;
	return 1;
}

/*
 * Fills in s->way and s->to, the packet's addresses as the endpoint shall see them. `netns_id`
 * becomes that of an endpoint on this node.
 */
static __noinline enum reason find_way(struct __sk_buff *skb, const struct packet *p,
				       struct scratch *s, int from_pod)
{
	__u32 *ifindex = bpf_map_lookup_elem(&pod_addrs, &s->verdict.addr);
	struct pod *pod = ifindex ? bpf_map_lookup_elem(&pods, ifindex) : NULL;
	struct nic *nic;

	s->netns_id = NETNS_UNKNOWN;
	s->to = p->t;
	s->to.dst = s->verdict.addr;
	s->to.dport = s->verdict.port;
	/* A pod that reaches itself would not believe a packet from its own address. */
	if (addr_equal(&s->verdict.addr, &p->t.src))
		s->to.src = p->t.dst;
	if (pod) {
		way_to_pod(&s->way, *ifindex, pod);
		s->netns_id = pod->netns_id;
		return REASON_NONE;
	}
	if (bpf_map_lookup_elem(&node_addrs, &s->verdict.addr))
		return REASON_HOST_ENDPOINT;
	if (!way_by_fib(skb, p, s))
		return REASON_NO_ROUTE;
	nic = bpf_map_lookup_elem(&nics, &s->way.ifindex);
	if (!nic && !bpf_map_lookup_elem(&pods, &s->way.ifindex))
		return REASON_FOREIGN_WAY;
	if (from_pod)
		return REASON_NONE;
	/* From outside to outside: only with our own address do the replies come back here. */
	if (!nic)
		return REASON_NO_ROUTE;
	s->to.src = p->ip4 ? nic->addr4 : nic->addr6;
	s->netns_id = NETNS_NODE;
	return addr_is_zero(&s->to.src) ? REASON_NO_ROUTE : REASON_NONE;
}

/*
 * Whether there is a connection with these addresses already that is not ours: at an endpoint on
 * this node, one made past us or before weft started, or one in TIME_WAIT, which would not take our
 * sequence numbers; with the node's address, one of the node itself.
 */
CHECKED_ONCE int in_use(struct __sk_buff *skb, int ip4, const struct tuple *to, __u32 netns_id)
{
	struct tuple back;

	if (!to || netns_id == NETNS_UNKNOWN)
		return 0;
	if (netns_id != NETNS_NODE)
		return has_socket(skb, ip4, to, netns_id);
	tuple_reverse(&back, to);
	return has_socket(skb, ip4, &back, netns_id);
}

/* weft-proxy calls from its own ports in a client's name, not in the node's. */
static __always_inline __u16 any_port(__u32 netns_id)
{
	__u32 end = netns_id == NETNS_NODE ? 65536 : PROXY_PORT_FIRST;

	return PORT_FIRST + bpf_get_prandom_u32() % (end - PORT_FIRST);
}

/*
 * Inserts s->conn as the reply entry, whose key must be free: two services may lead the same client
 * port to the same endpoint, so another source port may have to do. On success s->to and s->reply
 * are final.
 */
static __always_inline enum reason claim_port(struct __sk_buff *skb, const struct packet *p,
					      struct scratch *s)
{
	int r; /* before 6.4 a map's function returns 32 bits, and the upper half is anything */
	int i;

	for (i = 0; i < PORT_TRIES; i++) {
		if (i)
			s->to.sport = any_port(s->netns_id);
		if (in_use(skb, p->ip4, &s->to, s->netns_id))
			continue;
		tuple_reverse(&s->reply, &s->to);
		r = bpf_map_update_elem(&conns, &s->reply, &s->conn, BPF_NOEXIST);
		if (!r)
			return REASON_NONE;
		if (r != -EEXIST)
			return REASON_TABLE_FULL;
	}
	return REASON_NO_PORT;
}

static __always_inline void fill_reply(struct __sk_buff *skb, const struct packet *p,
				       struct scratch *s, int from_pod)
{
	struct conn *c = &s->conn;

	__builtin_memset(c, 0, sizeof(*c));
	tuple_reverse(&c->to, &p->t);
	c->dir = DIR_REPLY;
	c->created = c->seen = packet_ns();
	c->generation = s->verdict.generation;
	c->client_ifindex = skb->ifindex;
	c->syn_ack = p->seq + 1;
	c->way.ifindex = skb->ifindex;
	c->way.deliver = from_pod ? DELIVER_PEER : DELIVER_NEIGH;
	/* Back to where the SYN came from. */
	bpf_skb_load_bytes(skb, 6, c->way.dmac, 6);
	bpf_skb_load_bytes(skb, 0, c->way.smac, 6);
}

static __always_inline void fill_forward(const struct packet *p, struct scratch *s)
{
	struct conn *c = &s->conn;

	c->to = s->to;
	c->way = s->way;
	c->dir = DIR_FORWARD;
	c->state = CONN_SYN;
	c->syn_ack = 0;
	c->seq = p->seq + 1;
	c->bytes = p->bytes;
	c->packets = 1;
	c->route = s->verdict.route;
	c->cluster = s->verdict.cluster;
	c->endpoint = s->verdict.endpoint;
	c->connect_timeout_ms = s->verdict.connect_timeout_ms;
	c->idle_timeout_ms = s->verdict.idle_timeout_ms;
	c->max_duration_ms = s->verdict.max_duration_ms;
	c->reservation = reservation(c->cluster, c->endpoint);
}

/* Both entries, or none. The reservation has been taken and stays the caller's when this fails. */
static __always_inline enum reason insert_entries(struct __sk_buff *skb, const struct packet *p,
						  struct scratch *s, int from_pod)
{
	enum reason reason;
	int r;

	fill_reply(skb, p, s, from_pod);
	reason = claim_port(skb, p, s);
	if (reason)
		return reason;
	fill_forward(p, s);
	r = bpf_map_update_elem(&conns, &p->t, &s->conn, BPF_NOEXIST);
	if (!r)
		return REASON_NONE;
	bpf_map_delete_elem(&conns, &s->reply);
	return r == -EEXIST ? REASON_TWICE : REASON_TABLE_FULL;
}

static __noinline enum reason take_connection(struct __sk_buff *skb, const struct packet *p,
					      struct scratch *s, int from_pod)
{
	struct cluster_stat *c = cluster_stat(s->verdict.cluster);
	struct cluster_limit *l = cluster_limit(s->verdict.cluster);
	enum reason reason;

	if (!c || !l)
		return REASON_GENERATION;
	reason = reserve(l, s->verdict.max_connections);
	if (reason) {
		__sync_fetch_and_add(&c->overflow, reason == REASON_OVERFLOW);
		return reason;
	}
	reason = insert_entries(skb, p, s, from_pod);
	if (reason) {
		unreserve(s->verdict.cluster);
		return reason;
	}
	count_steered(&s->verdict, c);
	remember_affinity(&s->question, &s->verdict);
	return REASON_NONE;
}

static __always_inline int refuse(struct __sk_buff *skb, const struct packet *p, enum reason reason)
{
	count_reason(reason);
	return send_reset(skb, p);
}

static __always_inline int pass(enum reason reason)
{
	if (reason)
		count_reason(reason);
	return TC_ACT_UNSPEC;
}

/* A SYN that belongs to no connection yet. Answers with the action for it. */
static __noinline int connect_new(struct __sk_buff *skb, const struct packet *p, int from_pod)
{
	__u32 zero = 0, ifindex = skb->ifindex;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	struct cluster_stat *c;
	enum reason reason;
	int action;

	if (!s)
		return TC_ACT_UNSPEC;
	fill_question(p, ifindex, &s->question);
	decide_packet(p, s, from_pod);
	if (s->verdict.action == VERDICT_PASS)
		return pass(s->verdict.reason);
	if (s->verdict.action == VERDICT_PROXY) {
		reason = hand_over(skb, p, &action);
		return reason ? refuse(skb, p, reason) : action;
	}
	if (s->verdict.action == VERDICT_REFUSE) {
		c = cluster_stat(s->verdict.cluster);
		if (c)
			__sync_fetch_and_add(&c->none_healthy, 1);
		return refuse(skb, p, s->verdict.reason);
	}
	reason = find_way(skb, p, s, from_pod);
	if (reason == REASON_HOST_ENDPOINT || reason == REASON_FOREIGN_WAY)
		return pass(reason);
	if (!reason)
		reason = take_connection(skb, p, s, from_pod);
	if (reason == REASON_GENERATION)
		return pass(reason);
	if (reason == REASON_TWICE) {
		count_reason(reason);
		return TC_ACT_SHOT;
	}
	if (reason)
		return refuse(skb, p, reason);
	if (rewrite(skb, p, &s->to, 0)) {
		count_reason(REASON_MALFORMED);
		return TC_ACT_SHOT;
	}
	return send_on(skb, &s->way);
}

#endif
