/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_SHORTCUT_BPF_H
#define WEFT_SHORTCUT_BPF_H
/*
 * Short cuts between pods (weft/shortcut.h): made for sockets, taken by packets.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "tables.bpf.h"

/* What weftd says about short cuts, or NULL while there are none. */
static __always_inline const struct shortcut_state *shortcut_in_use(void)
{
	__u32 zero = 0;
	const struct shortcut_state *s = bpf_map_lookup_elem(&shortcut_state, &zero);

	return s && s->until && bpf_ktime_get_coarse_ns() < s->until ? s : NULL;
}

/* How packets with these addresses get from one pod to the other. 0: they take the node's way. */
static __noinline int shortcut_find(const struct tuple *t, __u32 epoch, struct shortcut *s)
{
	const __u32 *from = bpf_map_lookup_elem(&pod_addrs, &t->src),
		    *to = bpf_map_lookup_elem(&pod_addrs, &t->dst);
	const struct pod *sender, *receiver;

	__builtin_memset(s, 0, sizeof(*s));
	s->epoch = epoch;
	if (!from || !to)
		return 0;
	sender = bpf_map_lookup_elem(&pods, from);
	receiver = bpf_map_lookup_elem(&pods, to);
	if (!sender || !receiver || !sender->shortcut || !receiver->shortcut ||
	    sender->netns_id == receiver->netns_id)
		return 0;
	s->from = *from;
	s->ifindex = *to;
	__builtin_memcpy(s->dmac, receiver->mac, 6);
	__builtin_memcpy(s->smac, receiver->host_mac, 6);
	return 1;
}

/* What is known of the pods may have changed since the connection was opened. */
static __always_inline void shortcut_renew(const struct tuple *t, __u32 epoch, struct shortcut *s)
{
	shortcut_find(t, epoch, s);
	bpf_map_update_elem(&shortcuts, t, s, BPF_EXIST);
}

static __noinline int shortcut_send(struct __sk_buff *skb, const struct tuple *t, __u32 epoch)
{
	const struct shortcut *found = bpf_map_lookup_elem(&shortcuts, t);
	struct shortcut s;

	if (!found)
		return TC_ACT_UNSPEC;
	s = *found;
	if (s.epoch != epoch)
		shortcut_renew(t, epoch, &s);
	if (!s.ifindex || s.from != skb->ifindex)
		return TC_ACT_UNSPEC;
	if (bpf_skb_store_bytes(skb, 0, s.dmac, 12, 0))
		return TC_ACT_SHOT;
	/* Behind a bridge the frame was addressed to the bridge or the other pod, not to the veth
	 * it came in by. */
	if (skb->pkt_type != 0 /* PACKET_HOST */)
		bpf_skb_change_type(skb, 0);
	return bpf_redirect_peer(s.ifindex, 0);
}

/* Sends a pod's packet that is no SYN to the other pod, if it may take the short cut. Otherwise
 * TC_ACT_UNSPEC. */
static __always_inline int shortcut_take(struct __sk_buff *skb, const struct tuple *t)
{
	const struct shortcut_state *state = shortcut_in_use();

	return state ? shortcut_send(skb, t, state->epoch) : TC_ACT_UNSPEC;
}

/* ---- the client's socket ---- */

static __always_inline void shortcut_turn(struct tuple *back, const struct tuple *t)
{
	*back = (struct tuple){
		.src = t->dst, .dst = t->src, .sport = t->dport, .dport = t->sport
	};
}

/*
 * Both directions of a connection that has just been opened: its handshake went the node's way. Not
 * of one whose packets tc rewrites, which a clash of ports may have led to. Whether there is
 * anything to be closed.
 */
static __always_inline int shortcut_open(const struct tuple *t)
{
	const struct shortcut_state *state = shortcut_in_use();
	struct shortcut there, back;
	struct tuple reply;

	if (!state || bpf_map_lookup_elem(&conns, t) || !shortcut_find(t, state->epoch, &there))
		return 0;
	shortcut_turn(&reply, t);
	if (!shortcut_find(&reply, there.epoch, &back))
		return 0;
	bpf_map_update_elem(&shortcuts, t, &there, BPF_ANY);
	bpf_map_update_elem(&shortcuts, &reply, &back, BPF_ANY);
	return 1;
}

static __always_inline void shortcut_close(const struct tuple *t)
{
	struct tuple reply;

	shortcut_turn(&reply, t);
	bpf_map_delete_elem(&shortcuts, t);
	bpf_map_delete_elem(&shortcuts, &reply);
}

#endif
