#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod puts another pod's address on its interface: the Service's connections still reach the endpoint whose address it is, and
# rules don't take the one pod for the other. So it is where the node has a route to every pod, and on a bridge.
. "${0%/*}/lib.sh"

node_up
bridge_up
number=0
for kind in routed bridged; do
	for name in taker owner caller pretender; do
		number=$((number + 1))
		pod_add $kind-$name $number
		[ $kind = routed ] || onto_bridge $kind-$name
	done
	echo_start $kind-taker 9000 taker
	echo_start $kind-owner 9000 owner
done
weftd_start
{
	rules_pods
	rules_service routed 10 9000 app=routed-owner
	rules_service bridged 11 9000 app=bridged-owner
	rules_service guarded 12 9000 app=routed-owner
	rules_service closed 13 9000 app=nobody
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: guarded}
	spec:
	  hosts: [guarded]
	  tcp:
	  - match: [{sourceLabels: {app: routed-caller}}, {sourceLabels: {app: bridged-caller}}]
	    route: [{destination: {host: guarded}}]
	  - route: [{destination: {host: closed}}]
	END
} | apply

# address WHAT POD ADDRESS DEVICE: adds it or deletes it, alone in its subnet
address() {
	case $3 in
	*:*) in_ns "$2" ip address "$1" "$3/128" dev "$4" nodad ;;
	*) in_ns "$2" ip address "$1" "$3/32" dev "$4" ;;
	esac
}

