#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Gateway's endpoint is on another node behind an overlay. A caller from outside would not get replies as long as weft is not on
# the overlay's device, so it is left alone; with the device named it is served, and pods still are.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
overlay_node_up
echo_start far 9000 far

weftd_start
{
	rules_pods
	rules_service far 10
	rules_door 31400 far 9000
} | apply
for family in 4 6; do
	expect_eq "IPv$family: past weft" "$(load client "$(addr $family far)" 9000 -n 5 -s hello)" '{"far":5}'
	conns=$(map_dump conns | jq length)
	before=$(stat_of weft.reason.foreign_way)
	load world "$(addr $family node)" 31400 -t 300 >/dev/null || true
	expect_between "IPv$family: from outside: left alone and counted" $(($(stat_of weft.reason.foreign_way) - before)) 1 10
	expect_between "IPv$family: no entry was made" "$(map_dump conns | jq length)" 0 "$conns"
done
weftd_stop

weftd_start --nic nic0,overlay0
for family in 4 6; do
	expect_eq "IPv$family, device named: from outside" "$(load world "$(addr $family node)" 31400 -n 20 -c 5 -s hello)" '{"far":20}'
	for way in $(ways); do
		callers "$way"
		expect_eq "IPv$family, device named, callers $WAY: by the service" \
			"$(load client "$(vip $family 10)" 9000 -n 20 -c 5 --bytes 30000)" '{"far":20}'
	done
	callers inside
done
wait_until 30 no_conns
