#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pods that share a bridge, as with a bridge CNI: their frames are addressed to the bridge or to each other, not to the node's
# end of the veth. What weft-proxy has to look at goes by the bridge itself.
. "${0%/*}/lib.sh"

node_up
bridge_up
pod_add client 1
pod_add one 2 app=echo
pod_add late 3
remote_add apart 9
onto_bridge client
onto_bridge one
echo_start one 9000 one
weftd_start
{
	rules_pods
	rules_service echo 10
	rules_service itself 11 9000 app=client
	PROTOCOL=http rules_service web 12 80:8080 app=echo
	rules_subsets web "" "connectionPool: {http: {maxRetries: 3}}"
	rules_service apart 13 80:8080 app=apart
	rules_subsets apart "" "connectionPool: {http: {maxRetries: 3}}"
} | apply
echo_start client 9000 itself
http_echo_start one 8080 one
http_echo_start apart 8080 apart

# sees FROM SERVICE: who the endpoint says it was called by
sees() { http_load "$1" "$2" 80 -p /anything --print | tail -1 | jq -r .peer; }

for family in 4 6; do
	before=$(cluster_stat '' upstream_cx_total)
	expect_eq "IPv$family: by the service" "$(load client "$(vip $family 10)" 9000 -n 100 -c 10 -s hello)" '{"one":100}'
	expect_eq "IPv$family: counted" "$(cluster_stat '' upstream_cx_total)" $((before + 100))
	expect_eq "IPv$family: large lines" "$(load client "$(vip $family 10)" 9000 -n 3 --bytes 1000000)" '{"one":3}'
	expect_eq "IPv$family: to itself" "$(load client "$(vip $family 11)" 9000 -n 10 -s hello)" '{"itself":10}'
	result=$(http_load client "$(vip $family 12)" 80 -n 100 -c 10)
	expect_eq "IPv$family: requests by weft-proxy" "$(json '.statuses."200"' "$result")" 100
	result=$(http_load client "$(vip $family 12)" 80 -n 2 -p /bytes/1000000)
	expect_eq "IPv$family: large answers" "$(json '.statuses."200"' "$result") $(json .bytes "$result")" "2 2000000"
	expect_eq "IPv$family: on one bridge" "$(sees client "$(vip $family 12)")" "$(addr $family client)"
	expect_eq "IPv$family: from the bridge" "$(sees client "$(vip $family 13)")" "$(addr $family client)"
	expect_eq "IPv$family: to itself by weft-proxy" "$(sees one "$(vip $family 12)")" "$(vip $family 12)"
	expect_eq "IPv$family: past weft" "$(load client "$(addr $family one)" 9000 -n 10 -s hello)" '{"one":10}'
done

# Else it would send what weft-proxy has to say to all of its ports.
in_ns node ip link set br0 type bridge fdb_flush
http_load client "$(vip 4 12)" 80 >/dev/null
expect_eq "the bridge learns where a pod is" \
	"$(in_ns node bridge -j fdb show br br0 | jq -r '.[] | select(.state != "permanent" and .ifname == "veth1").mac')" \
	"$(in_ns client ip -j link show eth0 | jq -r '.[0].address')"

# ... and when too many connections begin at a time.
in_ns node sysctl -q -w net.ipv4.tcp_syncookies=2
for family in 4 6; do
	result=$(http_load client "$(vip $family 12)" 80 -n 10 --close)
	expect_eq "IPv$family: with SYN cookies" "$(json '.statuses."200"' "$result")" 10
done

# attached BRIDGE
attached() {
	local index
	index=$(in_ns node ip -j link show "$1" | jq '.[0].ifindex')
	[ -e "$TMP/bpf/weft/link/$index" ] || [ -e "$TMP/bpf/weft/qdisc/$index" ]
}
let_go() { ! attached "$1"; }

# A pod that weft knows already comes to a bridge that says nothing of it: it is up and has an address of its own.
ip_in node <<END
link add br1 address 02:00:00:00:00:01 type bridge
link add port1 master br1 type veth peer name port2
link set port1 up
link set port2 up
link set br1 up
END
sleep 1
attached br1 && fail "attached to a bridge without pods"
in_ns node ip link set "veth${NUMBER[late]}" master br1
wait_until 5 attached br1
in_ns node ip link set "veth${NUMBER[late]}" nomaster
wait_until 5 let_go br1

# The bridge is let go with the last of its pods.
attached br0 || fail "nothing is attached to the bridge"
pod_del one
attached br0 || fail "nothing is attached to the bridge of one pod"
pod_del client
wait_until 5 let_go br0
wait_until 30 no_conns
