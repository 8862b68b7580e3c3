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

# given_up FAMILY RESULT: of a connection to a mute endpoint
given_up() {
	local what="IPv$1, callers $WAY: connectTimeout" start
	start=$(milliseconds)
	expect_eq "$what: a mute endpoint is given up" "$(load client "$(vip "$1" 10)" 9000 -t 10000)" "{\"$2\":1}"
	expect_took "$what of 1 s" $(($(milliseconds) - start)) 900 3500
	wait_until 10 eval '[ "$(cluster_stat "" upstream_cx_active mute)" = 0 ]'
}

# held NAME FAMILY SERVICE OPTION...: five connections
held() {
	load_start client "$TMP/$1$2" "$(vip "$2" "$3")" 9000 -n 5 -c 5 -s hello -e hold --ready "$TMP/ready.$1$2" "${@:4}"
	HELD+=("$STARTED")
	READY+=("$TMP/ready.$1$2")
}

# Both families at the same time.
time_out() {
	local HELD=() READY=() family what file
	for family in 4 6; do
		held busy $family 11 --every 400
		held idle $family 11
		held short $family 12 --every 300
	done
	for file in "${READY[@]}"; do
		wait_until 5 test -e "$file"
		rm "$file"
	done
	sleep 1
	expect_eq "callers $WAY: after 1 s all are open" \
		"$(($(cluster_stat '' upstream_cx_active idle) + $(cluster_stat '' upstream_cx_active short)))" 30
	sleep 3.5
	kill -TERM "${HELD[@]}" 2>/dev/null || true
	wait "${HELD[@]}"
	for family in 4 6; do
		what="IPv$family, callers $WAY"
		expect_eq "$what: idleTimeout: those that talk stay" "$(<"$TMP/busy$family")" '{"one":5}'
		expect_eq "$what: idleTimeout: those that are silent are reset" "$(<"$TMP/idle$family")" '{"lost":5}'
		expect_eq "$what: maxConnectionDuration: reset though they talk" "$(<"$TMP/short$family")" '{"lost":5}'
	done
	wait_until 60 no_conns
}

for way in $(ways); do
	callers "$way"
	before=$(stat_of weft.reason.timed_out)
	for family in 4 6; do
		given_up $family "$([ "$WAY" = inside ] && echo ETIMEDOUT || echo ECONNREFUSED)"
	done
	time_out
	expect_between "callers $WAY: counted as timed out" $(($(stat_of weft.reason.timed_out) - before)) 20 22
done
