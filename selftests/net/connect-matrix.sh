#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whichever way a program connects, it comes to the right endpoint, is told the address that it has called, is refused where it
# has to be, and takes one place until it has closed. Callers are where weft sees their connect(), and where it does not.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2
pod_add two 3
pod_add mute 4
# Data in the SYN without cookies, on both sides, for all listening sockets.
for pod in client one two; do
	sysctl_in $pod net/ipv4/tcp_fastopen=1543
done
echo_start one 9000 one
echo_start two 9000 two

# An address that neither the client nor the node can reach; `mute` never answers the client.
for ns in client node; do
	ip_in $ns <<-END
	route add unreachable 10.248.0.9/32
	route add unreachable fd00:248::9/128
	END
done
for family in 4 6; do
	ip -n "$(netns mute)" route add blackhole "$(addr $family client)"
done

# A container's own network inside of a pod: what leaves it carries the pod's address.
ns_add nested
sysctl_in client net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1
ip_in client <<END
link add inner type veth peer name eth0 netns $(netns nested)
address add 192.168.9.1/24 dev inner
address add fd00:9::1/64 dev inner nodad
link set inner up
END
ip_in nested <<END
link set lo up
link set eth0 up
address add 192.168.9.2/24 dev eth0
address add fd00:9::2/64 dev eth0 nodad
route add default via 192.168.9.1
route add ::/0 via fd00:9::1
END
in_ns client iptables -w -t nat -A POSTROUTING -s 192.168.9.0/24 -j MASQUERADE
in_ns client ip6tables -w -t nat -A POSTROUTING -s fd00:9::/64 -j MASQUERADE

# Where a kind goes to: a service of its own, so that its connections can be told from those of the others.
KINDS=40
weftd_start
{
	rules_pods
	rules_service two 10
	rules_service nobody 11
	rules_service closed 12 9000:9999 app=one
	rules_elsewhere nowhere 13 9000 10.248.0.9 fd00:248::9
	rules_service mute 14
	rules_subsets mute "" "connectionPool: {tcp: {connectTimeout: 1s}}"
	rules_service full 15 9000 app=one
	rules_subsets full "" "connectionPool: {tcp: {maxConnections: 1}}"
	for ((n = 0; n < KINDS; n++)); do
		rules_service own$n $((20 + n)) 9000 app=one
	done
} | apply

declare -A OPEN # connections that are counted now, by service

