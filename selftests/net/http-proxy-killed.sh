#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of the proxy under load: connections that stay in the kernel don't notice, connections that wait in the queue are served by the
# next proxy, requests succeed again within 200 ms, and what the dead one held of a limit is given back.
. "${0%/*}/lib.sh"

LIMIT=8
TURNS=$(rounds 3 1)
WITHIN_MS=${WEFT_EMULATED:+1250}
WITHIN_MS=${WITHIN_MS:-200}

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
http_echo_start one 8080 one
echo_start one 9000 one
weftd_start --workers 2
{
	rules_pods
	rules_service plain 11 9000 app=echo
	PROTOCOL=http rules_service echo 10 80:8080
	rules_subsets echo v1 "connectionPool: {tcp: {maxConnections: $LIMIT}, http: {idleTimeout: 2s}}"
	PROTOCOL=http rules_weights echo v1
} | apply

stat_echo() { cluster_stat v1 "$1" echo 80; }
open_at_endpoint() { echo $(($(json .open "$(http_echo_ask one 8080 /_stats)") - 1)); } # but for the one that asks
active_is() { [ "$(stat_echo upstream_cx_active)" = "$1" ]; }
active_is_open() { active_is "$(open_at_endpoint)"; }
ask() { http_load client "$(vip "$1" 10)" 80 "${@:2}"; }
answers() { [ "$(json '.statuses."200"' "$(ask 4 -t 1000)")" = 1 ]; }

# Whether the next proxy is there: another process than OLD.
replaced() { local now; now=$(proxy_pid); [ -n "$now" ] && [ "$now" != "$1" ]; }

wait_until 10 answers
load_start client "$TMP/tcp" "$(vip 4 11)" 9000 -n 50 -c 50 -s hello -e hold --every 20 -k 600000
TCP=$STARTED

for turn in $(seq "$TURNS"); do
	http_load_start client "$TMP/http" "$(vip 4 10)" 80 -d $((3 * SLOWER)) -r 500 -c $LIMIT -t $((5000 * SLOWER))
	LOAD=$STARTED
	sleep 1
	old=$(proxy_pid)
	kill -9 "$old"
	begin=$(milliseconds)
	until answers; do
		(($(milliseconds) - begin < 10000)) || fail "no request succeeds any more"
	done
	took=$(($(milliseconds) - begin))
	expect_took "turn $turn: until a request succeeds" $took 0 "$WITHIN_MS"
	expect_eq "turn $turn: the proxy is another one" "$(replaced "$old" && echo yes)" yes
	wait "$LOAD"
	result=$(<"$TMP/http")
	expect_between "turn $turn: requests that were lost with it" "$(json '[.errors[]] | add' "$result")" 0 $LIMIT
	expect_eq "turn $turn: the others" $(($(json '.statuses."200"' "$result") + $(json '[.errors[]] | add' "$result"))) \
		"$(json .requests "$result")"
	wait_until 5 active_is_open
done

# The limit is neither used up by the dead nor exceeded: as many at a time as before.
result=$(ask 4 -p /delay/500 -n $LIMIT -c $LIMIT)
expect_eq "at a time" "$(json '.statuses."200"' "$result")" $LIMIT
expect_took "for all of them" "$(json '.seconds * 1000 | floor' "$result")" 500 950

# It hangs, connections queue up, it is killed.
for family in 4 6; do
	old=$(proxy_pid)
	stop_process "$old"
	http_load_start client "$TMP/queued" "$(vip $family 10)" 80 -n 20 -c 20 -t $((10000 * SLOWER))
	LOAD=$STARTED
	sleep 0.5
	kill -9 "$old"
	wait "$LOAD"
	expect_eq "IPv$family: connections in the queue that were answered" "$(json '.statuses."200"' "$(<"$TMP/queued")")" 20
done

kill "$TCP"
wait "$TCP" || true
expect_eq "connections that never left the kernel" "$(count one "$(<"$TMP/tcp")")" 50
wait_until 10 active_is_open
wait_until 10 active_is 0
expect_eq "open at the endpoint" "$(open_at_endpoint)" 0
