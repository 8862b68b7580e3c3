#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who talks to whom by TCP is counted to the connection and to the byte, whichever way connections come: of those that are
# open, too, across restarts, and not of those that never came about.
. "${0%/*}/lib.sh"

# traffic SERVICE: "CALLER ENDPOINT OPENED CLOSED RECEIVED SENT" of each row of a service's port 9000, sorted
traffic() {
	(cd "$TMP/bpf/weft" && for map in clusters endpoints tcp_traffic; do bpftool -j map dump pinned $map && echo; done | grep .) |
		/usr/bin/python3 -c 'import ipaddress, json, sys
clusters, endpoints, traffic = ([row["formatted"] for row in json.loads(line)] for line in sys.stdin)
name = {row["key"]: row["value"]["name"] for row in clusters}
where = {row["key"]: row["value"]["name"] for row in endpoints}
for row in traffic:
    key, value = row["key"], row["value"]
    if name.get(key["cluster"]) != f"outbound|9000||{sys.argv[1]}.default.svc.cluster.local":
        continue
    caller = ipaddress.IPv6Address(bytes(b if isinstance(b, int) else int(b, 16) for b in key["caller"]["b"]))
    print(caller.ipv4_mapped or caller, where[key["endpoint"]], *(value[f] for f in ("opened", "closed", "received", "sent")))' "$1" | sort
}

# expect_traffic WHAT SERVICE ROW...: within a few seconds these are the rows
expect_traffic() {
	local rows got end=$((SECONDS + 8 * SLOWER))
	rows=$(printf '%s\n' "${@:3}" | sort)
	until got=$(traffic "$2") && { [ "$got" = "$rows" ] || ((SECONDS >= end)); }; do sleep 0.2; done
	expect_eq "$1" "$got" "$rows"
}

# at FAMILY POD: its endpoint
at() { hostport "$(addr "$1" "$2")" 9000; }

node_up
pod_add client 1
pod_add one 2
pod_add two 3
pod_add gone 4
echo_start one 9000 one
echo_start two 9000 two
weftd_start
{
	rules_pods
	rules_service one 10
	rules_service two 20 9000
	rules_service closed 30 9000:9001 app=one
	rules_service none 40 9000 app=nothing
	rules_gateway door 31400
	rules_ingress 11 31400:30514
	rules_routes "*" "- {match: [{port: 31400}], route: [{destination: {host: two, port: {number: 9000}}}]}" door
} | apply

# ---- short ones, from a pod, to the byte; its connect() is seen, or only its packets ----

# "hello" and its newline; "one hello" back
declare -A CALLS=() # calls of each caller and endpoint that have been made so far
called() { CALLS["$1 $2"]=$((${CALLS["$1 $2"]:-0} + $3)); }
rows_of_calls() {
	local who n
	for who in "${!CALLS[@]}"; do
		n=${CALLS[$who]}
		echo "$who $n $n $((6 * n)) $((10 * n))"
	done
}
for way in $(ways); do
	callers "$way"
	for family in 4 6; do
		expect_eq "IPv$family, callers $way" "$(load client "$(vip $family 10)" 9000 -n 20 -c 5 -s hello)" '{"one":20}'
		called "$(addr $family client)" "$(at $family one)" 20
		expect_eq "IPv$family, callers $way: refused by the endpoint" "$(load client "$(vip $family 30)" 9000 -n 3)" '{"ECONNREFUSED":3}'
		expect_eq "IPv$family, callers $way: refused by weft" "$(load client "$(vip $family 40)" 9000 -n 3)" '{"ECONNREFUSED":3}'
	done
	mapfile -t rows < <(rows_of_calls)
	expect_traffic "callers $way: opened, closed, received, sent" one "${rows[@]}"
done
expect_eq "what was refused was never open" "$(traffic closed)$(traffic none)" ""
callers inside

# ---- from outside ----

for family in 4 6; do
	expect_eq "IPv$family, from outside" "$(load world "$(addr $family node)" 31400 -n 20 -c 5 -s hello)" '{"two":20}'
