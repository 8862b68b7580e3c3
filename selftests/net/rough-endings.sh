#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The places of a cluster are exact however connections end: each that is taken is given back once. tcp-rough has the 18 ways.
. "${0%/*}/lib.sh"

EACH=$(rounds 20000 200) # operations of each of two processes
CHURN=$(rounds 3000 40)  # of each of eight
LIMIT=50
KILLS=$(rounds 10 2)
UPGRADES=$(rounds 6 2)

node_up
pod_add client 1
pod_add one 2 app=echo,only=one
pod_add two 3 app=echo
pod_add mute 4
pod_add far 5
rough_start() {
	start_in "$1" "$APPS/tcp-rough" serve 9000 >"$TMP/serve-$1"
	wait_until 5 grep -q listening "$TMP/serve-$1"
}
rough_start one
rough_start two
ip_in client <<-END
route add unreachable $(addr 4 far)
route add unreachable $(addr 6 far)
END
for family in 4 6; do
	ip -n "$(netns mute)" route add blackhole "$(addr $family client)"
done
weftd_start
{
	rules_pods
	rules_service echo 10 9000,9001
	rules_service one 11 9000 only=one
	rules_service mute 12
	rules_service far 13
	rules_service full 14 9000 app=echo
	rules_subsets full "" "connectionPool: {tcp: {maxConnections: 1}}"
	rules_service limit 15 9000 app=echo
	rules_subsets limit "" "connectionPool: {tcp: {maxConnections: $LIMIT}}"
} | apply

# rough SEED N [-l]: all services by their roles; `echo` is the one with the limit if -l is given
rough() {
	local limited=${3:-} echo=10
	[ -z "$limited" ] || echo=15
	# shellcheck disable=SC2086 # no word where it is not limited
	in_ns client "$APPS/tcp-rough" $limited "$1" "$2" "echo=$(both $echo),9000" "one=$(both 11),9000" \
		"refuses=$(both 10),9001" "mute=$(both 12),9000" "far=$(both 13),9000" "full=$(both 14),9000"
}
both() { echo "$(vip 4 "$1"),$(vip 6 "$1")"; }

# all_of COUNTER [KIND]: added up over every cluster, or endpoint
all_of() {
	local stats
	stats=$(weft stats "$1") && [ -n "$stats" ] || return 1 # nothing is not 0
	awk -v counter="$1:" -v kind="${2:-cluster}." \
		'index($1, kind) == 1 && index($1, counter) { n += $2 } END { print n + 0 }' <<<"$stats"
}

# A count that has fallen below 0 is a huge one. Ends with the test, whichever way it does.
watch_counts() {
	local stats
	until [ -e "$TMP/watched" ] || [ ! -d "$TMP/run" ]; do
		if stats=$(weft stats upstream_cx_active 2>/dev/null) && [ -n "$stats" ]; then # none runs while it is replaced
			echo . >>"$TMP/readings"
			awk '$2 < 0 || $2 > 1000000' <<<"$stats" >>"$TMP/negative"
		fi
		sleep 0.2
	done
}
left() { echo "$(all_of upstream_cx_active) $(all_of upstream_cx_active endpoint)"; }
left_is() { [ "$(left)" = "$1" ]; }
# Connections that were opened and have not ended, as `tcp_traffic` has it, and those whose bytes were counted meanwhile.
unended() { map_dump tcp_traffic | jq '[.[].formatted.value | .opened - .closed] | add'; }
halfway() { map_dump tcp_counted | jq length; }

# The one place of `full`.
load_start client "$TMP/full" "$(vip 4 14)" 9000 -e hold --ready "$TMP/ready"
full=$STARTED
wait_until 5 test -e "$TMP/ready"
before=$(all_of upstream_cx_total)
overflow=$(all_of upstream_cx_overflow)
watch_counts &
watcher=$!

start=$EPOCHREALTIME
seed=${WEFT_SEED:-$((RANDOM * 32768 + RANDOM))}
say "seed $seed"
processes=()
for i in 1 2; do
	rough $((seed + i)) "$EACH" >"$TMP/rough$i" &
	processes+=("$!")
