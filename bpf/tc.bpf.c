// SPDX-License-Identifier: GPL-2.0
/*
 * tc ingress and egress of every pod's veth and of the node's NICs, and ingress of the bridges that
 * pods share. What is translated goes on as the node's own stack will have it: routing, FORWARD,
 * masquerade and the rest hold for it as for any other packet.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "hook_tc.bpf.h"

#include "authz.bpf.h"
#include "steer_tc.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* ---- most packets are none of weft's business, and shall not pay for it ---- */

/* Whether packets that ask for no connection may be ours: connections of tc's or weft-proxy's,
 * short cuts. */
static __always_inline int is_busy(void)
{
	__u32 zero = 0;
	const struct proxy_state *p = bpf_map_lookup_elem(&proxy, &zero);
	const struct shortcut_state *s = bpf_map_lookup_elem(&shortcut_state, &zero);

	return has_conns() || (p && p->used) || (s && s->until);
}

/* Whether a packet surely asks for no connection: the plain forms of IPv4 and IPv6 only. */
static __always_inline int is_no_request(const struct __sk_buff *skb)
{
	const struct ethhdr *eth = (void *)(long)skb->data;
	const void *end = (void *)(long)skb->data_end;
	const struct iphdr *ip = (void *)(eth + 1);
	const struct ipv6hdr *ip6 = (void *)(eth + 1);
	const __u8 *tcp = (void *)(ip6 + 1);
	const __u8 flags = TCP_SYN | TCP_ACK | TCP_RST;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		tcp = (void *)(ip + 1);
		return (void *)(tcp + TCP_MIN) <= end && ip->ihl == 5 &&
		       ip->protocol == IPPROTO_TCP && (tcp[13] & flags) != TCP_SYN;
	}
	return skb->protocol == bpf_htons(ETH_P_IPV6) && (void *)(tcp + TCP_MIN) <= end &&
	       ip6->nexthdr == IPPROTO_TCP && (tcp[13] & flags) != TCP_SYN;
}

/* On the way from a bridge's port to weft-proxy. */
static __noinline int steer_marked(struct __sk_buff *skb)
{
	enum reason reason = REASON_NONE;
	struct packet p = {};

	if (packet_parse(skb, &p) == PACKET_TCP && (is_syn(&p) || ends_handshake(skb, &p)))
		reason = assign_worker(skb, &p);
	return reason ? refuse(skb, &p, reason) : TC_ACT_OK;
}

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	return !is_busy() && is_no_request(skb) ? TC_ACT_UNSPEC : steer(skb, SIDE_POD);
}

SEC("tc")
int to_pod(struct __sk_buff *skb)
{
	int action = authz_in_use && !is_no_request(skb) ? authorize(skb) : TC_ACT_UNSPEC;

	if (action != TC_ACT_UNSPEC)
		return action;
	return has_conns() ? steer_back(skb, SIDE_POD) : TC_ACT_UNSPEC;
}

SEC("tc")
int from_nic(struct __sk_buff *skb)
{
	/* A bridge may be a NIC as well. */
	return skb->mark == TPROXY_MARK ? steer_marked(skb) : steer(skb, SIDE_NIC);
}

SEC("tc")
int to_nic(struct __sk_buff *skb)
{
	return has_conns() ? steer_back(skb, SIDE_NIC) : TC_ACT_UNSPEC;
}

SEC("tc")
int from_bridge(struct __sk_buff *skb)
{
	return skb->mark == TPROXY_MARK ? steer_marked(skb) : TC_ACT_UNSPEC;
}

/* See weft/verdict.h. */
SEC("tc")
int explain(struct __sk_buff *skb)
{
	__u32 zero = 0, own = 1; /* a packet may interrupt us: it has its own scratch */
	struct scratch *s = bpf_map_lookup_elem(&scratch, &own);
	__u64 *number = bpf_map_lookup_elem(&generation, &zero);

	if (!s || !number || bpf_skb_load_bytes(skb, 0, &s->question, sizeof(s->question)))
		return TC_ACT_SHOT;
	s->question.dry = 1;
	s->question.generation = *number;
	decide_question(s);
	return bpf_skb_store_bytes(skb, 0, &s->verdict, sizeof(s->verdict), 0) ? TC_ACT_SHOT
									       : TC_ACT_OK;
}
