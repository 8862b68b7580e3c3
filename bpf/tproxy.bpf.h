/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_HANDOVER_BPF_H
#define WEFT_HANDOVER_BPF_H
/*
 * Packets for weft-proxy. Its connections have no entry in `conns`: the node's own sockets, whose
 * addresses are a service's and a client's, say which they are. weft/tproxy.h has the rest.
 */
#include "rewrite.bpf.h"
#include "socket.bpf.h"

/*
 * Up the stack, which delivers to the node's sockets what is marked. `pod`, which may be NULL, is
 * where the packet comes from. A bridge keeps what is addressed to itself, and learns by it where
 * the pod is.
 */
static __always_inline int to_node(struct __sk_buff *skb, const struct pod *pod)
{
	skb->mark = TPROXY_MARK;
	if (!pod || !pod->bridge || pod->bridge == BRIDGE_OTHER)
		return TC_ACT_OK;
	return bpf_skb_store_bytes(skb, 0, pod->bridge_mac, sizeof(pod->bridge_mac), 0)
		       ? TC_ACT_SHOT
		       : TC_ACT_OK;
}

/* One worker for each client address and port, the same one for a SYN that is repeated. */
static __always_inline __u32 worker_of(const struct packet *p, __u32 workers)
{
	const __u64 *client = (const void *)&p->t.src;
	__u64 mix = (client[0] ^ client[1] ^ p->t.sport) * 0x9e3779b97f4a7c15ull;

	return (mix >> 32) % workers;
}

/*
 * Gives a SYN to a worker, or to the socket that has taken it already. One for a connection in
 * TIME_WAIT goes there: the listener would drop it as long as that lasts. It is acknowledged, the
 * client resets what it doesn't know any more, and its next SYN finds the way clear (RFC 9293,
 * 3.10.7.3).
 */
static __noinline enum reason assign_worker(struct __sk_buff *skb, const struct packet *p)
{
	struct proxy_state *state;
	__u32 zero = 0, worker;
	struct bpf_sock *sk;
	long r;

	sk = find_socket(skb, p->ip4, &p->t, BPF_F_CURRENT_NETNS, 0);
	if (sk && sk->state == STATE_TIME_WAIT) {
		bpf_sk_release(sk);
		return REASON_NONE;
	}
	if (sk && sk->state == STATE_LISTEN) {
		bpf_sk_release(sk);
		sk = NULL;
	}
	if (!sk) {
		state = bpf_map_lookup_elem(&proxy, &zero);
		if (!state || !state->workers)
			return REASON_NO_PROXY;
		worker = worker_of(p, state->workers);
		sk = bpf_map_lookup_elem(&listeners, &worker);
		if (!sk)
			return REASON_NO_PROXY;
	}
	r = bpf_sk_assign(skb, sk, 0);
	bpf_sk_release(sk);
	return r ? REASON_NO_PROXY : REASON_NONE;
}

static __always_inline struct proxied_key key_of(const struct tuple *t)
{
	return (struct proxied_key){ t->dst, t->dport };
}

/* False where no connection of the proxy can be: it costs much less than to look for a socket. */
static __always_inline int may_be_proxied(const struct tuple *t)
{
	struct proxied_key key = key_of(t);
	struct proxy_state *state;
	__u32 zero = 0;

	state = bpf_map_lookup_elem(&proxy, &zero);
	if (!state || !state->used)
		return 0;
	return (t->dport >= PROXY_PORT_FIRST && t->dport <= PROXY_PORT_LAST) ||
	       t->dport >= PROXY_PORT_HIGH_FIRST || bpf_map_lookup_elem(&proxied, &key);
}

/* Not inlined: the stacks of all that call each other have 512 bytes together. */
static __noinline enum reason note_called(const struct tuple *t)
{
	struct proxied_key key = key_of(t);
	struct proxy_state *state;
	__u32 zero = 0;
	__u8 nothing = 0;
	int r; /* 32 bits: see conn_insert() */

	state = bpf_map_lookup_elem(&proxy, &zero);
	if (state && !state->used)
		state->used = 1;
	if (bpf_map_lookup_elem(&proxied, &key))
		return REASON_NONE;
	r = bpf_map_update_elem(&proxied, &key, &nothing, BPF_ANY);
	return r ? REASON_TABLE_FULL : REASON_NONE;
}

/* Whether a SYN that is for the proxy can't be given to it. Else `*action` is that for the packet.
 */
static __always_inline enum reason hand_over(struct __sk_buff *skb, const struct packet *p,
					     int *action)
{
	__u32 ifindex = skb->ifindex;
	struct pod *pod = bpf_map_lookup_elem(&pods, &ifindex);
	enum reason reason;

	if (pod && pod->bridge == BRIDGE_OTHER)
		return REASON_BRIDGED;
	reason = note_called(&p->t);
	if (!reason && (!pod || !pod->bridge))
		reason = assign_worker(skb, p);
	if (!reason)
		*action = to_node(skb, pod);
	return reason;
}

/*
 * The end of a handshake of which its listener has kept nothing but a number that comes back with
 * it (SYN cookies), as it does when too many are under way. No socket says then that it is ours.
 */
static __noinline int ends_handshake(struct __sk_buff *skb, const struct packet *p)
{
	struct proxy_state *state;
	__u32 zero = 0, worker;
	struct ipv6hdr ip; /* or IPv4's, and more */
	struct tcphdr tcp;
	struct bpf_sock *sk;
	long r;

	if ((p->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_ACK)
		return 0;
	state = bpf_map_lookup_elem(&proxy, &zero);
	if (!state || !state->workers || bpf_skb_load_bytes(skb, LINK_HLEN, &ip, sizeof(ip)) ||
	    bpf_skb_load_bytes(skb, p->l4, &tcp, sizeof(tcp)))
		return 0;
	worker = worker_of(p, state->workers);
	sk = bpf_map_lookup_elem(&listeners, &worker);
	if (!sk)
		return 0;
	r = bpf_tcp_check_syncookie(sk, &ip, sizeof(ip), &tcp, sizeof(tcp));
	bpf_sk_release(sk);
	return !r && !has_socket(skb, p->ip4, &p->t, BPF_F_CURRENT_NETNS, 0);
}

/*
 * Whether packets to an address of the node's get to their socket without us. They would not where
 * weft-proxy has been called: kube-proxy takes the first one that is tracked for a new connection,
 * and translates or rejects it.
 */
static __noinline int is_nodes_own(struct __sk_buff *skb, int ip4, const struct tuple *t)
{
	struct proxied_key key = key_of(t);

	return bpf_map_lookup_elem(&node_addrs, &t->dst) &&
	       (!bpf_map_lookup_elem(&proxied, &key) || has_listener(skb, ip4, t));
}

/* Another packet of a connection that the proxy may have, with a client or with an endpoint. */
static __noinline int steer_proxied(struct __sk_buff *skb, int ip4, const struct tuple *t)
{
	__u32 zero = 0, ifindex = skb->ifindex;
	struct proxy_state *state;

	state = bpf_map_lookup_elem(&proxy, &zero);
	if (!state || !state->workers || is_nodes_own(skb, ip4, t) ||
	    !has_socket(skb, ip4, t, BPF_F_CURRENT_NETNS, 0))
		return TC_ACT_UNSPEC;
	return to_node(skb, bpf_map_lookup_elem(&pods, &ifindex));
}

#endif
