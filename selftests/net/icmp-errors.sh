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
route add 192.0.2.2/32 dev veth2
route add 2001:db8::2/128 dev veth2
neighbour replace $(addr 4 gone) lladdr $(pod_mac gone) dev veth2 nud permanent
neighbour replace $(addr 6 gone) lladdr $(pod_mac gone) dev veth2 nud permanent
END

# icmp_count NAME: the client's own count of ICMP messages; InErrors are those that belong to no connection of its
icmp_count() {
	if [ "$family" = 6 ]; then
		in_ns client awk -v name="Icmp6$1" '$1 == name { print $2 }' /proc/net/snmp6
	else
		in_ns client awk -v name="$1" '
			$1 == "Icmp:" && !at { for (i = 2; i <= NF; i++) if ($i == name) at = i; next }
			$1 == "Icmp:" { print $at; exit }' /proc/net/snmp
	fi
}

# A client that is still inside connect() when the message comes takes it for a passing trouble, so the errno is no measure.
for way in $(ways); do
	callers "$way"
	for family in 4 6; do
		what="IPv$family, callers $WAY"
		before=$(icmp_count InDestUnreachs)
		got=$(load client "$(vip $family 10)" 9000 -t 1500)
		expect_eq "$what: an unreachable endpoint does not answer" "$(jq -c '.connected // 0' <<<"$got")" 0
		expect_between "$what: the client is told" $(($(icmp_count InDestUnreachs) - before)) 1 10
		expect_eq "$what: of a connection that it knows" "$(icmp_count InErrors)" 0
	done
done

# A link on the way has a smaller MTU than both ends say they have: the router's complaint must be understood. The far end
# itself knows, so that only the client has something to learn: of the address that its connection is with.
link_narrow far 1300
for way in $(ways); do
	callers "$way"
	for family in 4 6; do
		what="IPv$family, callers $WAY"
		peer=$([ "$WAY" = inside ] && addr $family far || vip $family 11)
		start=$SECONDS
		expect_eq "$what: nothing known of the MTU" "$(in_ns client ip route get "$peer" | grep -c 'mtu' || true)" 0
		expect_eq "$what: large lines to another node get through a narrow link" \
			"$(load client "$(vip $family 11)" 9000 -n 3 --bytes 200000 -t $((15000 * SLOWER)))" '{"far":3}'
		expect_match "$what: the client has learnt the MTU on its way" "$(in_ns client ip route get "$peer")" 'mtu 1300'
		expect_between "$what: without long waiting, seconds" $((SECONDS - start)) 0 $((8 * SLOWER))
	done
done
