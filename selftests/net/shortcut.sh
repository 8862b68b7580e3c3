#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Packets of a connection between two pods of the node skip the node's stack: always, never, or while nothing there would treat
# them otherwise. Point-to-point pods and pods of a bridge, IPv4 and IPv6.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo
bridge_up
pod_add bridged 11
pod_add behind 12 app=behind
onto_bridge bridged
onto_bridge behind
echo_start one 9000 one
echo_start behind 9000 behind

# begin MODE: a weftd of its own for it
begin() {
	[ -z "$WEFTD" ] || weftd_stop
	weftd_start --shortcut "$1"
	{
		rules_pods
		rules_service echo 10
		rules_service behind 11
	} | apply
	wait_until 5 pods_known
}
pods_known() { ! weft status | grep -q "is not found"; }
status() { weft status | sed -n 's/^short cut *//p'; }
in_use() { [ "$(status)" = "auto: in use" ]; }

# talk NAME FROM ADDRESS: a connection that says something every 20 ms, from now on, and what it got in $TMP/NAME
talk() {
	rm -f "$TMP/ready"
	load_start "$2" "$TMP/$1" "$3" 9000 -n 1 --bytes 1000 -k 600000 --every 20 -e hold --ready "$TMP/ready"
	TALKS+=("$STARTED")
	wait_until 5 test -e "$TMP/ready"
}
TALKS=()
# hush: ends them; each has got nothing but whole answers, or tcp-load says otherwise
hush() {
	local talk
	for talk in "${TALKS[@]}"; do
		kill -0 "$talk" || fail "a connection has ended by itself"
		kill -TERM "$talk"
		wait "$talk" 2>/dev/null || true
	done
	TALKS=()
}

# traffic POD...: packets that the node has sent into the pods, and TCP segments that have come there, however they did
traffic() {
	local pod
	for pod; do
		in_ns node cat /proc/net/dev | awk -v name="veth${NUMBER[$pod]}:" '$1 == name { print $11, 0 }'
		in_ns "$pod" cat /proc/net/snmp | awk '$1 == "Tcp:" { n = $11 } END { print 0, n }'
	done | awk '{ sent += $1; segments += $2 } END { print sent, segments }'
}

# by_node POD...: percent of the segments of half a second that the node has sent
by_node() {
	local before
	before=$(traffic "$@")
	sleep 0.5
	{ echo "$before"; traffic "$@"; } | awk 'NR == 1 { sent = $1; segments = $2 }
		END { printf "%d\n", ($2 - segments > 10 ? 100 * ($1 - sent) / ($2 - segments) : -1) }'
}
skips() { local percent; percent=$(by_node "$@"); [[ $percent =~ ^[0-9]+$ ]] && ((percent < 20)); }
goes() { local percent; percent=$(by_node "$@"); ((percent > 70)); }

# whole FAMILY SERVICE FROM WANT: large transfers
whole() {
	expect_eq "IPv$1: large lines, $3" "$(load "$3" "$(vip "$1" "$2")" 9000 -n 3 --bytes 2000000)" "{\"$4\":3}"
}

# forwarded FAMILY: what the counting rules of FORWARD have seen
forwarded() {
	local tables=iptables
	[ "$1" = 4 ] || tables=ip6tables
	in_ns node $tables -L FORWARD -v -x -n | awk 'NR > 2 { n += $1 } END { print n + 0 }'
}
count_forward() {
	local tables=iptables
	[ "$1" = 4 ] || tables=ip6tables
	in_ns node $tables -A FORWARD -p tcp
}
counted() { (($(forwarded "$1") > 20)); }

# ---- auto, on a node where nothing else has a say ----

begin auto
wait_until 5 in_use
for family in 4 6; do
	talk open$family client "$(vip $family 10)"
