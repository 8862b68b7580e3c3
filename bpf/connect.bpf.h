/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_CONNECT_BPF_H
#define WEFT_CONNECT_BPF_H
/*
 * The first packet of a connection at tc: what becomes of it.
 */
#include "open.bpf.h"
#include "tproxy.bpf.h"
#include "refusal.bpf.h"
#include "registry.bpf.h"
#include "rewrite.bpf.h"
#include "steer.bpf.h"

/* Whether pods' connections that no hook has seen are refused instead of being steered. */
const volatile __u32 refuse_unseen = 0;

/* From outside to outside: only with the node's own address do replies come back here. */
static __always_inline enum reason find_source(struct __sk_buff *skb, const struct packet *p,
					       struct scratch *s)
{
	__u32 ifindex = route_to(skb, p->ip4, &p->t.src, &s->verdict.addr);
	struct nic *nic = bpf_map_lookup_elem(&nics, &ifindex);

	if (!ifindex)
		return REASON_NO_ROUTE;
	if (!nic)
		return bpf_map_lookup_elem(&pods, &ifindex) ? REASON_NONE : REASON_FOREIGN_WAY;
	s->source = p->ip4 ? nic->addr4 : nic->addr6;
	s->flags |= CONN_SOURCE;
	return addr_is_zero(&s->source) ? REASON_NO_ROUTE : REASON_NONE;
}

static __always_inline int refuse(struct __sk_buff *skb, const struct packet *p, enum reason reason)
{
	count_reason(reason);
	tell_refused(&p->t, reason);
	return send_reset(skb, p);
}

static __always_inline int pass(enum reason reason)
{
	if (reason)
		count_reason(reason);
	return TC_ACT_UNSPEC;
}

/* Sends the first packet of a connection whose entries are there, or doesn't, for a reason. */
static __noinline int conclude(struct __sk_buff *skb, const struct packet *p,
			       const struct scratch *s, enum reason reason)
{
	if (reason == REASON_GENERATION || reason == REASON_FOREIGN_WAY)
		return pass(reason);
	if (reason == REASON_SYN_RACE) {
		count_reason(reason);
		return TC_ACT_SHOT;
	}
	if (reason)
		return refuse(skb, p, reason);
	if (rewrite(skb, p, &s->to, 0)) {
		count_reason(REASON_MALFORMED);
		return TC_ACT_SHOT;
	}
	return send_on(skb, s->flags, s->dmac);
}

/* A SYN that has been translated already, and comes by a second of our hooks: behind a bridge, by a
 * VLAN's parent. */
static __noinline int is_seen_again(const struct __sk_buff *skb, const struct packet *p,
				    const struct conn *reply)
{
	struct conn *forward;
	struct tuple key;

	conn_other_key(reply, &key);
	forward = bpf_map_lookup_elem(&conns, &key);
	return forward && forward->client_ifindex != skb->ifindex && forward->isn == p->seq &&
	       addr_equal(&forward->to.src, &p->t.src) && forward->to.sport == p->t.sport;
}

static __always_inline void locate(const struct __sk_buff *skb, const struct packet *p,
				   struct scratch *s, enum side side)
{
	locate_endpoint(p, s, side);
	if (side == SIDE_NIC && skb->vlan_present)
		s->flags |= CONN_TAGGED;
}

/*
 * A SYN that is for no service of ours. If another connection has its addresses and ports already,
 * as the endpoint sees them, it needs another port than its client has chosen.
 */
static __noinline int connect_direct(struct __sk_buff *skb, const struct packet *p,
				     struct scratch *s, enum side side)
{
	struct conn *other;

	tuple_back(&s->reply, &p->t, HOOK_EGRESS);
	other = has_conns() ? bpf_map_lookup_elem(&conns, &s->reply) : NULL;
	if (!other || is_seen_again(skb, p, other))
		return pass(s->verdict.reason);
	s->verdict.addr = p->t.dst;
	s->verdict.port = p->t.dport;
	locate(skb, p, s, side);
	s->flags |= CONN_DIRECT;
	return conclude(skb, p, s, insert_entries(skb, p, s));
}

