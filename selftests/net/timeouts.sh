#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# connectTimeout, idleTimeout and maxConnectionDuration end connections when they say.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add mute 2
pod_add one 3 app=echo
echo_start one 9000 one
weftd_start
{
	rules_pods
	rules_service mute 10
	rules_subsets mute "" "connectionPool: {tcp: {connectTimeout: 1s}}"
	rules_service idle 11 9000 app=echo
	rules_subsets idle "" "connectionPool: {tcp: {idleTimeout: 2s}}"
	rules_service short 12 9000 app=echo
	rules_subsets short "" "connectionPool: {tcp: {maxConnectionDuration: 2s}}"
} | apply

for family in 4 6; do
	ip -n "$(netns mute)" route add blackhole "$(addr $family client)"
done

time_out() {
	local family=$1 given_up=$2 what="IPv$1, callers $WAY" start busy idle short
	start=${EPOCHREALTIME/./}
	expect_eq "$what: connectTimeout: a mute endpoint is given up" \
		"$(load client "$(vip $family 10)" 9000 -t 10000)" "{\"$given_up\":1}"
	expect_between "$what: connectTimeout of 1 s, ms" $(((${EPOCHREALTIME/./} - start) / 1000)) 900 $((3500 * SLOWER))
	wait_until 10 eval '[ "$(cluster_stat "" upstream_cx_active mute)" = 0 ]'

	load_start client "$TMP/busy" "$(vip $family 11)" 9000 -n 5 -c 5 -s hello -e hold --every 400
	busy=$STARTED
	load_start client "$TMP/idle" "$(vip $family 11)" 9000 -n 5 -c 5 -s hello -e hold --ready "$TMP/ready"
	idle=$STARTED
	load_start client "$TMP/short" "$(vip $family 12)" 9000 -n 5 -c 5 -s hello -e hold --every 300
	short=$STARTED
	wait_until 5 test -e "$TMP/ready"
	rm "$TMP/ready"
	sleep 1
	expect_eq "$what: after 1 s all are open" \
		"$(($(cluster_stat '' upstream_cx_active idle) + $(cluster_stat '' upstream_cx_active short)))" 15
	sleep 3.5
	kill -TERM "$busy"
	kill -TERM "$idle" "$short" 2>/dev/null || true
	wait "$busy" "$idle" "$short"
	expect_eq "$what: idleTimeout: those that talk stay" "$(<"$TMP/busy")" '{"one":5}'
	expect_eq "$what: idleTimeout: those that are silent are reset" "$(<"$TMP/idle")" '{"lost":5}'
	expect_eq "$what: maxConnectionDuration: reset though they talk" "$(<"$TMP/short")" '{"lost":5}'
	wait_until 60 no_conns
}

for way in $(ways); do
	callers "$way"
	before=$(stat_of weft.reason.timed_out)
	for family in 4 6; do
		time_out $family "$([ "$WAY" = inside ] && echo ETIMEDOUT || echo ECONNREFUSED)"
	done
	expect_between "callers $WAY: counted as timed out" $(($(stat_of weft.reason.timed_out) - before)) 20 22
done
