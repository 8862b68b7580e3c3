#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ICMP errors about a steered connection reach the client as errors about the address that it called.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add gone 2 app=gone
remote_add far 3 app=far
echo_start far 9000 far
weftd_start
{
	rules_pods
	rules_service gone 10
	rules_service far 11
} | apply

# The endpoint's node is there, the endpoint is not: its router says so.
sysctl_in gone net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1 net/ipv4/icmp_ratelimit=0 net/ipv6/icmp/ratelimit=0
ip_in gone <<END
address add 192.0.2.2/32 dev eth0
address add 2001:db8::2/128 dev eth0 nodad
address del $(addr 4 gone)/32 dev eth0
address del $(addr 6 gone)/128 dev eth0
route add unreachable $(addr 4 gone)/32
route add unreachable $(addr 6 gone)/128
END
ip_in node <<END
neighbour replace $(addr 4 gone) lladdr $(pod_mac gone) dev veth2 nud permanent
neighbour replace $(addr 6 gone) lladdr $(pod_mac gone) dev veth2 nud permanent
END
for family in 4 6; do
	start=$SECONDS
	expect_match "IPv$family: an unreachable endpoint is said to be" \
		"$(load client "$(vip $family 10)" 9000 -t 10000)" '^\{"E(HOST|NET)UNREACH":1\}$'
	expect_between "IPv$family: at once, seconds" $((SECONDS - start)) 0 3
done

# A link on the way has a smaller MTU than both ends: the router's complaint must be understood.
ip -n "$(netns world)" link set far3 mtu 1300
for family in 4 6; do
	start=$SECONDS
	expect_eq "IPv$family: large lines to another node get through a narrow link" \
		"$(load client "$(vip $family 11)" 9000 -n 3 --bytes 200000 -t 15000)" '{"far":3}'
	expect_between "IPv$family: without long waiting, seconds" $((SECONDS - start)) 0 8
done
