#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An endpoint on another node behind an overlay: left alone as long as weft is not on the overlay's device, steered once it is.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
ns_add far
sysctl_in world net/ipv4/ip_forward=1
ip_in node <<END
link add overlay0 type vxlan id 42 dev nic0 remote 10.1.0.2 dstport 8472 local 10.1.0.1
address add 10.245.9.1/24 dev overlay0
link set overlay0 up
route add 10.245.0.0/24 via 10.245.9.2 dev overlay0
END
ip_in world <<END
link add overlay0 type vxlan id 42 dev eth0 remote 10.1.0.1 dstport 8472 local 10.1.0.2
address add 10.245.9.2/24 dev overlay0
link set overlay0 up
route add 10.244.0.0/24 via 10.245.9.1 dev overlay0
link add far9 type veth peer name eth0 netns $(netns far)
link set far9 up
address add 10.245.0.1/24 dev far9
END
ip_in far <<END
link set lo up
link set eth0 up
address add 10.245.0.9/24 dev eth0
route add default via 10.245.0.1
END
echo_start far 9000 far

rules() {
	rules_service echo 10
	cat <<-END
	---
	apiVersion: v1
	kind: Pod
	metadata: {name: far, namespace: default, labels: {app: echo}}
	spec: {containers: [{name: main, image: none}]}
	status: {phase: Running, podIP: 10.245.0.9, podIPs: [{ip: 10.245.0.9}]}
	END
}

weftd_start
rules | apply
expect_eq "past weft" "$(load client 10.245.0.9 9000 -n 5 -s hello)" '{"far":5}'
# Nobody else serves the address here: what counts is that weft did not half-steer it.
load client "$(vip 4 10)" 9000 -t 300 >/dev/null || true
expect_between "left alone and counted" "$(stat_of weft.reason.foreign_way)" 1 10
expect_eq "no entry was made" "$(map_dump conns | jq length)" 0
weftd_stop

weftd_start --nic nic0,overlay0
expect_eq "by the service" "$(load client "$(vip 4 10)" 9000 -n 20 -c 5 -s hello)" '{"far":20}'
expect_eq "large lines" "$(load client "$(vip 4 10)" 9000 -n 2 --bytes 300000)" '{"far":2}'
wait_until 30 no_conns
