#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod sends with the address of another pod, of an endpoint, of a client outside: it gets no connection to a Service that it would
# not get directly, it cannot touch those of others, and it is counted.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2
pod_add impostor 3
echo_start one 9000 one
for ns in client impostor world; do
	no_rst $ns
done
weftd_start
{
	rules_pods
	rules_service one 10
	rules_door 31400 one 9000
} | apply

spoofed() { stat_of weft.reason.spoofed; }

# ---- connections with an address that is another's: also the impostor has it, on lo ----

for family in 4 6; do
	for owner in client world; do
		# shellcheck disable=SC2046 # one word, or none
		ip -n "$(netns impostor)" address add "$(addr $family $owner)/$((family == 4 ? 32 : 128))" dev lo $([ $family = 4 ] || echo nodad)
	done
done
sleep 0.5 # were its addresses read anew, weft would have done so

# asked OWNER ADDRESS: how many of three were answered
asked() {
	count one "$(load impostor "$2" 9000 -n 3 -c 3 -s hello --source "$(addr $family "$1")" -t $((300 * SLOWER)))"
}

for way in $(ways); do
	callers "$way"
	for family in 4 6; do
		what="IPv$family, callers $WAY"
		for owner in client world; do
			before=$(spoofed)
			row "$what, with the address of $owner, directly" "$(asked $owner "$(addr $family one)")" 0
			row "$what, with the address of $owner, by the service" "$(asked $owner "$(vip $family 10)")" 0
			[ "$WAY" = inside ] ||
				row "$what, with the address of $owner: counted" $(($(spoofed) - before > 0)) 1
		done
		row "$what, the owner himself, by the service" "$(load client "$(vip $family 10)" 9000 -n 3 -s hello)" '{"one":3}'
		row "$what, with its own address" "$(load impostor "$(vip $family 10)" 9000 -n 3 -s hello)" '{"one":3}'
	done
done
for family in 4 6; do
	for owner in client world; do
		ip -n "$(netns impostor)" address del "$(addr $family $owner)/$((family == 4 ? 32 : 128))" dev lo
	done
done
callers inside

# ---- segments in another's name ----

syns() { in_ns one $tables -nvxL INPUT | awk '/dpt:9000/ { print $1 }'; }

for family in 4 6; do
	[ $family = 4 ] && tables=iptables || tables=ip6tables
	in_ns one $tables -w -A INPUT -p tcp --dport 9000 -s "$(addr $family client)" --syn
	before=$(spoofed)
	RAW_SOURCE=$(addr $family client) raw impostor "$(vip $family 10)" 4000 9000 syn syn sleep:100
	row "IPv$family, SYNs in the name of client: arrive" "$(syns)" 0
	row "IPv$family, SYNs in the name of client: counted" $(($(spoofed) - before > 0)) 1
done

# victim NAME FROM SPORT ADDRESS PORT: a connection by hand whose numbers an impostor happens to know
victim() {
	local file=$TMP/$1.$family
	(if raw "$2" "$4" "$3" "$5" iss:1000 syn synack ack data:10 answer:14 sleep:1500 norst data:10 answer:28 norst fin wantfin ack \
		>"$file.log" 2>&1; then
		echo fine
	else
		tail -1 "$file.log"
	fi >"$file") &
	victims+=($!)
}

# as OWNER FROM ADDRESS SPORT PORT STEP...
as() { RAW_SOURCE=$(addr $family "$1") raw "$2" "$3" "$4" "$5" "${@:6}"; }

answered() { [ "$(in_ns one ss -Htni state established | grep -c 'bytes_acked:14')" = "$1" ]; }

victims=()
for family in 4 6; do
	for n in 1 2 3; do
		victim $n client 500$n "$(vip $family 10)" 9000
	done
	victim 4 world 5004 "$(addr $family node)" 31400
done
wait_until 5 answered ${#victims[@]}
before=$(spoofed)
for family in 4 6; do
	as client impostor "$(vip $family 10)" 5001 9000 iss:1000 seq:10 rst
	as one impostor "$(addr $family client)" 9000 5002 iss:1000 rst
	as one world "$(addr $family client)" 9000 5003 iss:1000 rst
	as world impostor "$(addr $family node)" 5004 31400 iss:1000 seq:10 rst
done
wait "${victims[@]}"
for family in 4 6; do
	row "IPv$family, RST by a pod in the client's name" "$(<"$TMP/1.$family")" fine
	row "IPv$family, RST by a pod in the endpoint's name" "$(<"$TMP/2.$family")" fine
	row "IPv$family, RST from outside in the endpoint's name" "$(<"$TMP/3.$family")" fine
	row "IPv$family, RST by a pod in the name of a Gateway's caller" "$(<"$TMP/4.$family")" fine
done
row "counted" $(($(spoofed) - before >= 8)) 1
wait_until 30 no_conns
row "places afterwards" "$(cluster_stat '' upstream_cx_active one)" 0
rows_end
