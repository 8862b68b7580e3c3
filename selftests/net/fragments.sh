#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Packets that come in fragments are steered as a whole.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo
echo_start one 9000 one
weftd_start
{
	rules_pods
	rules_service echo 10
	rules_gateway door 31400
	rules_routes echo "- route: [{destination: {host: echo, port: {number: 9000}}}]" door
} | apply

# A segment of 6000 bytes leaves as five fragments; "one " and the line come back.
for family in 4 6; do
	raw client "$(vip $family 10)" 30000 9000 syn synack ack data:6000 answer:6004 data:3000 answer:9008 fin wantfin ack ||
		fail "IPv$family: from a pod"
	say "ok: IPv$family: from a pod"
	raw world "$(addr $family node)" 30001 31400 syn synack ack data:6000 answer:6004 fin wantfin ack ||
		fail "IPv$family: from outside"
	say "ok: IPv$family: from outside"
done
expect_eq "fragments dropped" "$(stat_of weft.reason.fragment)" 0
wait_until 30 no_conns
