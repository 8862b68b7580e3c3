#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Limits hold to the last request, whichever of four workers the clients come to, and everything is given back.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo
http_echo_start one 80 one
weftd_start --workers 4

# limits POLICY: connectionPool
limits() {
	{
		rules_pods
		PROTOCOL=http rules_service echo 10 8000:80
		rules_subsets echo "" "connectionPool: $1"
	} | apply
}

# slow_ones FAMILY N WANT: of N requests at once, WANT are admitted
slow_ones() {
	local got
	got=$(http_load client "$(vip "$1" 10)" 8000 -n "$2" -c "$2" -p /delay/1000 -t 20000)
	expect_eq "IPv$1: admitted of $2 at once" "$(json '.statuses."200"' "$got")" "$3"
	expect_eq "IPv$1: refused" "$(json '.statuses."503"' "$got")" $(($2 - $3))
}

nothing_held() { [ "$(cluster_stat '' upstream_cx_active echo 8000)" = 0 ]; }

limits '{tcp: {maxConnections: 3}, http: {http1MaxPendingRequests: 2, idleTimeout: 100ms}}'
for family in 4 6; do
	slow_ones $family 12 5
done
expect_eq "connections at a time" "$(cluster_stat '' upstream_cx_peak echo 8000)" 3
wait_until 5 nothing_held

limits '{http: {http2MaxRequests: 4, idleTimeout: 100ms}}'
for family in 4 6; do
	slow_ones $family 12 4
done
wait_until 5 nothing_held

limits '{tcp: {maxConnections: 2}, http: {idleTimeout: 100ms}}'
for family in 4 6; do
	got=$(http_load client "$(vip $family 10)" 8000 -n "$(rounds 2000 200)" -c 40)
	expect_eq "IPv$family: all of those that may wait" "$(json '.statuses."200"' "$got")" "$(rounds 2000 200)"
done
wait_until 5 nothing_held
