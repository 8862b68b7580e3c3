#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Gateway's endpoint is on another node behind an overlay. A caller from outside would not get replies as long as weft is not on
# the overlay's device, so it is left alone; with the device named it is served, and pods still are.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
ns_add far
LABELS[far]=app=far
NUMBER[far]=9
NET4[far]=10.245.0
NET6[far]=fd00:245:
REMOTES+=(far:default)
sysctl_in world net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1
ip_in world <<END
link add far9 type veth peer name eth0 netns $(netns far)
link set far9 up
address add 10.245.0.1/24 dev far9
address add fd00:245::1/64 dev far9 nodad
END
ip_in far <<END
link set lo up
link set eth0 up
address add 10.245.0.9/24 dev eth0
address add fd00:245::9/64 dev eth0 nodad
route add default via 10.245.0.1
route add ::/0 via fd00:245::1
END

# overlay NAMESPACE DEVICE SELF OTHER NET
overlay() {
	ip_in "$1" <<-END
	link add overlay0 type vxlan id 42 dev $2 local 10.1.0.$3 remote 10.1.0.$4 dstport 8472
	address add 10.245.9.$3/30 dev overlay0
	address add fd00:2459::$3/126 dev overlay0 nodad
	link set overlay0 up
	route add 10.$5.0.0/24 via 10.245.9.$4 dev overlay0
	route add fd00:$5::/64 via fd00:2459::$4 dev overlay0
	END
}
overlay node nic0 1 2 245
overlay world eth0 2 1 244
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

weftd_start --nic nic0,overlay0
for family in 4 6; do
	expect_eq "IPv$family, device named: from outside" "$(load world "$(addr $family node)" 31400 -n 20 -c 5 -s hello)" '{"far":20}'
	for way in $(ways); do
		callers "$way"
		expect_eq "IPv$family, device named, callers $WAY: by the service" \
			"$(load client "$(vip $family 10)" 9000 -n 20 -c 5 --bytes 30000)" '{"far":20}'
	done
	callers inside
done
wait_until 30 no_conns
