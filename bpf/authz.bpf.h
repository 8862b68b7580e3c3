/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_AUTHZ_BPF_H
#define WEFT_AUTHZ_BPF_H
/*
 * AuthorizationPolicies where a connection reaches its pod, whichever way it has come
 * (weft/authz.h).
 */
#include <linux/pkt_cls.h>

#include "weft/authz.h"

#include "connect.bpf.h"
#include "parse.bpf.h"
#include "protect_tc.bpf.h"

enum { STATE_SYN_SENT = 2 }; /* of the kernel's tcp_states.h */

/* What `authz_state` says. Each packet to a pod asks: the programs' own data need not be looked up.
 * Written by weftd. */
volatile __u32 authz_in_use;

/*
 * Whether a socket of the node's own sends this SYN: the kubelet's probes, which Istio exempts, and
 * weft-proxy, which has judged the request itself. No address says so: what is masqueraded has the
 * node's, and weft-proxy calls from its clients'.
 */
static __always_inline int is_nodes_call(struct __sk_buff *skb, const struct packet *p)
{
	struct bpf_sock *sk = find_socket(skb, p->ip4, &p->t, BPF_F_CURRENT_NETNS, 1);
	__u32 state;

	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
	return state == STATE_SYN_SENT;
}

/* Whether a pod of the mesh on this node has the address: then who it is is known. */
static __noinline int is_known_caller(const struct addr *src)
{
	__u32 *at = bpf_map_lookup_elem(&pod_addrs, src);
	struct pod *pod = at ? bpf_map_lookup_elem(&pods, at) : NULL;

	return pod && !pod->outside;
}

/* 0: the set has no row for it. */
static __always_inline __u32 authz_row(struct authz_key *key, __u16 port, __u8 local)
{
	__u32 *verdict;

	key->port = port;
	key->local = local;
	verdict = bpf_map_lookup_elem(&authz_rules, key);
	return verdict ? *verdict : 0;
}

/* A port that policies speak of has rows of its own, for all addresses. What has no row at all is
 * closed: there is one for everything. */
static __noinline __u32 authz_verdict(const struct packet *p, __u32 set)
{
	struct authz_key key = { .prefixlen = AUTHZ_KEY_BITS + 128, .set = set };
	int local = is_known_caller(&p->t.src);
	__u32 verdict = 0;

	__builtin_memcpy(key.addr, &p->t.src, sizeof(key.addr));
	if (local)
		verdict = authz_row(&key, p->t.dport, 1);
	if (!verdict)
		verdict = authz_row(&key, p->t.dport, 0);
	if (!verdict && local)
		verdict = authz_row(&key, 0, 1);
	return verdict ?: authz_row(&key, 0, 0);
}

/* Of a pod that is in the mesh; 0: no policy selects it. */
static __always_inline __u32 authz_set(const struct __sk_buff *skb, const struct addr *dst)
{
	__u32 ifindex = skb->ifindex, *set;
	struct pod *pod = bpf_map_lookup_elem(&pods, &ifindex);

	if (!pod || pod->outside)
		return 0;
	/* It may have more addresses than the cluster knows of: a link-local one, a second NIC's.
	 */
	set = bpf_map_lookup_elem(&authz_pods, dst) ?: bpf_map_lookup_elem(&authz_pods, &pod->addr);
	return set ? *set : 0;
}

/* What becomes of a packet on its way to a pod that may ask for a connection. TC_ACT_UNSPEC:
 * nothing is said against it. */
static __noinline int authorize(struct __sk_buff *skb)
{
	struct packet p = {};
	enum packet_kind kind;
	__u32 set, verdict;

	p.t.hook = HOOK_EGRESS;
	kind = packet_parse(skb, &p);
	if (kind == PACKET_TCP && (p.flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return TC_ACT_UNSPEC;
	if (kind != PACKET_TCP && !is_no_tcp(&p, kind) && !is_unread(&p, kind))
		return TC_ACT_UNSPEC;
	set = authz_set(skb, &p.t.dst);
	if (!set)
		return TC_ACT_UNSPEC;
	if (kind != PACKET_TCP) {
		count_reason(REASON_MALFORMED);
		return TC_ACT_SHOT;
	}
	if (is_nodes_call(skb, &p))
		return TC_ACT_UNSPEC;
	verdict = authz_verdict(&p, set);
	if (verdict & AUTHZ_LOGS)
		count_reason(REASON_RBAC_LOGGED);
	verdict &= AUTHZ_VERDICT;
	if (verdict == AUTHZ_PASSES)
		return TC_ACT_UNSPEC;
	if (verdict != AUTHZ_LETS)
		return refuse(skb, &p,
			      verdict == AUTHZ_CLOSES_PLAINTEXT ? REASON_PLAINTEXT_DENIED
								: REASON_RBAC_DENIED);
	count_reason(REASON_RBAC_ALLOWED);
	return TC_ACT_UNSPEC;
}

#endif