done
expect_eq "short cuts" "$(map_dump shortcuts | jq length)" 4
wait_until 3 skips client one
say "ok: packets skip the node"
expect_eq "of others" "$(load client "$(addr 4 one)" 9000 -n 10 -s hello)" '{"one":10}'
for family in 4 6; do
	whole $family 10 client one
	whole $family 11 bridged behind
	talk bridged$family bridged "$(vip $family 11)"
done
wait_until 3 skips client one bridged behind
say "ok: packets skip the node and its bridge"
expect_eq "short cuts of what is open" "$(map_dump shortcuts | jq length)" 8

# What has no pod's veth as its way takes none.
expect_eq "to itself" "$(load one "$(vip 4 10)" 9000 -n 10 -s hello)" '{"one":10}'
expect_eq "short cuts, still" "$(map_dump shortcuts | jq length)" 8

# A queueing discipline on the endpoint's veth, while connections are open.
shaped() { (($(in_ns node tc -j -s qdisc show dev veth2 | jq '.[] | select(.kind == "tbf").packets') > 20)); }
in_ns node tc qdisc add dev veth2 root tbf rate 100mbit burst 100kb latency 50ms
wait_until 3 shaped
say "ok: a queueing discipline has its packets within 3 s"
wait_until 3 goes client one
expect_match "status tells" "$(status)" '^auto: in use, but not for 1 of 4 pods \(veth2: queueing discipline tbf\)$'
wait_until 3 skips bridged behind
in_ns node tc qdisc del dev veth2 root
wait_until 3 skips client one
say "ok: and they skip the node again"

# A program of others.
in_ns node tc qdisc add dev veth12 clsact 2>/dev/null || true # it is there where weft itself needs it
in_ns node tc filter add dev veth12 egress bpf direct-action pinned "$TMP/bpf/weft/prog/from_bridge"
wait_until 3 goes behind bridged
expect_match "status tells" "$(status)" 'veth12: tc programs or filters of others'
in_ns node tc filter del dev veth12 egress
wait_until 3 skips behind bridged
in_ns node tc qdisc add dev br0 root pfifo
wait_until 3 goes behind bridged
in_ns node tc qdisc del dev br0 root
wait_until 3 skips behind bridged
say "ok: tc of others on a veth or a bridge has its packets within 3 s"

# Without a weftd such changes would go unnoticed.
weftd_kill9
wait_until 5 goes client one
wait_until 5 goes bridged behind
say "ok: no short cuts without weftd"
weftd_start --shortcut auto
wait_until 5 skips client one bridged behind
say "ok: they are back with it"

# netfilter
for family in 4 6; do
	count_forward $family
	wait_until 3 counted $family
done
say "ok: rules of FORWARD count within 3 s"
wait_until 3 goes client one
wait_until 3 goes bridged behind
expect_match "status tells" "$(status)" '^auto: not used: netfilter hooks on the forward path \(nft_do_chain|ip'
hush

# ---- always and never ----

for mode in always never; do
	begin "$mode"
	expect_eq "status" "$(status)" "$mode"
	for family in 4 6; do
		before=$(forwarded $family)
		# 100 packets and more each way, the handshake and the end by the node
		expect_eq "IPv$family, $mode" "$(load client "$(vip $family 10)" 9000 -n 1 -s hello -k $((1000 * SLOWER)) --every 10)" '{"one":1}'
		packets=$(($(forwarded $family) - before))
		if [ $mode = always ]; then
			expect_between "IPv$family: packets that FORWARD has seen" "$packets" 2 8
		else
			expect_between "IPv$family: packets that FORWARD has seen" "$packets" 40 1000
		fi
		whole $family 10 client one
		whole $family 11 bridged behind
		talk bridged$family bridged "$(vip $family 11)"
		if [ $mode = always ]; then
			wait_until 3 skips bridged behind
		else
			wait_until 3 goes bridged behind
		fi
		hush
	done
done
expect_eq "short cuts of what is closed" "$(map_dump shortcuts | jq length)" 0