look() {
	local name n stats
	stats=$(weft stats upstream_cx_active) || fail "weft stats does not answer"
	[[ $stats = *"||own0."* ]] || fail "weft stats leaves services out: '$stats'"
	for name in "${!OPEN[@]}"; do OPEN[$name]=0; done
	while read -r name n; do
		name=${name#*||}
		OPEN[${name%%.*}]=$n
	done <<<"$stats"
}

none_open() {
	local name
	look
	for name in "${!OPEN[@]}"; do
		[ "${OPEN[$name]}" = 0 ] || return 1
	done
}

# Programs that have connected stay until a fifo is closed, all at once.
declare -a WORDS PLACES WHAT PIDS

begin() {
	WORDS=() PLACES=() WHAT=() PIDS=()
	mkfifo "$TMP/go"
	exec 7<>"$TMP/go"
}

# kind WORD PLACES KIND ARGUMENT...: says WORD, and holds PLACES of its own service meanwhile ('-': whatever)
kind() {
	local n=${#WORDS[@]}
	WORDS+=("$1")
	PLACES+=("$2")
	WHAT+=("$what: ${FROM:+from $FROM }${*:3}")
	(in_ns_exec "${FROM:-client}" "$APPS/connect-kinds" "${@:3}" <"$TMP/go" >"$TMP/said.$n" 7>&-) &
	PIDS+=($!)
}

# own: the service of the next kind
own() { vip $family $((20 + ${#WORDS[@]})); }

has_said() { [ -s "$TMP/said.$1" ]; }

held() {
	local n
	for n in "${!WORDS[@]}"; do wait_until 15 has_said "$n"; done
	rm "$TMP/go"
	look
	for n in "${!WORDS[@]}"; do
		said=$(<"$TMP/said.$n")
		if [ "$said" = skip ]; then
			say "skipped: ${WHAT[n]}: not to be had here"
			continue
		fi
		row "${WHAT[n]}" "$said" "${WORDS[n]}"
		[ "${PLACES[n]}" = - ] || row "${WHAT[n]}: places" "${OPEN[own$n]:-0}" "${PLACES[n]}"
	done
}

# let_go: after it nothing is open
let_go() {
	local name end=$((SECONDS + 7 * SLOWER))
	exec 7>&-
	wait "${PIDS[@]}" 2>/dev/null || true
	until none_open || ((SECONDS > end)); do sleep 0.05; done
	for name in "${!OPEN[@]}"; do
		case $name in
		own*) [ -z "${WHAT[${name#own}]:-}" ] || row "${WHAT[${name#own}]}: places afterwards" "${OPEN[$name]}" 0 ;;
		*) row "$what: $name: places afterwards" "${OPEN[$name]}" 0 ;;
		esac
	done
	rm -f "$TMP"/said.*
}

# data_in_syns POD: how many SYNs had data that was taken
data_in_syns() {
	in_ns "$1" awk '$1 == "TcpExt:" && !n { n = split($0, name); next }
		$1 == "TcpExt:" { for (i = 2; i <= n; i++) if (name[i] == "TCPFastOpenPassive") print $i; exit }' /proc/net/netstat
}

# connects PORT: every kind, at once
connects() {
	local kind port=$1
	for kind in plain nonblocking uring mptcp fork pass fastopen fastopen-connect; do
		kind one 1 $kind "$(own)" 9000
	done
	kind sent 1 pass-lost "$(own)" 9000
	kind connected - fastopen-unsent "$(own)" 9000
	for kind in plain nonblocking uring mptcp fastopen; do
		kind ECONNREFUSED 0 $kind "$(vip $family 11)" 9000
	done
	kind ECONNREFUSED 0 plain "$(vip $family 12)" 9000
	kind unreachable 0 plain "$(vip $family 13)" 9000
	if [ $family = 4 ]; then
		kind one 1 mapped "$(own)" 9000
		kind ECONNREFUSED 0 mapped "$(vip $family 11)" 9000
	fi
	kind ECONNREFUSED,one 1 again "$(own)" 9000 "$(vip $family 11)" 9000
	kind ECONNREFUSED,one 1 again "$(own)" 9000 "$(vip $family 12)" 9000
	kind unreachable,one 1 again "$(own)" 9000 "$(vip $family 13)" 9000
	kind two,one 1 unspec "$(vip $family 10)" 9000 "$(own)" 9000
	# Two services, one endpoint, one port.
	kind one 1 bound "$(own)" 9000 "$port"
	kind one 1 bound "$(own)" 9000 "$port"
	FROM=nested kind one 1 plain "$(own)" 9000
	FROM=nested kind ECONNREFUSED 0 plain "$(vip $family 11)" 9000
}

port=5000
for way in $(ways); do
	callers "$way"
	for family in 4 6; do
		what="IPv$family, callers $WAY"
		port=$((port + 1))
		before=$(data_in_syns one)
		begin
		connects $port
		held
		row "$what: data in SYNs" $(($(data_in_syns one) - before)) 2
		row "$what: left by AF_UNSPEC: places" "${OPEN[two]:-0}" 0
		let_go
	done

	# The only place is taken, and free again when the process that has it is killed; a connect() under way has one, too.
	what="callers $WAY"
	begin
	kind one - plain "$(vip 4 15)" 9000
	kind EALREADY - twice "$(vip 4 14)" 9000
	kind EALREADY - twice "$(vip 6 14)" 9000
	held
	row "$what: under way: places" "${OPEN[mute]:-0}" 2
	for family in 4 6; do
		row "IPv$family, $what: the only place is taken" "$(load client "$(vip $family 15)" 9000 -s hello)" '{"ECONNREFUSED":1}'
	done
	row "$what: the only place" "${OPEN[full]:-0}" 1
	kill -9 "${PIDS[0]}"
	let_go
	for family in 4 6; do
		row "IPv$family, $what: and free again" "$(load client "$(vip $family 15)" 9000 -s hello)" '{"one":1}'
	done
done
callers inside
wait_until 30 no_conns
rows_end
