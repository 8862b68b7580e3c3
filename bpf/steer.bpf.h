/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_STEER_BPF_H
#define WEFT_STEER_BPF_H
/*
 * Which entry of `conns` a packet may have, by where it is seen: a pod sends from its own addresses
 * and speaks for its own connections only. The node's and the CNI's own source checks come after us
 * on the way in.
 */
#include "fib.bpf.h"
#include "forget.bpf.h"

/* The interface by which the node sends what is for `dst` and comes from `src`, or 0. */
static __noinline __u32 route_to(const struct __sk_buff *skb, int ip4, const struct addr *src,
				 const struct addr *dst)
{
	struct bpf_fib_lookup fib = { .ifindex = skb->ifindex, .l4_protocol = IPPROTO_TCP };
	int r;

	fib_addrs(&fib, ip4, src, dst);
	r = bpf_fib_lookup((void *)skb, &fib, sizeof(fib), 0);
	return r == BPF_FIB_LKUP_RET_SUCCESS || r == BPF_FIB_LKUP_RET_NO_NEIGH ||
			       r == BPF_FIB_LKUP_RET_FRAG_NEEDED
		       ? fib.ifindex
		       : 0;
}

/* By the interface. */
static __always_inline int is_own_addr(const struct addr *a, __u32 ifindex)
{
	__u32 *owner = bpf_map_lookup_elem(&pod_addrs, a);

	return owner && *owner == ifindex;
}

/* Whether an entry is for packets that are seen here. */
static __always_inline int is_here(const struct __sk_buff *skb, const struct conn *c,
				   enum side side)
{
	if (c->flags & CONN_OUTSIDE)
		return side == SIDE_NIC;
	return skb->ifindex == c->client_ifindex;
}

/*
 * Whether what comes back to C is ours: the client's packets have left with C as we gave it. Where
 * the node's own masquerading has replaced their source first, by chance with the same port, it is
 * the one to turn it back.
 */
static __always_inline int is_own_source(const struct tuple *t, const struct conn *c)
{
	return t->hook != HOOK_INGRESS || c->dir != DIR_TRANSLATE || c->endpoint_ifindex;
}

/*
 * The entry for a packet. One that comes in from elsewhere is counted; one that leaves by another
 * interface may be the copy that a bridge sends to all of its ports.
 */
static __always_inline struct conn *find_conn(const struct __sk_buff *skb, const struct tuple *t,
					      enum side side)
{
	struct conn *c = bpf_map_lookup_elem(&conns, t);

	if (!c || !is_own_source(t, c))
		return NULL;
	if (is_here(skb, c, side))
		return c;
	if (t->hook == HOOK_INGRESS)
		count_reason(REASON_SPOOFED);
	return NULL;
}

/* The client's packets leave with C, of which this is the entry. */
static __always_inline void note_source(const struct conn *c, __u32 ifindex)
{
	struct conn *back;
	struct tuple key;

	tuple_reverse(&key, &c->to);
	key.hook = HOOK_INGRESS;
	back = bpf_map_lookup_elem(&conns, &key);
	if (back && back->dir == DIR_TRANSLATE)
		back->endpoint_ifindex = ifindex;
}

/* Where a frame goes next; zeros where it has no Ethernet header. */
static __always_inline long read_next_hop(const struct __sk_buff *skb, __u8 *hop)
{
	if (LINK_HLEN)
		return bpf_skb_load_bytes(skb, 0, hop, ETH_ALEN);
	__builtin_memset(hop, 0, ETH_ALEN);
	return 0;
}

/*
 * What the node's own stack has done with such a packet is what XDP may do with the next one: by
 * which NIC it leaves, and to which next hop. To be called before the frame is changed.
 */
static __always_inline void note_exit(const struct __sk_buff *skb, const struct packet *p,
				      struct conn *c)
{
	__u8 hop[ETH_ALEN];

	if (p->t.hook != HOOK_EGRESS || !(c->flags & CONN_OUTSIDE) || read_next_hop(skb, hop) ||
	    (c->endpoint_ifindex == skb->ifindex && same_mac(c->dmac, hop)))
		return;
	__builtin_memcpy(c->dmac, hop, sizeof(hop));
	c->endpoint_ifindex = skb->ifindex;
	if (c->dir == DIR_TRANSLATE)
		note_source(c, skb->ifindex);
}

/* XDP may not see the tag of a frame: it leaves to tc what a frame with one has been seen of. */
static __always_inline void note_tag(const struct __sk_buff *skb, const struct packet *p,
				     struct conn *c)
{
	if (skb->vlan_present && p->t.hook == HOOK_INGRESS && c->flags & CONN_OUTSIDE &&
	    !(c->flags & CONN_TAGGED))
		c->flags |= CONN_TAGGED;
}

/* By the node's routes: a pod may be the way to others, to a VPN for one. */
static __always_inline int is_way_to(const struct __sk_buff *skb, const struct tuple *t)
{
	return route_to(skb, addr_is_mapped(&t->src), &t->dst, &t->src) == skb->ifindex;
}

/*
 * Whether a packet with this source may come in here: a pod's own address, by any of its
 * interfaces; one that no pod and no node has, by the interface that leads there. A NIC may be the
 * bridge that pods hang on, whose ports have judged already.
 */
static __noinline int may_send(const struct __sk_buff *skb, const struct tuple *t, enum side side)
{
	__u32 ifindex = skb->ifindex, *at = bpf_map_lookup_elem(&pod_addrs, &t->src);
	struct pod *owner = at ? bpf_map_lookup_elem(&pods, at) : NULL, *pod;

	if (!owner && bpf_map_lookup_elem(&node_addrs, &t->src))
		return 0;
	if (side == SIDE_NIC)
		return !owner || owner->bridge == ifindex;
	pod = bpf_map_lookup_elem(&pods, &ifindex);
	if (owner)
		return pod && owner->netns_id != NETNS_UNKNOWN && owner->netns_id == pod->netns_id;
	return is_way_to(skb, t);
}

/*
 * Whether a packet that has come in would be taken for an endpoint's, further on, though its sender
 * has no right to the address.
 */
static __noinline int is_forged_reply(const struct __sk_buff *skb, const struct tuple *t,
				      enum side side)
{
	struct tuple out = *t;
	struct conn *c;

	if (side == SIDE_POD && is_own_addr(&t->src, skb->ifindex))
		return 0;
	out.hook = HOOK_EGRESS;
	c = bpf_map_lookup_elem(&conns, &out);
	if (!c || c->dir != DIR_REPLY || may_send(skb, t, side))
		return 0;
	count_reason(REASON_SPOOFED);
	return 1;
}

/* The same for a packet of weft-proxy's connections. */
static __always_inline int is_forged(const struct __sk_buff *skb, const struct tuple *t,
				     enum side side)
{
	if ((side == SIDE_POD && is_own_addr(&t->src, skb->ifindex)) || may_send(skb, t, side))
		return 0;
	count_reason(REASON_SPOOFED);
	return 1;
}

#endif
