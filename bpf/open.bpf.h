/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_OPEN_BPF_H
#define WEFT_OPEN_BPF_H
/*
 * The first packet of a connection, whichever hook it is seen at: decide, reserve, and make the
 * entries of `conns`. The includer has included hook_tc.bpf.h or hook_xdp.bpf.h.
 */
#include "tables.bpf.h" /* decide.bpf.h leaves to its includer what it reads from */

#include "decide.bpf.h"
#include "conntrack.bpf.h"
#include "socket.bpf.h"

enum {
	PORT_TRIES = 32,
	PORT_FIRST = 1024,
	PORT_TAKEN = -1,	 /* another one may do; beside enum reason */
	NETNS_NODE = 0xfffffffe, /* any negative number is the node's own (bpf_sk_lookup_tcp) */
};

/* 0, -EEXIST, or another error. Counted first: a reply may be there before we are back. */
static __noinline int conn_insert(const struct tuple *key, const struct conn *c)
{
	int r; /* before 6.4 a map's function returns 32 bits, and the upper half is anything */

	count_conns(1);
	r = bpf_map_update_elem(&conns, key, c, BPF_NOEXIST);
	if (r)
		count_conns(-1);
	return r;
}

/* A pod that is not in the mesh calls as a host outside of the cluster does: no rule knows it. */
static __noinline void fill_question(const struct packet *p, __u32 ifindex, struct scratch *s)
{
	struct pod *pod = bpf_map_lookup_elem(&pods, &ifindex);
	struct question *q = &s->question;
	__u64 *number;
	__u32 zero = 0;

	__builtin_memset(q, 0, sizeof(*q));
	number = bpf_map_lookup_elem(&generation, &zero);
	q->generation = number ? *number : 0;
	q->client = p->t.src;
	q->dst = p->t.dst;
	q->port = p->t.dport;
	s->client_ifindex = ifindex;
	s->outside = pod && pod->outside;
	if (pod && !s->outside)
		q->source = pod->addr;
}

GLOBAL_FUNC int decide_question(struct scratch *s)
{
	if (!s)
		return VERDICT_PASS;
	__builtin_memset(&s->verdict, 0, sizeof(s->verdict));
	return decide(&s->question, &s->verdict);
}

/* A Service's address that is a Gateway's. */
static __noinline int is_door(const struct question *q)
{
	struct service_key key = {};
	const struct service *service;

	if (!q)
		return 0;
	key.addr = q->dst;
	key.port = q->port;
	service = table_service(q->generation, &key);
	return service && (service->flags & SERVICE_DOOR);
}

/* Whether a port of the node has rules of its own for callers from outside. */
static __noinline int is_outside_port(const struct question *q)
{
	struct service_key key = {};

	if (!q)
		return 0;
	key.addr = q->dst;
	key.port = q->port;
	key.scope = SCOPE_OUTSIDE;
	return table_service(q->generation, &key) != NULL;
}

/*
 * A Service's address comes first, even where it is the node's, too (kube-proxy's IPVS mode): to
 * callers from outside, those that the Service has for them. On a port of the node it doesn't
 * matter which of its addresses was called, only the family; it answers any caller, where a
 * Service's address is for the pods of the mesh alone, unless it is a Gateway's.
 */
static __always_inline void decide_packet(const struct packet *p, struct scratch *s, enum side side)
{
	s->verdict.action = VERDICT_PASS;
	s->verdict.service = 0;
	s->verdict.reason = REASON_NONE;
	if (side == SIDE_NIC)
		s->question.scope = SCOPE_OUTSIDE;
	if (side == SIDE_NIC || !s->outside || is_door(&s->question))
		decide_question(s);
	if (s->verdict.service || !bpf_map_lookup_elem(&node_addrs, &p->t.dst))
		return;
	if (p->ip4)
		addr_from_ip4(&s->question.dst, 0);
	else
		__builtin_memset(&s->question.dst, 0, sizeof(s->question.dst));
	s->question.scope = side == SIDE_NIC && is_outside_port(&s->question) ? SCOPE_OUTSIDE
									      : SCOPE_NODE;
	decide_question(s);
}

/* The endpoint's pod is the client's, or shares a bridge with it. */
static __always_inline void note_neighbour(const struct packet *p, struct scratch *s,
					   const struct pod *endpoint)
{
	__u32 ifindex = s->client_ifindex;
	struct pod *client = bpf_map_lookup_elem(&pods, &ifindex);

	if (!client)
		return;
	s->client_netns_id = client->netns_id;
	if (!endpoint)
		return;
	if (s->endpoint_ifindex == ifindex) {
		s->flags |= CONN_HAIRPIN;
		s->to.src = p->t.dst;
	} else if (client->bridge && client->bridge != BRIDGE_OTHER &&
		   client->bridge == endpoint->bridge) {
		s->flags |= CONN_SWITCHED;
		__builtin_memcpy(s->dmac, endpoint->mac, 6);
	}
}

