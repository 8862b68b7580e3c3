#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whichever way a program connects, it comes to the right endpoint, is told the address that it has called, is refused where it
# has to be, and takes one place until it has closed. Callers are where weft sees their connect(), and where it does not.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2
pod_add two 3
# Data in the SYN without cookies, on both sides, for all who listen.
for pod in client one two; do
	sysctl_in $pod net/ipv4/tcp_fastopen=1543
done
echo_start one 9000 one
echo_start two 9000 two
weftd_start

# An address that neither the client nor the node can reach; nobody will ever answer at `mute`.
ip_in node <<END
route add unreachable 10.248.0.9/32
route add unreachable fd00:248::9/128
END
ip_in client <<END
route add unreachable 10.248.0.9/32
route add unreachable fd00:248::9/128
END
pod_add mute 4
for family in 4 6; do
	ip -n "$(netns mute)" route add blackhole "$(addr $family client)"
done

{
	rules_pods
	rules_service echo 10 9000 app=one
	rules_service alias 11 9000 app=one
	rules_service two 12
	rules_service nobody 13
	rules_service closed 14 9000:9999 app=one
	rules_elsewhere nowhere 15 9000 10.248.0.9 fd00:248::9
	rules_service mute 16
	rules_service full 17 9000 app=one
	rules_subsets full "" "connectionPool: {tcp: {maxConnections: 1}}"
} | apply

SERVICES="echo alias two nobody closed nowhere mute full"

# open: how many connections of each service are counted now: "echo:1 two:1"; nothing for those that have none
open() {
	local name n all=
	weft stats upstream_cx_active >"$TMP/active"
	for name in $SERVICES; do
		n=$(awk -v start="cluster.outbound|9000||$name." 'index($1, start) == 1 { print $2 }' "$TMP/active")
		[ "${n:-0}" = 0 ] || all+="${all:+ }$name:$n"
	done
	echo "$all"
}

open_is() { [ "$(open)" = "$1" ]; }

# start_kind FROM KIND ARGUMENT...: what it says is in $SAID; it stays until `let_go`
start_kind() {
	mkfifo "$TMP/go"
	: >"$TMP/said"
	exec 7<>"$TMP/go"
	(in_ns_exec "$1" "$APPS/connect-kinds" "${@:2}" <"$TMP/go" >"$TMP/said" 7>&-) &
	STARTED=$!
	JOBS_+=("$STARTED")
	rm "$TMP/go"
	wait_until 15 grep -q . "$TMP/said"
	SAID=$(<"$TMP/said")
}

let_go() {
	exec 7>&-
	wait "$STARTED" 2>/dev/null || true
}

# try WORD OPEN KIND ARGUMENT...: says WORD, and meanwhile OPEN is what is counted ('-': it may be or not)
try() {
	local word=$1 open=$2
	shift 2
	start_kind "${FROM:-client}" "$@"
	[ "$SAID" != skip ] || say "skipped: $what: $1 is not to be had here"
	[ "$SAID" = skip ] || row "$what: $*" "$SAID" "$word"
	[ "$open" = - ] || [ "$SAID" = skip ] || counted "$what: $*: open" "$open"
	let_go
	counted "$what: $*: open afterwards" ""
}

# counted WHAT OPEN: within some seconds
counted() {
	local end=$((SECONDS + 4 * SLOWER))
	until open_is "$2" || ((SECONDS > end)); do sleep 0.05; done
	row "$1" "$(open)" "$2"
}

