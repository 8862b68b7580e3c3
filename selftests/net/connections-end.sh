#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# However connections end, they end: FIN, RST, kill -9, a namespace or an endpoint that goes away. Then nothing is active
# and the connection table is empty.
. "${0%/*}/lib.sh"

# Half-open and half-closed rests may stay for their timeouts.
TABLE_EMPTY_S=90
ROUNDS=$(rounds 10 2)
PER_ROUND=$(rounds 10000 1000)

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
pod_add two 3 app=echo,version=v2
weftd_start

victim=100
apply_all() {
	{
		rules_pods
		rules_service echo 10
		rules_subsets echo "v1 v2 v3" "connectionPool: {tcp: {maxConnections: 5000, idleTimeout: 20s}}"
		rules_weights echo v1=40 v2=30 v3=30
	} | apply
}

# all_of COUNTER: added up over every cluster
all_of() { weft stats "$1" | awk -v counter="$1:" 'index($1, "cluster.") == 1 && index($1, counter) { n += $2 } END { print n + 0 }'; }

none_active() { [ "$(all_of upstream_cx_active)" = 0 ]; }

table_empty() { [ "$(map_dump conns | jq length)" = 0 ]; }

echo_start two 9000 two
opened=0
for round in $(seq "$ROUNDS"); do
	family=$((round % 2 ? 4 : 6))
	to=$(vip $family 10)
	victim=$((victim + 1))
	pod_add server$victim $victim app=echo,version=v3
	pod_add guest$victim $((victim + 50)) app=guest
	apply_all
	echo_start one 9000 one
	one=$STARTED
	echo_start server$victim 9000 three

	load_start guest$victim "$TMP/guest" "$to" 9000 -n 100 -c 100 -s hello -e hold --ready "$TMP/guest.ready"
	load_start client "$TMP/killed" "$to" 9000 -n 100 -c 100 -s hello -e hold --ready "$TMP/killed.ready"
	killed=$STARTED
	wait_until 20 test -e "$TMP/guest.ready"
	wait_until 20 test -e "$TMP/killed.ready"
	rm "$TMP/guest.ready" "$TMP/killed.ready"

	load_start client "$TMP/mix" "$to" 9000 -n "$PER_ROUND" -c 200 -s hello -e mix -k 3 -t 2000
	mix=$STARTED
	sleep 0.$((RANDOM % 5))
	for event in $(shuf -e client server guest endpoint); do
		case $event in
		client) kill -9 "$killed" ;;
		server) kill -9 "$one" ;;
		guest) # the interface first: no FIN gets out
			ip -n "$(netns guest$victim)" link set eth0 down
			pod_del guest$victim
			;;
		endpoint)
			ip -n "$(netns server$victim)" link set eth0 down
			pod_del server$victim
			weft delete pod server$victim >/dev/null
			;;
		esac
		sleep 0.0$((RANDOM % 10))
	done
	wait "$mix"
	opened=$((opened + PER_ROUND + 200))
	say "round $round: $(<"$TMP/mix")"
done

wait_until $TABLE_EMPTY_S none_active
say "ok: nothing is active after $opened connections"
wait_until $TABLE_EMPTY_S no_conns
wait_until $TABLE_EMPTY_S table_empty
say "ok: the connection table is empty"
expect_between "connections that were steered" "$(all_of upstream_cx_total)" $((opened / 3)) "$opened"