/* Fills in s->to, the packet's addresses as the endpoint shall see them, and what goes with it. */
static __noinline void locate_endpoint(const struct packet *p, struct scratch *s, enum side side)
{
	__u32 *ifindex = bpf_map_lookup_elem(&pod_addrs, &s->verdict.addr);
	struct pod *pod = ifindex ? bpf_map_lookup_elem(&pods, ifindex) : NULL;

	s->to = p->t;
	s->to.dst = s->verdict.addr;
	s->to.dport = s->verdict.port;
	s->flags = side == SIDE_NIC ? CONN_OUTSIDE : 0;
	s->client_netns_id = s->netns_id = NETNS_UNKNOWN;
	s->endpoint_ifindex = pod ? *ifindex : 0;
	if (pod)
		s->netns_id = pod->netns_id;
	else if (bpf_map_lookup_elem(&node_addrs, &s->verdict.addr))
		s->netns_id = NETNS_NODE;
	if (side == SIDE_POD)
		note_neighbour(p, s, pod);
}

/*
 * Whether there is a connection with these addresses already that is not ours, or one in TIME_WAIT,
 * which would not take our sequence numbers: among the sockets of an endpoint on this node, and
 * among those of the client, which may have called the endpoint itself.
 */
static __always_inline int in_use(hook_ctx *ctx, int ip4, const struct tuple *to, __u32 netns_id,
				  __u32 client_netns_id)
{
	if (netns_id != NETNS_UNKNOWN && has_socket(ctx, ip4, to, netns_id, 0))
		return 1;
	return client_netns_id != NETNS_UNKNOWN && has_socket(ctx, ip4, to, client_netns_id, 1);
}

/* weft-proxy calls from its own ports in a client's name, not in the node's. */
static __always_inline __u16 any_port(int of_node)
{
	__u32 end = of_node ? 65536 : PROXY_PORT_FIRST;

	return PORT_FIRST + bpf_get_prandom_u32() % (end - PORT_FIRST);
}

/* One more try of claim_port(), or of claim_out_port(). The verifier looks once at what a function
 * of its own does, not once a try. `scratch` is looked up again, as a key that an argument points
 * to is none for 6.1. REASON_NONE, PORT_TAKEN, or why there is none. */
GLOBAL_FUNC int try_port(hook_ctx *ctx, int ip4, int another)
{
	__u32 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	enum hook hook;
	int r;

	if (!s)
		return REASON_TABLE_FULL;
	hook = s->flags & CONN_HAIRPIN ? HOOK_INGRESS : HOOK_EGRESS;
	if (another)
		s->to.sport = any_port(0);
	if (in_use(ctx, ip4, &s->to, s->netns_id,
		   s->flags & CONN_HAIRPIN ? NETNS_UNKNOWN : s->client_netns_id))
		return PORT_TAKEN;
	tuple_back(&s->reply, &s->to, hook);
	r = conn_insert(&s->reply, &s->conn);
	return !r ? REASON_NONE : r == -EEXIST ? PORT_TAKEN : REASON_TABLE_FULL;
}

GLOBAL_FUNC int try_out_port(hook_ctx *ctx, int ip4, int another)
{
	__u32 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	int r;

	if (!s)
		return REASON_TABLE_FULL;
	if (another)
		s->out.sport = any_port(1);
	tuple_reverse(&s->out_reply, &s->out);
	if (in_use(ctx, ip4, &s->out_reply, NETNS_NODE, NETNS_UNKNOWN))
		return PORT_TAKEN;
	r = conn_insert(&s->out_reply, &s->conn);
	return !r ? REASON_NONE : r == -EEXIST ? PORT_TAKEN : REASON_TABLE_FULL;
}

/*
 * Inserts s->conn as the reply entry, whose key must be free: two services may lead the same client
 * port to the same endpoint, so another source port may have to do. On success s->to and s->reply
 * are final.
 */
static __always_inline enum reason claim_port(hook_ctx *ctx, const struct packet *p,
					      struct scratch *s)
{
	int i, r = PORT_TAKEN;

	for (i = 0; i < PORT_TRIES && r == PORT_TAKEN; i++)
		r = try_port(ctx, p->ip4, i || s->flags & CONN_DIRECT);
	return r == PORT_TAKEN ? REASON_NO_PORT : r;
}

/* The same for the port on the node's address, with the entry for what comes back to it. */
static __always_inline enum reason claim_out_port(hook_ctx *ctx, const struct packet *p,
						  struct scratch *s)
{
	int i, r = PORT_TAKEN;

	tuple_reverse(&s->conn.to, &s->to);
	for (i = 0; i < PORT_TRIES && r == PORT_TAKEN; i++)
		r = try_out_port(ctx, p->ip4, i);
	return r == PORT_TAKEN ? REASON_NO_PORT : r;
}