done
for pid in "${processes[@]}"; do
	wait "$pid" || fail "tcp-rough: $(tail -n +1 "$TMP"/rough?)"
done
say "$(jq -c .kinds "$TMP/rough1")"
say "$((2 * EACH)) operations in $(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }') s"
wait_until 5 left_is "1 1"
expect_eq "active of clusters and endpoints: the held one" "$(left)" "1 1"
expect_eq "places taken" "$(($(all_of upstream_cx_total) - before))" "$(jq -s 'map(.reserved) | add' "$TMP"/rough?)"
expect_eq "refused" "$(($(all_of upstream_cx_overflow) - overflow))" "$(jq -s 'map(.refused) | add' "$TMP"/rough?)"

expect_eq "given up by the client, not failed" "$(cluster_stat '' upstream_cx_connect_fail mute)" 0
expect_eq "refused by the endpoint" "$(cluster_stat '' upstream_cx_connect_fail echo 9001)" \
	"$(cluster_stat '' upstream_cx_total echo 9001)"

# A limit: it is reached, and never exceeded.
before=$(all_of upstream_cx_total)
processes=()
for i in 1 2 3 4 5 6 7 8; do
	rough $((seed + 10 + i)) "$CHURN" -l >"$TMP/churn$i" &
	processes+=("$!")
done
for pid in "${processes[@]}"; do
	wait "$pid" || fail "tcp-rough: $(tail -n +1 "$TMP"/churn?)"
done
wait_until 5 left_is "1 1"
expect_eq "limit $LIMIT: peak of eight processes" "$(cluster_stat '' upstream_cx_peak limit)" $LIMIT
expect_eq "places taken" "$(($(all_of upstream_cx_total) - before))" "$(jq -s 'map(.reserved) | add' "$TMP"/churn?)"
for family in 4 6; do
	load_start client "$TMP/sixty" "$(vip $family 15)" 9000 -n 60 -c 60 -e hold --ready "$TMP/ready$family"
	wait_until 10 test -e "$TMP/ready$family"
	expect_eq "IPv$family: active of 60" "$(cluster_stat '' upstream_cx_active limit)" $LIMIT
	kill -TERM "$STARTED"
	wait "$STARTED"
	expect_eq "IPv$family: let in and refused" "$(jq -c '[.connected, .ECONNREFUSED]' "$TMP/sixty")" "[$LIMIT,10]"
	wait_until 5 left_is "1 1"
done
expect_eq "peak in the end" "$(cluster_stat '' upstream_cx_peak limit)" $LIMIT
expect_eq "who talks to whom: one has not ended" "$(unended), $(halfway)" "1, 0"

# weftd is killed, and replaced, under load.
before=$(all_of upstream_cx_total)
processes=()
for i in 1 2; do
	(
		renice -n 19 "$BASHPID" >/dev/null # so that weftd need not wait for a processor when it starts
		turn=0
		until [ -e "$TMP/enough" ]; do
			rough $((seed + 100 * i + (turn += 1))) "$CHURN" >>"$TMP/endless$i"
		done
	) &
	processes+=("$!")
done
for _ in $(seq "$KILLS"); do
	weftd_kill9
	sleep 0.05
	weftd_start
done
say "ok: killed $KILLS times"
for _ in $(seq "$UPGRADES"); do
	weftd_stop
	weftd_start
done
say "ok: replaced $UPGRADES times"
: >"$TMP/enough"
for pid in "${processes[@]}"; do
	wait "$pid" || fail "tcp-rough: $(tail -n 1 "$TMP"/endless?)"
done
wait_until 5 left_is "1 1"
expect_eq "places taken" "$(($(all_of upstream_cx_total) - before))" "$(jq -s 'map(.reserved) | add' "$TMP"/endless?)"

kill -TERM "$full"
wait "$full"
wait_until 5 left_is "0 0"
say "ok: nothing is active"
expect_eq "who talks to whom: all have ended" "$(unended), $(halfway)" "0, 0"
: >"$TMP/watched"
wait "$watcher"
expect_between "readings of the counts" "$(wc -l <"$TMP/readings")" 2 1000000
expect_eq "counts that were negative" "$(<"$TMP/negative")" ""
no_conns || fail "left: $(weft conns)"