done
expect_traffic "from outside: of no pod" two ":: $(at 4 two) 20 20 120 200" ":: $(at 6 two) 20 20 120 200"

# ---- open ones: what they have sent and received is seen while they stay open, and once ----

# holds WAY FAMILY POD BYTES: a connection that has sent so many, and a newline, and is kept
declare -A HELD=()
holds() {
	load_start "$3" "$TMP/held.$1$2$3" "$(vip "$2" 20)" 9000 --bytes "$4" -t 300000 -e hold --ready "$TMP/ready.$1$2$3"
	HELD[$1$2$3]=$STARTED
	wait_until 20 test -e "$TMP/ready.$1$2$3"
}
lets_go() {
	kill -TERM "${HELD[$1]}"
	wait "${HELD[$1]}" || true
	expect_eq "$1: nothing was lost" "$(<"$TMP/held.$1")" '{"two":1}'
}

DOOR=(":: $(at 4 two) 20 20 120 200" ":: $(at 6 two) 20 20 120 200")
for way in $(ways); do
	callers "$way"
	holds "$way" 4 client 1000000
	holds "$way" 6 client 2000000
done
callers inside
client4=$(addr 4 client) client6=$(addr 6 client)
n=$(ways | wc -w)
OPEN=("$client4 $(at 4 two) $n 0 $((n * 1000001)) $((n * 1000005))" "$client6 $(at 6 two) $n 0 $((n * 2000001)) $((n * 2000005))")
expect_traffic "open ones" two "${DOOR[@]}" "${OPEN[@]}"
sleep 5
expect_traffic "... are not counted again" two "${DOOR[@]}" "${OPEN[@]}"

# A slow one, which asks again and again: the counters move on with it.
load_start gone "$TMP/slow" "$(vip 4 10)" 9000 -s hello --every 100 -e hold --ready "$TMP/ready.slow"
slow=$STARTED
wait_until 5 test -e "$TMP/ready.slow"
slow_row() { traffic one | grep "^$(addr 4 gone) "; }
wait_until 8 slow_row
before=$(slow_row | cut -d' ' -f5)
sleep 5
expect_between "bytes of an open connection in 5 s" $(($(slow_row | cut -d' ' -f5) - before)) 60 6000
expect_eq "it is open" "$(slow_row | cut -d' ' -f3,4)" "1 0"

# ---- restarts change nothing ----

weftd_stop
weftd_start
weftd_kill9
weftd_start
expect_traffic "after restarts" two "${DOOR[@]}" "${OPEN[@]}"
for held in "${!HELD[@]}"; do
	lets_go "$held"
done
mapfile -t CLOSED < <(printf '%s\n' "${OPEN[@]}" | awk '{ $4 = $3; print }')
expect_traffic "they have ended" two "${DOOR[@]}" "${CLOSED[@]}"

# ---- a pod that goes with its connection open ----

kill -TERM "$slow"
wait "$slow" || true
wait_until 8 eval '[ "$(slow_row | cut -d" " -f3,4)" = "1 1" ]'
read -r _ _ _ _ received sent < <(slow_row)
expect_eq "as much came back as was sent, and a name" "$((sent * 6))" $((received * 10))
for family in 4 6; do
	holds inside $family gone 5000
done
gone_row() { traffic two | grep "^$(addr "$1" gone) "; }
pod_del gone
for family in 4 6; do
	wait_until 10 eval '[ "$(gone_row $family | cut -d" " -f3,4)" = "1 1" ]'
	expect_eq "IPv$family, a pod that has gone: its connection has ended" "$(gone_row $family | cut -d' ' -f3,4)" "1 1"
done

# What a map of an earlier weft lacks is made anew, in place.
weftd_stop
rm "$TMP/bpf/weft/tcp_traffic" "$TMP/bpf/weft/tcp_counted"
weftd_start
expect_eq "counted from 0 on" "$(load client "$(vip 4 10)" 9000 -n 5 -s hello)" '{"one":5}'
expect_traffic "... and no more" one "$client4 $(at 4 one) 5 5 30 50"
wait_until 30 no_conns