/* The two entries that only translate, or neither. s->conn is the reply entry, which is there. */
static __noinline enum reason insert_source(hook_ctx *ctx, const struct packet *p,
					    struct scratch *s)
{
	enum reason reason;
	int r;

	s->conn.dir = DIR_TRANSLATE;
	s->out = s->to;
	s->out.src = s->source;
	reason = claim_out_port(ctx, p, s);
	if (reason)
		return reason;
	s->conn.to = s->out;
	s->to.hook = HOOK_EGRESS;
	r = conn_insert(&s->to, &s->conn);
	s->to.hook = HOOK_INGRESS;
	if (!r)
		return REASON_NONE;
	conn_remove(&s->out_reply);
	return REASON_TABLE_FULL;
}

static __always_inline void fill_reply(const struct packet *p, struct scratch *s)
{
	struct conn *c = &s->conn;

	__builtin_memset(c, 0, sizeof(*c));
	tuple_reverse(&c->to, &p->t);
	c->dir = DIR_REPLY;
	c->flags = s->flags & ~(CONN_SWITCHED | CONN_SOURCE);
	c->wscale = WSCALE_NONE;
	c->created = c->seen = packet_ns();
	c->generation = s->verdict.generation;
	c->client_ifindex = s->client_ifindex;
}

static __always_inline void fill_forward(const struct packet *p, struct scratch *s)
{
	struct conn *c = &s->conn;

	c->to = s->to;
	c->dir = DIR_FORWARD;
	c->flags = s->flags;
	__builtin_memcpy(c->dmac, s->dmac, 6);
	c->state = CONN_SYN;
	c->isn = p->seq;
	c->end = c->next = seq_end(p);
	c->window = p->window;
	c->wscale = p->wscale;
	c->bytes = p->payload;
	c->packets = 1;
	c->endpoint_ifindex = s->endpoint_ifindex;
	if (s->flags & CONN_DIRECT)
		return;
	c->route = s->verdict.route;
	c->cluster = s->verdict.cluster;
	c->endpoint = s->verdict.endpoint;
	c->connect_timeout_ms = s->verdict.connect_timeout_ms;
	c->idle_timeout_ms = s->verdict.idle_timeout_ms;
	c->max_duration_ms = s->verdict.max_duration_ms;
	c->reservation = reservation(c->cluster, c->endpoint);
}

/* All entries, or none. The reservation has been taken and stays the caller's when this fails. */
static __noinline enum reason insert_entries(hook_ctx *ctx, const struct packet *p,
					     struct scratch *s)
{
	enum reason reason;
	int r;

	fill_reply(p, s);
	reason = claim_port(ctx, p, s);
	if (reason)
		return reason;
	if (s->flags & CONN_SOURCE)
		reason = insert_source(ctx, p, s);
	if (!reason) {
		fill_forward(p, s);
		r = conn_insert(&p->t, &s->conn);
		if (!r)
			return REASON_NONE;
		reason = r == -EEXIST ? REASON_SYN_RACE : REASON_TABLE_FULL;
		if (s->flags & CONN_SOURCE)
			conn_delete_source(&s->conn);
	}
	conn_remove(&s->reply);
	return reason;
}

static __always_inline enum reason take_connection(hook_ctx *ctx, const struct packet *p,
						   struct scratch *s)
{
	struct cluster_stat *c = cluster_stat(s->verdict.cluster);
	struct cluster_limit *l = cluster_limit(s->verdict.cluster);
	enum reason reason;

	if (!c || !l)
		return REASON_GENERATION;
	reason = reserve(l, s->verdict.max_connections);
	if (reason)
		return reason;
	reason = insert_entries(ctx, p, s);
	if (reason) {
		unreserve(s->verdict.cluster);
		return reason;
	}
	count_steered(&s->verdict, c);
	remember_affinity(&s->question, &s->verdict);
	if (!(s->flags & CONN_OUTSIDE) && !s->outside)
		count_reason(REASON_SAFETY_NET);
	return REASON_NONE;
}

/* Whether a SYN calls nothing that rules are for: most do, also those that connect() has steered.
 */
static __always_inline int is_plain(const struct packet *p, enum side side)
{
	struct service_key key = { .addr = p->t.dst,
				   .port = p->t.dport,
				   .scope = side == SIDE_NIC ? SCOPE_OUTSIDE : SCOPE_MESH };
	__u64 *number;
	__u32 zero = 0;

	if (has_conns() || bpf_map_lookup_elem(&node_addrs, &p->t.dst))
		return 0;
	number = bpf_map_lookup_elem(&generation, &zero);
	if (!number || table_service(*number, &key))
		return !number;
	return side == SIDE_NIC || !may_be_anywhere(*number, &key.addr, key.port);
}

#endif
