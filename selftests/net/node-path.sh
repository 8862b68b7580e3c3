#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a node does to packets that it forwards, it does to those of a connection by a Service, too: it counts them, shapes
# them, checks where they come from, and sends them where its own rules say.
. "${0%/*}/ways.sh"

ways_up
weftd_start
ways_rules | apply

tables() { if [ "$1" = 4 ]; then echo iptables; else echo ip6tables; fi; }

# sees FAMILY: who is seen by one, far, db, the node, and at the doors
sees() {
	local pod caller
	pod=$(addr "$1" client)
	caller=$(addr "$1" caller)
	echo "one@$pod" "far@$pod" "db@$pod" "node@$pod" "one@$caller" "far@$(addr "$1" node)"
}

# ---- accounting: bytes of both directions, as a counter in FORWARD (in INPUT and OUTPUT for the node) sees them ----

# way_ends WAY FAMILY: the addresses between which its packets are forwarded
way_ends() {
	case $1 in
	here) echo "$(addr "$2" client) $(addr "$2" one)" ;;
	far) echo "$(addr "$2" client) $(addr "$2" far)" ;;
	out) echo "$(addr "$2" client) $(addr "$2" db)" ;;
	node) echo "$(addr "$2" client) $(addr "$2" node)" ;;
	door) echo "$(addr "$2" caller) $(addr "$2" one)" ;;
	door-far) echo "$(addr "$2" caller) $(addr "$2" far)" ;;
	esac
}

count_bytes() { # FAMILY
	local way from to
	in_ns node "$(tables "$1")" -w -t mangle -N bytes
	in_ns node "$(tables "$1")" -w -t mangle -I FORWARD -j bytes
	in_ns node "$(tables "$1")" -w -t mangle -I INPUT -j bytes
	in_ns node "$(tables "$1")" -w -t mangle -I OUTPUT -j bytes
	for way in $ALL_WAYS; do
		read -r from to < <(way_ends "$way" "$1")
		in_ns node "$(tables "$1")" -w -t mangle -A bytes -s "$from" -d "$to" -m comment --comment "$way-there"
		in_ns node "$(tables "$1")" -w -t mangle -A bytes -s "$to" -d "$from" -m comment --comment "$way-back"
	done
}

# counted FAMILY FROM TO: what has passed so far, by way and direction; at least FROM and at most TO bytes is "counted"
counted() {
	in_ns node "$(tables "$1")" -w -t mangle -nvxL bytes |
		awk -v least="$2" -v most="$3" '/\/\*/ { print $(NF - 1), ($2 >= least && $2 <= most ? "counted" : $2 " bytes") }'
	in_ns node "$(tables "$1")" -w -t mangle -Z bytes
}

accounting() {
	local family=$1 ways=$2 how way direction bytes
	for how in by direct; do
		HOW=$how ways_ask "$family" "$ways" --bytes 200000
		counted "$family" 200000 260000 >"$TMP/counted"
		for way in $ways; do
			[ "$how-$way" != direct-door-far ] || continue
			for direction in there back; do
				bytes=$(grep "^$way-$direction " "$TMP/counted")
				row "accounting, IPv$family, callers $WAY, $way, $how, $direction" "${bytes#* }" counted
			done
		done
	done
}

for family in 4 6; do
	count_bytes $family
	for way in $(ways); do
		callers "$way"
		accounting $family "$(ways_of "$ALL_WAYS")"
	done
done

# ---- shaping: 100 kB take 100 ms at the least where a qdisc of 8 Mbit/s is on the way ----

shaped() { # FAMILY DEVICE "WAY..."
	local way ways
	ways=$(ways_of "$3")
	in_ns node tc qdisc replace dev "$2" root tbf rate 8mbit burst 20kb latency 500ms
	ways_ask "$1" "$ways" --bytes 100000 --times
	for way in $ways; do
		for how in by direct; do
			[ "$how-$way" != direct-door-far ] || continue
			row "shaping of $2, IPv$1, callers $WAY, $way, $how" \
				"$(jq '.answer_us.max | if . > 60000 then "slow" else . end' "$TMP/$how-$way")" '"slow"'
		done
	done
	in_ns node tc qdisc del dev "$2" root
}

for family in 4 6; do
	for way in $(ways); do
		callers "$way"
		shaped $family veth2 "here door"
		shaped $family nic0 "far out door-far"
		shaped $family veth1 "node"
	done
done

# ---- checks of the source ----

rp_filter() {
	sysctl_in node net/ipv4/conf/all/rp_filter=1 net/ipv4/conf/nic0/rp_filter=1 net/ipv4/conf/veth1/rp_filter=1 \
		net/ipv4/conf/veth2/rp_filter=1
	in_ns node "$(tables "$1")" -w -t raw -A PREROUTING -m rpfilter --invert -j DROP
}

# ---- another way out for pods: an egress gateway by a tunnel that weft is not on ----

egress_up() {
	ip_in node <<-END
	link add nic1 type vxlan id 100 dev nic0 local 10.1.0.1 remote 10.1.0.2 dstport 8472
	address add 10.2.0.1/24 dev nic1
	address add fd00:2::1/64 dev nic1 nodad
	link set nic1 up
	END
	ip_in world <<-END
	link add eth1 type vxlan id 100 dev eth0 local 10.1.0.2 remote 10.1.0.1 dstport 8472
	address add 10.2.0.2/24 dev eth1
	address add fd00:2::2/64 dev eth1 nodad
	link set eth1 up
	END
	ip_in node <<-END
	route add default via 10.2.0.2 dev nic1 table 100
	route add ::/0 via fd00:2::2 dev nic1 table 100
	END
	ip_in world <<-END
	route add $(addr 4 client)/32 via 10.2.0.1
	route add $(addr 6 client)/128 via fd00:2::1
	END
}

policy_routing() {
	local net
	net=$(addr "$1" client)
	in_ns node ip "-$1" rule add from "$net" to "$(addr "$1" db)" lookup 100
	in_ns node ip "-$1" rule add from "$net" to "$(addr "$1" far)" lookup 100
	in_ns world "$(tables "$1")" -w -A FORWARD -s "$net" -i eth0 -j DROP
}

# try HOOK
try() {
	local ways
	for family in 4 6; do
		"$1" $family
		for way in $(ways); do
			callers "$way"
			ways=$(ways_of "$ALL_WAYS")
			ways_ask $family "$ways" -n 2 --bytes 200000 -t $((1000 * SLOWER))
			# shellcheck disable=SC2046 # words are meant
			rows_of "$1" $family "$ways" $(sees $family)
		done
	done
}

try rp_filter
for family in 4 6; do
	in_ns node "$(tables $family)" -w -t raw -F PREROUTING
done
sysctl_in node net/ipv4/conf/all/rp_filter=0
for dev in nic0 veth1 veth2; do
	sysctl_in node net/ipv4/conf/$dev/rp_filter=2
done
egress_up
try policy_routing
callers inside
wait_until 30 no_conns
rows_end
