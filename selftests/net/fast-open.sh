#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Handshakes that are not three bare packets: data in the SYN (taken or not), a SYN+ACK sent again, both sides sending a SYN.
# Such a connection is one like any other: connectTimeout doesn't end it, and nothing is counted as failed.
. "${0%/*}/lib.sh"

SHORT=0.5
[ "$SLOWER" = 1 ] || SHORT=1.2

node_up
pod_add client 1
pod_add one 2
pod_add bare 3
pod_add hand 4
for pod in client one; do
	sysctl_in $pod net/ipv4/tcp_fastopen=1543 # no cookies; all listening sockets take data in a SYN
done
echo_start one 9000 one
echo_start bare 9000 bare
weftd_start
{
	rules_pods
	number=10
	for pod in one bare hand; do
		rules_service $pod $number
		number=$((number + 1))
	done
	# Less than connections are kept here. On an emulated machine handshakes alone take half a second.
	rules_subsets one "" "connectionPool: {tcp: {connectTimeout: ${SHORT}s}}"
	rules_subsets hand "" "connectionPool: {tcp: {connectTimeout: ${SHORT}s}}"
	# A SYN+ACK comes again after a second.
	rules_subsets bare "" "connectionPool: {tcp: {connectTimeout: $((2 * SLOWER))s}}"
} | apply

taken() {
	in_ns one awk '$1 == "TcpExt:" && !n { n = split($0, name); next }
		$1 == "TcpExt:" { for (i = 2; i <= n; i++) if (name[i] == "TCPFastOpenPassive") print $i; exit }' /proc/net/netstat
}

# in_back FILE COMMAND...: whether it ends well is in FILE then
in_back() {
	local file=$TMP/$1
	shift
	(if "$@" >"$file.log" 2>&1; then echo fine; else tail -1 "$file.log"; fi >"$file") &
	back+=($!)
}

# load_back FILE tcp-load's arguments...
load_back() {
	load_start client "$TMP/$1" "${@:2}"
	back+=("$STARTED")
}

# The program that answers by hand must run before the client sends.
no_rst client
no_rst hand
raw_sockets() { [ "$(in_ns hand cat /proc/net/raw /proc/net/raw6 | grep -c ' 07 ')" = "$1" ]; }

# by_hand NAME PORT: waits for the SYN of both_syn. The client's FIN is answered later than connectTimeout would allow.
by_hand() {
	in_back "$1.hand" raw hand "$(addr $family client)" 9000 "$2" iss:1000 synack syn wantack ack \
		sleep:4500 norst wantfin ack fin wantack
}

# handshakes NAME PORT ONE BARE HAND: all at once, each kept for longer than connectTimeout
handshakes() {
	load_back "$1.fast-open" "$3" 9000 -s hello --fastopen -e hold -k 1700 --every 200
	# Data in the SYN that the endpoint takes, and data that it doesn't take and that is sent again
	in_back "$1.taken" raw client "$3" "$2" 9000 syndata:100 synack ack answer:104 \
		sleep:1500 data:10 answer:118 norst fin wantfin ack
	in_back "$1.not-taken" raw client "$4" $(($2 + 1)) 9000 syndata:100 synack seq:-100 data:100 answer:105 \
		sleep:1500 data:10 answer:120 norst fin wantfin ack
	in_back "$1.synack-again" raw client "$4" $(($2 + 2)) 9000 syn sleep:1100 synack ack data:100 answer:105 \
		sleep:1500 norst fin wantfin ack
	load_back "$1.both-syn" "$5" 9000 --source-port $(($2 + 3)) -k 1600 -t 2000
}

port=5000
for way in $(ways); do
	callers "$way"
	back=()
	before=$(taken)
	for family in 4 6; do
		by_hand direct.$family $((port + 3))
		by_hand service.$family $((port + 103))
	done
	wait_until 10 raw_sockets 4
	for family in 4 6; do
		handshakes direct.$family $port "$(addr $family one)" "$(addr $family bare)" "$(addr $family hand)"
		handshakes service.$family $((port + 100)) "$(vip $family 10)" "$(vip $family 11)" "$(vip $family 12)"
	done
	wait "${back[@]}"
	port=$((port + 10))
	for how in direct.4 direct.6 service.4 service.6; do
		what="callers $WAY, $how"
		row "$what: data in the SYN" "$(<"$TMP/$how.fast-open")" '{"one":1}'
		row "$what: data in a SYN made by hand" "$(<"$TMP/$how.taken")" fine
		row "$what: data that is not taken" "$(<"$TMP/$how.not-taken")" fine
		row "$what: SYN+ACK sent again" "$(<"$TMP/$how.synack-again")" fine
		row "$what: SYN answered with a SYN" "$(<"$TMP/$how.both-syn"), $(<"$TMP/$how.hand")" '{"connected":1}, fine'
	done
	row "callers $WAY: SYNs with data that was taken" $(($(taken) - before)) 8
done
for pod in one bare hand; do
	row "$pod: counted as failed" "$(cluster_stat '' upstream_cx_connect_fail $pod)" 0
	wait_until 10 no_conns
	row "$pod: places afterwards" "$(cluster_stat '' upstream_cx_active $pod)" 0
done
rows_end