/* Only of a pod of the mesh is a connect() expected. */
static __always_inline int is_unwanted(const struct scratch *s, enum side side)
{
	return side == SIDE_POD && refuse_unseen && !s->outside;
}

static __always_inline void count_overflow(__u32 cluster)
{
	struct cluster_stat *c = cluster_stat(cluster);

	if (c)
		__sync_fetch_and_add(&c->overflow, 1);
}

static __noinline int connect_steered(struct __sk_buff *skb, const struct packet *p,
				      struct scratch *s, enum side side)
{
	enum reason reason = REASON_NONE;

	if (is_unwanted(s, side))
		return refuse(skb, p, REASON_UNSEEN);
	locate(skb, p, s, side);
	if (side == SIDE_NIC && s->netns_id == NETNS_UNKNOWN && !s->endpoint_ifindex)
		reason = find_source(skb, p, s);
	if (!reason)
		reason = take_connection(skb, p, s);
	if (reason == REASON_OVERFLOW)
		count_overflow(s->verdict.cluster);
	return conclude(skb, p, s, reason);
}

/* Whether connect() has steered the socket that a SYN is from to where it goes. */
static __always_inline int is_steered_socket(struct __sk_buff *skb, const struct packet *p)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	const struct sock_conn *s = cookie ? bpf_map_lookup_elem(&socks, &cookie) : NULL;

	return s && addr_equal(&s->addr, &p->t.dst) && s->port == p->t.dport;
}

/* Whether a SYN of a pod's own is refused because nothing knows what it is for. What a pod only
 * forwards is not asked about. */
static __noinline int is_unregistered(struct __sk_buff *skb, const struct packet *p,
				      const struct scratch *s, int own)
{
	return own && !s->outside && is_no_service(&s->verdict) &&
	       !is_registered(&p->t.dst, p->t.dport, s->verdict.generation) &&
	       !is_steered_socket(skb, p);
}

/* Of those that rules are not for, some are refused. */
static __always_inline int asks_registry(enum side side)
{
	return registry_only && side == SIDE_POD;
}

/* A SYN that belongs to no connection yet. Answers with the action for it. */
static __noinline int connect_new(struct __sk_buff *skb, const struct packet *p, enum side side)
{
	__u32 zero = 0, ifindex = skb->ifindex;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	struct cluster_stat *c;
	enum reason reason;
	int action, own;

	if (!s || (!asks_registry(side) && is_plain(p, side)))
		return TC_ACT_UNSPEC;
	fill_question(p, ifindex, s);
	own = side == SIDE_NIC || is_own_addr(&p->t.src, ifindex);
	/* What will not be steered takes no turn from what is. */
	s->question.dry = !own || is_unwanted(s, side);
	decide_packet(p, s, side);
	if (s->verdict.service && !own)
		return pass(REASON_SPOOFED);
	switch (s->verdict.action) {
	case VERDICT_PASS:
		if (asks_registry(side) && is_unregistered(skb, p, s, own))
			return refuse(skb, p, REASON_UNREGISTERED);
		return connect_direct(skb, p, s, side);
	case VERDICT_PROXY:
		reason = hand_over(skb, p, &action);
		return reason ? refuse(skb, p, reason) : action;
	case VERDICT_REFUSE:
		c = cluster_stat(s->verdict.cluster);
		if (c)
			__sync_fetch_and_add(&c->none_healthy, 1);
		return refuse(skb, p, s->verdict.reason);
	case VERDICT_DROP:
		count_reason(s->verdict.reason);
		tell_refused(&p->t, s->verdict.reason);
		return TC_ACT_SHOT;
	default:
		return connect_steered(skb, p, s, side);
	}
}

#endif