# A container's own network inside of a pod: what leaves it carries the pod's address.
nested_up() {
	ns_add nested
	sysctl_in client net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1
	ip_in client <<-END
	link add inner type veth peer name eth0 netns $(netns nested)
	address add 192.168.9.1/24 dev inner
	address add fd00:9::1/64 dev inner nodad
	link set inner up
	END
	ip_in nested <<-END
	link set lo up
	link set eth0 up
	address add 192.168.9.2/24 dev eth0
	address add fd00:9::2/64 dev eth0 nodad
	route add default via 192.168.9.1
	route add ::/0 via fd00:9::1
	END
	in_ns client iptables -w -t nat -A POSTROUTING -s 192.168.9.0/24 -j MASQUERADE
	in_ns client ip6tables -w -t nat -A POSTROUTING -s fd00:9::/64 -j MASQUERADE
}

# data_in_syns POD: how many SYNs had data that was taken
data_in_syns() {
	in_ns "$1" awk '$1 == "TcpExt:" && !n { for (i in a) delete a[i]; n = split($0, a); next }
		$1 == "TcpExt:" { for (i = 2; i <= n; i++) if (a[i] == "TCPFastOpenPassive") print $i; exit }' /proc/net/netstat
}

port=5000
matrix() {
	local to alias kind before
	to=$(vip $family 10)
	alias=$(vip $family 11)
	for kind in plain nonblocking uring mptcp fork pass; do
		try one echo:1 $kind "$to" 9000
	done
	for kind in plain nonblocking uring mptcp; do
		try ECONNREFUSED "" $kind "$(vip $family 13)" 9000
	done
	try ECONNREFUSED "" plain "$(vip $family 14)" 9000
	try unreachable "" plain "$(vip $family 15)" 9000
	if [ $family = 4 ]; then
		try one echo:1 mapped "$to" 9000
		try ECONNREFUSED "" mapped "$(vip $family 13)" 9000
	fi

	before=$(data_in_syns one)
	try one echo:1 fastopen "$to" 9000
	try one echo:1 fastopen-connect "$to" 9000
	row "$what: data in SYNs" $(($(data_in_syns one) - before)) 2
	try ECONNREFUSED "" fastopen "$(vip $family 13)" 9000
	try connected - fastopen-unsent "$to" 9000

	try ECONNREFUSED,one echo:1 again "$to" 9000 "$(vip $family 13)" 9000
	try ECONNREFUSED,one echo:1 again "$to" 9000 "$(vip $family 14)" 9000
	try unreachable,one echo:1 again "$to" 9000 "$(vip $family 15)" 9000
	try EALREADY mute:1 twice "$(vip $family 16)" 9000
	try one,two two:1 unspec "$to" 9000 "$(vip $family 12)" 9000
	try sent echo:1 pass-lost "$to" 9000

	# Two services, one endpoint, one port.
	port=$((port + 1))
	load_start client "$TMP/bound" "$to" 9000 -s hello -e hold --every 100 --source-port $port --ready "$TMP/ready"
	held=$STARTED
	wait_until 10 test -e "$TMP/ready"
	rm "$TMP/ready"
	start_kind client bound "$alias" 9000 $port
	row "$what: bound to a port that leads to the endpoint already" "$SAID" one
	counted "$what: bound: open" "echo:1 alias:1"
	let_go
	kill -TERM "$held"
	wait "$held"
	row "$what: bound first" "$(<"$TMP/bound")" '{"one":1}'
	counted "$what: bound: open afterwards" ""

	# The only place is taken, and free again when a process that has it is killed.
	start_kind client plain "$(vip $family 17)" 9000
	row "$what: the only place" "$(load client "$(vip $family 17)" 9000 -s hello),$(open)" '{"ECONNREFUSED":1},full:1'
	kill -9 "$STARTED"
	let_go
	counted "$what: killed: open afterwards" ""
	try one full:1 plain "$(vip $family 17)" 9000

	FROM=nested try one echo:1 plain "$to" 9000
	FROM=nested try ECONNREFUSED "" plain "$(vip $family 13)" 9000
}

nested_up
for way in $(ways); do
	callers "$way"
	for family in 4 6; do
		what="IPv$family, callers $WAY"
		matrix
	done
done
callers inside
wait_until 30 no_conns
rows_end
