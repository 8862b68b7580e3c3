#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A weftd whose weft-proxy is another program takes the place of the one that runs, under load: the old weft-proxy drains. No request
# fails, no connection of a client ends, what is under way ends where it began, and counters and limits add up meanwhile.
. "${0%/*}/lib.sh"

UPGRADES=$(rounds 10 3)
RATE=100 # of each family
LIMIT=8

# programs NAME: weftd, weft and a weft-proxy with bytes of its own
programs() {
	mkdir "$TMP/$1"
	cp "$BUILT/weftd" "$BUILT/weft" "$BUILT/weft-proxy" "$TMP/$1/"
	printf '%s' "$1" >>"$TMP/$1/weft-proxy"
}
BUILT=$OUT

# start NAME [OPTION...]: the weftd of these programs
start() {
	OUT=$TMP/$1
	weftd_start --workers 2 --access-log - "${@:2}" >>"$TMP/access.log"
}
now=a
upgrade() {
	weftd_stop
	[ $now = a ] && now=b || now=a
	start $now "$@"
}
draining() { weft status -o json | jq '.proxy.draining | length'; }
drained() { [ "$(draining)" = 0 ]; }
stat_echo() { cluster_stat v1 "$1" echo 80; }
is() { [ "$(stat_echo "$1")" = "$2" ]; }
ask() { http_load client "$(vip "$1" 10)" 80 "${@:2}"; }
answers() { [ "$(json '.statuses."200"' "$(ask 4 -t 1000)")" = 1 ]; }
failures() { jq -c '[.errors, .requests - .answered, .reopened, .idle_lost]' "$1"; }
# slow FILE MS: one request that takes so long, in the background
slow() { http_load_start client "$1" "$(vip 4 10)" 80 -p "/delay/$2" -t 60000; }

node_up
programs a
programs b
pod_add client 1
pod_add one 2 app=echo,version=v1
http_echo_start one 8080 one
start a
{
	rules_pods
	PROTOCOL=http rules_service echo 10 80:8080
	rules_subsets echo v1 "connectionPool: {tcp: {maxConnections: $LIMIT}, http: {http1MaxPendingRequests: 1000}}"
	PROTOCOL=http rules_weights echo v1
} | apply
wait_until 10 answers
before=$(stat_echo upstream_rq_total)

# ---- under load: keep-alive connections that are in use, and some that are not; a long request over each swap ----

for family in 4 6; do
	"http_load_start" client "$TMP/load$family" "$(vip $family 10)" 80 -d 600 -r $RATE -c 3 --idle 20 --warm -t 20000
	loads[family]=$STARTED
done
sleep 1
slows=()
for ((n = 0; n < UPGRADES; n++)); do
	((n % 4)) || { slow "$TMP/slow$n" 4000; slows+=("$STARTED"); }
	sleep 0.3
	old=$(proxy_pid)
	upgrade
	[ "$(proxy_pid)" != "$old" ] || fail "upgrade $n: the same weft-proxy"
	expect_between "upgrade $n: open connections" "$(stat_echo upstream_cx_active)" 1 $LIMIT
done
for pid in "${slows[@]}"; do wait "$pid"; done
sleep 0.5
kill -TERM "${loads[@]}"
for family in 4 6; do
	wait "${loads[family]}"
	say "IPv$family: $(<"$TMP/load$family")"
	expect_eq "IPv$family: failed, without an answer, connections opened anew, idle ones lost" "$(failures "$TMP/load$family")" '[{},0,0,0]'
done
for file in "$TMP"/slow*; do
	expect_eq "a long request, over the swap" "$(failures "$file")" '[{},0,0,0]'
done
wait_until 10 drained
asked=$(($(cat "$TMP"/load4 "$TMP"/load6 "$TMP"/slow* | jq -s 'map(.requests) | add')))
expect_between "requests counted, of those asked and the connections' first ones" \
	"$(($(stat_echo upstream_rq_total) - before))" "$asked" $((asked + 2 * 20 + 2 * 3))