# key ADDRESS: its bytes, as pod_addrs has them
key() {
	local last zero="00 00 00 00 00 00 00 00 00 00"
	case $1 in
	*:*)
		last=$(printf '%04x' $((16#${1##*:})))
		echo "fd 00 02 44 $zero ${last:0:2} ${last:2}"
		;;
	*) printf '%s ff ff %02x %02x %02x %02x\n' "$zero" ${1//./ } ;;
	esac
}

index() { in_ns node ip -o link show "veth${NUMBER[$1]}" | cut -d : -f 1; }

# has POD ADDRESS: whether it is the pod's
has() {
	local owner
	# shellcheck disable=SC2046 # words are meant
	owner=$(bpftool -j map lookup pinned "$TMP/bpf/weft/pod_addrs" key hex $(key "$2")) &&
		[ "$(jq .formatted.value <<<"$owner")" = "$(index "$1")" ]
}

# When an address added later is known to weftd, it has seen the ones before.
seen() { # POD FAMILY
	local last
	if [ "$2" = 4 ]; then last=10.244.0.20${NUMBER[$1]}; else last=fd00:244::20${NUMBER[$1]}; fi
	in_ns node ip route add "$last" dev "veth${NUMBER[$1]}"
	address add "$1" "$last" eth0
	wait_until 5 has "$1" "$last"
	address del "$1" "$last" eth0
	in_ns node ip route del "$last" dev "veth${NUMBER[$1]}"
}

# On a bridge a pod's own kernel finds the endpoint by ARP and neighbour discovery, which the taker answers as well, with weft or
# without: there, what weft answers for is what it steers by packets.
calls() {
	local by=
	[ "${1%%-*}" = routed ] || by=outside
	$by load "$1" "$(vip "$2" "$3")" 9000 -n 20 -s hello
}

for family in 4 6; do
	vip=10
	for kind in routed bridged; do
		a=$(addr $family $kind-owner)
		for device in eth0 lo; do
			address add $kind-taker "$a" $device
			seen $kind-taker $family
			expect_eq "IPv$family, $kind: taken on $device" "$(calls $kind-caller $family $vip)" '{"owner":20}'
			has $kind-owner "$a" || fail "the owner has lost its address"
			address del $kind-taker "$a" $device
		done
		vip=$((vip + 1))
	done
done

# weftd starts while it is so.
for kind in routed bridged; do
	address add $kind-taker "$(addr 4 $kind-owner)" eth0
	address add $kind-taker "$(addr 6 $kind-owner)" eth0
done
seen routed-taker 4
seen bridged-taker 4
weftd_stop
weftd_start
for family in 4 6; do
	expect_eq "IPv$family, routed: after a restart" "$(calls routed-caller $family 10)" '{"owner":20}'
	expect_eq "IPv$family, bridged: after a restart" "$(calls bridged-caller $family 11)" '{"owner":20}'
done

# A route that comes back leaves the connections as they are.
for family in 4 6; do
	a=$(addr $family routed-owner)
	load_start routed-caller "$TMP/held" "$(vip $family 10)" 9000 -n 10 -c 10 -s hello -e hold --every 200 --ready "$TMP/ready"
	wait_until 10 test -e "$TMP/ready"
	rm "$TMP/ready"
	in_ns node ip route del "$a" dev "veth${NUMBER[routed-owner]}"
	has_not() { ! has routed-owner "$a"; }
	wait_until 5 has_not
	sleep 0.5
	in_ns node ip route add "$a" dev "veth${NUMBER[routed-owner]}"
	wait_until 5 has routed-owner "$a"
	sleep 1
	kill -TERM "$STARTED"
	wait "$STARTED"
	expect_eq "IPv$family, routed: open connections while the route is away" "$(<"$TMP/held")" '{"owner":10}'
done

# The node says otherwise, or the owner gives it up: now it is the other's.
for family in 4 6; do
	a=$(addr $family routed-owner)
	in_ns node ip route replace "$a" dev "veth${NUMBER[routed-taker]}"
	wait_until 5 has routed-taker "$a"
	expect_eq "IPv$family, routed: the route leads to the other" "$(calls routed-caller $family 10)" '{"taker":20}'
	in_ns node ip route del "$a" dev "veth${NUMBER[routed-taker]}"
	has_not() { ! has routed-taker "$a"; }
	wait_until 5 has_not
	in_ns node ip route add "$a" dev "veth${NUMBER[routed-owner]}"
	wait_until 5 has routed-owner "$a"
	expect_eq "IPv$family, routed: and back" "$(calls routed-caller $family 10)" '{"owner":20}'

	a=$(addr $family bridged-owner)
	in_ns bridged-owner ip address del "$a/$((family == 4 ? 24 : 64))" dev eth0
	wait_until 5 has bridged-taker "$a"
	in_ns node ip neighbour flush dev br0
	expect_eq "IPv$family, bridged: the owner gives it up" "$(calls bridged-caller $family 11)" '{"taker":20}'
done

# admitted: how many connections the guarded service has let in
admitted() { cluster_stat '' upstream_cx_total guarded; }

for family in 4 6; do
	for kind in routed bridged; do
		expect_eq "IPv$family, $kind: who may call" "$(calls $kind-caller $family 12)" '{"owner":20}'
		expect_eq "IPv$family, $kind: who may not" "$(calls $kind-pretender $family 12)" '{"ECONNREFUSED":20}'
	done
done
for kind in routed bridged; do
	for family in 4 6; do
		in_ns $kind-pretender ip -$family route show default >"$TMP/default"
		address add $kind-pretender "$(addr $family $kind-caller)" eth0
		seen $kind-pretender $family
		in_ns $kind-pretender ip address del \
			"$(in_ns $kind-pretender ip -j -$family address show dev eth0 scope global |
				jq -r --arg a "$(addr $family $kind-pretender)" \
					'.[0].addr_info[] | select(.local == $a) | "\(.local)/\(.prefixlen)"')" dev eth0
		# shellcheck disable=SC2046 # words are meant
		in_ns $kind-pretender ip -$family route replace $(<"$TMP/default") onlink
	done
done
before=$(admitted)
for family in 4 6; do
	for kind in routed bridged; do
		load $kind-pretender "$(vip $family 12)" 9000 -n 5 -s hello -t 500 >/dev/null || true
		expect_eq "IPv$family, $kind: who says that it is another gets no further" "$(admitted)" "$before"
		has $kind-caller "$(addr $family $kind-caller)" || fail "the caller has lost its address"
	done
done
