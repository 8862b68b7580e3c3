// SPDX-License-Identifier: GPL-2.0
/*
 * tc ingress and egress of NICs whose packets have no Ethernet header: tunnels such as IPIP and
 * WireGuard. What tc.bpf.c does at other NICs, compiled for that; loaded when there is such a one.
 */
#define LINK_HLEN 0

#include "hook_tc.bpf.h"

#include "steer_tc.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("tc")
int from_tunnel(struct __sk_buff *skb)
{
	return steer(skb, SIDE_NIC);
}

SEC("tc")
int to_tunnel(struct __sk_buff *skb)
{
	return has_conns() ? steer_back(skb, SIDE_NIC) : TC_ACT_UNSPEC;
}
