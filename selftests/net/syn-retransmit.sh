#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A SYN that is sent again is the same connection: one reservation, one endpoint.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo
pod_add two 3 app=echo
echo_start one 9000 one
echo_start two 9000 two
weftd_start
{
	rules_pods
	rules_service echo 10
	rules_subsets echo "" "$(printf 'connectionPool: {tcp: {maxConnections: 3}}\nloadBalancer: {simple: ROUND_ROBIN}')"
} | apply

for family in 4 6; do
	before=$(cluster_stat '' upstream_cx_total)
	raw client "$(vip $family 10)" 30000 9000 syn syn syn sleep:100 syn synack ack data:100 answer:104 syn sleep:50 \
		fin wantfin ack || fail "IPv$family: answered in spite of five SYNs"
	expect_eq "IPv$family: five SYNs are one connection" $(($(cluster_stat '' upstream_cx_total) - before)) 1
	wait_until 60 no_conns
	expect_eq "IPv$family: active afterwards" "$(cluster_stat '' upstream_cx_active)" 0

	# The kernel's own retransmissions: both endpoints are mute at first.
	for pod in one two; do
		ip -n "$(netns $pod)" route add blackhole "$(addr $family client)"
	done
	before=$(cluster_stat '' upstream_cx_total)
	load_start client "$TMP/late" "$(vip $family 10)" 9000 -n 3 -c 3 -s hello -e hold -t 15000 --ready "$TMP/ready"
	sleep 1.5
	expect_eq "IPv$family: reservations of three mute connections" "$(cluster_stat '' upstream_cx_active)" 3
	for pod in one two; do
		ip -n "$(netns $pod)" route del blackhole "$(addr $family client)"
	done
	wait_until 10 test -e "$TMP/ready"
	rm "$TMP/ready"
	expect_eq "IPv$family: still three when answered" "$(cluster_stat '' upstream_cx_active)" 3
	expect_eq "IPv$family: counted once each" $(($(cluster_stat '' upstream_cx_total) - before)) 3
	kill -TERM "$STARTED"
	wait "$STARTED"
	expect_eq "IPv$family: all answered" "$(jq -c 'keys, add' "$TMP/late" | paste -sd' ')" '["one","two"] 3'
	wait_until 60 no_conns
done
