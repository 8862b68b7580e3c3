#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of weftd under load: open connections live on, new ones are steered, counters continue.
. "${0%/*}/lib.sh"

KILLS=$(rounds 20 3)
HELD=50

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
pod_add two 3 app=echo,version=v2
echo_start one 9000 one
echo_start two 9000 two
weftd_start
{
	rules_pods
	rules_service echo 10
	rules_subsets echo "v1 v2" "connectionPool: {tcp: {maxConnections: 1000}}"
	rules_weights echo v1=80 v2=20
} | apply

for family in 4 6; do
	load_start client "$TMP/held$family" "$(vip $family 10)" 9000 -n $HELD -c $HELD -s hello -e hold --every 50 --ready "$TMP/ready$family"
	held[family]=$STARTED
	wait_until 10 test -e "$TMP/ready$family"
	load_start client "$TMP/load$family" "$(vip $family 10)" 9000 -n 100000000 -c 100 -r "$(rounds 200 40)" -s hello
	loads[family]=$STARTED
done

for _ in $(seq "$KILLS"); do
	weftd_kill9
	sleep 0.1
	got=$(load client "$(vip 4 10)" 9000 -n 10 -s hello)
	expect_eq "steered without weftd" $(($(count one "$got") + $(count two "$got"))) 10
	weftd_start
done
say "ok: killed $KILLS times, new connections steered meanwhile"

kill -TERM "${loads[@]}"
wait "${loads[@]}"
total=$((KILLS * 10 + 2 * HELD))
for family in 4 6; do
	got=$(<"$TMP/load$family")
	say "IPv$family: $got"
	expect_eq "IPv$family: every connection under load was answered" "$(jq -r 'keys - ["one", "two"] | join(" ")' <<<"$got")" ""
	total=$((total + $(jq 'add // 0' <<<"$got")))
done
active() { echo $(($(cluster_stat v1 upstream_cx_active) + $(cluster_stat v2 upstream_cx_active))); }
held_only() { [ "$(active)" = $((2 * HELD)) ]; }
wait_until 10 held_only # the servers' FINs may be on their way
expect_eq "active: the held ones" "$(active)" $((2 * HELD))
expect_eq "counted over all restarts" "$(($(cluster_stat v1 upstream_cx_total) + $(cluster_stat v2 upstream_cx_total)))" $total

kill -TERM "${held[@]}"
wait "${held[@]}"
for family in 4 6; do
	expect_eq "IPv$family: open connections lost" "$(jq -r 'keys - ["one", "two"] | join(" ")' "$TMP/held$family")" ""
done
wait_until 30 no_conns
expect_eq "active in the end" "$(active)" 0