wait_until 5 is upstream_rq_active 0
wait_until 5 is upstream_rq_pending_active 0
expect_eq "of the limit" "$(stat_echo upstream_cx_active)" "$(($(json .open "$(http_echo_ask one 8080 /_stats)") - 1))"
# Where weftd takes its time to start, there is room for so many lines only.
lost=$(sed -n 's/.* \([0-9]*\) lines of the access log are lost.*/\1/p' "$TMP/weftd.log" | paste -sd+ | bc)
expect_eq "lines of the access log, and those that are said to be lost" "$(($(grep -c ' /' "$TMP/access.log") + ${lost:-0}))" \
	"$(stat_echo upstream_rq_total)"
say "lost: ${lost:-0}"

# ---- who drains is shown, and holds its part of the limit until it has ended, or is killed ----

first=$(proxy_pid)
slow "$TMP/slow" 40000
SLOW=$STARTED
wait_until 5 is upstream_rq_active 1
upgrade --drain-time 100
expect_eq "it is seen" "$(weft status | grep ^draining)" "draining     process $first"
expect_eq "its request is counted" "$(stat_echo upstream_rq_active)" 1
requests() { weft conns -o json | jq -c '[.[] | select(.protocol == "http") | [.path, .draining]]'; }
expect_eq "and is shown" "$(requests)" '[["/delay/40000",true]]'
expect_match "for what it is" "$(weft conns)" '/delay/40000 .*, draining'
slow "$TMP/other" 3000
OTHER=$STARTED
wait_until 5 is upstream_rq_active 2
expect_eq "beside one that does not drain" "$(requests | jq -c sort)" '[["/delay/3000",null],["/delay/40000",true]]'
stop_process "$first"
expect_eq "one that does not answer hides no other one's" "$(requests)" '[["/delay/3000",null]]'
kill -CONT "$first"
wait "$OTHER"
kill -9 "$WEFTD"
wait "$WEFTD" || true
start $now
expect_eq "weftd is killed: the next one finds it" "$(weft status -o json | jq -c .proxy.draining)" "[$first]"
second=$(proxy_pid)
kill -9 "$second"
wait_until 5 answers
expect_eq "the one that serves is killed: what the other one has stays" "$(stat_echo upstream_rq_active)" 1
wait "$SLOW"
expect_eq "the request of the one that drains" "$(failures "$TMP/slow")" '[{},0,0,0]'
wait_until 5 drained

slow "$TMP/slow" 40000
SLOW=$STARTED
wait_until 5 is upstream_rq_active 1
first=$(proxy_pid)
upgrade
kill -9 "$first"
wait "$SLOW" || true
wait_until 5 drained
wait_until 5 is upstream_rq_active 0
answers || fail "nothing answers once the one that drained was killed"
wait_until 5 is upstream_cx_active 1 # the one that has just answered
say "ok: what it held is given back"

# ---- its time ----

slow "$TMP/slow" 40000
SLOW=$STARTED
wait_until 5 is upstream_rq_active 1
upgrade --drain-time 1
wait_until 5 drained
wait "$SLOW" || true
expect_eq "a request beyond it is cut" "$(jq -c '.requests - .answered' "$TMP/slow")" 1
answers || fail "nothing answers after that"

# ---- another number of workers ----

http_load_start client "$TMP/load" "$(vip 4 10)" 80 -d 600 -r 200 -c 6 --close -t 20000
LOAD=$STARTED
for workers in 3 1 2; do
	weftd_stop
	[ $now = a ] && now=b || now=a
	OUT=$TMP/$now
	weftd_start --workers $workers
	sleep 0.5
done
kill -TERM "$LOAD"
wait "$LOAD"
expect_eq "with other numbers of workers" "$(failures "$TMP/load")" '[{},0,0,0]'
OUT=$BUILT
wait_until 5 drained
expect_eq "nothing is left but what runs" "$(find "$TMP/run" -name 'proxy*' | wc -l)" 3
