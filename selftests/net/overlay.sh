#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Gateway's endpoint is on another node behind an overlay, of whatever the kernel has. A caller from outside would not get replies as
# long as weft is not on the overlay's device, so it is left alone; weft finds the device itself, also while it runs, and such a
# caller is served, and pods still are.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
kinds=$(overlay_kinds)
say "overlays: $(xargs <<<"$kinds")"
overlay_node_up
echo_start far 9000 far

weftd_start
{
	rules_pods
	rules_service far 10
	rules_door 31400 far 9000
} | apply
for family in 4 6; do
	expect_eq "IPv$family: past weft" "$(load client "$(addr $family far)" 9000 -n 5 -s hello)" '{"far":5}'
	conns=$(map_dump conns | jq length)
	before=$(stat_of weft.reason.foreign_way)
	load world "$(addr $family node)" 31400 -t 300 >/dev/null || true
	expect_between "IPv$family: from outside: left alone and counted" $(($(stat_of weft.reason.foreign_way) - before)) 1 10
	expect_between "IPv$family: no entry was made" "$(map_dump conns | jq length)" 0 "$conns"
done
weftd_stop

# nics: those that weft is on
nics() { map_dump nics | jq -r '[.[].formatted.value.name] | sort | join(",")'; }
are_nics() { [ "$(nics)" = "$1" ]; }

# served KIND: by such an overlay
served() {
	local family way
	for family in 4 6; do
		expect_eq "$1, IPv$family: from outside" "$(load world "$(addr $family node)" 31400 -n 20 -c 5 -s hello)" '{"far":20}'
		expect_eq "$1, IPv$family: from outside, 300 kB" "$(load world "$(addr $family node)" 31400 --bytes 300000)" '{"far":1}'
		for way in $(ways); do
			callers "$way"
			expect_eq "$1, IPv$family, callers $WAY: by the service" \
				"$(load client "$(vip $family 10)" 9000 -n 20 -c 5 --bytes 30000)" '{"far":20}'
		done
		callers inside
	done
}

# A device that weft does not take for an overlay by itself is named.
NICS=auto,overlay0
weftd_start
wait_until 5 are_nics nic0,overlay0
served vxlan
for kind in $(grep -v vxlan <<<"$kinds"); do
	wait_until 30 no_conns
	overlay_del node
	overlay_del world
	wait_until 5 are_nics nic0
	overlay_add node 1 2 245 "$kind"
	overlay_add world 2 1 244 "$kind"
	if [ "$kind" = ipip ]; then wait_until 5 are_nics nic0,overlay0,overlay6; else wait_until 5 are_nics nic0,overlay0; fi
	served "$kind"
done
wait_until 30 no_conns

# The port of a bridge is none, nor is a device that is not up.
overlay_del node
ip_in node <<END
link add br0 type bridge
link add overlay1 type vxlan id 43 local 10.1.0.1 remote 10.1.0.2 dstport 8473
link add overlay2 type vxlan id 44 local 10.1.0.1 remote 10.1.0.2 dstport 8474
link set overlay1 master br0
link set overlay1 up
END
wait_until 5 are_nics nic0
ip -n "$(netns node)" link set overlay2 up
wait_until 5 are_nics nic0,overlay2
ip -n "$(netns node)" link set overlay2 down
ip -n "$(netns node)" link set overlay1 nomaster
wait_until 5 are_nics nic0,overlay1,overlay2

# Some CNIs have a tunnel for each other node: half of the NICs may be such ones, and the others are taken first.
weftd_stop
for n in {101..170}; do
	echo "link add many$n type vxlan id $n local 10.1.0.1 remote 10.1.0.2 dstport 8475"
	echo "link set many$n up"
done | ip_in node
NICS=auto
weftd_start
some_tunnels() { [ "$(nics | tr , '\n' | grep -vc '^nic')" = 32 ]; }
wait_until 10 some_tunnels
expect_match "the NIC is among them" ",$(nics)," ',nic0,'
