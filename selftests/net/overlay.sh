#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An endpoint on another node behind an overlay: pods reach it by the service as they do directly, whether weft is on the
# overlay's device or not. A caller from outside would not get replies, so as long as weft is not there, it is left alone.
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

# A door for callers from outside, which `world` has no way back to by itself.
door() {
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: Gateway
	metadata: {name: door}
	spec:
	  selector: {istio: ingressgateway}
	  servers:
	  - port: {number: 31400, name: tcp, protocol: TCP}
	    hosts: ["*"]
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: echo}
	spec:
	  hosts: [echo]
	  gateways: [door]
	  tcp:
	  - route:
	    - destination: {host: echo, port: {number: 9000}}
	END
}

by_service() {
	expect_eq "$1: by the service" "$(load client "$(vip 4 10)" 9000 -n 20 -c 5 -s hello)" '{"far":20}'
	expect_eq "$1: large lines" "$(load client "$(vip 4 10)" 9000 -n 2 --bytes 300000)" '{"far":2}'
}

weftd_start
{
	rules
	door
} | apply
expect_eq "past weft" "$(load client 10.245.0.9 9000 -n 5 -s hello)" '{"far":5}'
by_service "device not named"
before=$(map_dump conns | jq length)
load world "$(addr 4 node)" 31400 -t 300 >/dev/null || true
expect_between "from outside: left alone and counted" "$(stat_of weft.reason.foreign_way)" 1 10
expect_between "no entry was made" "$(map_dump conns | jq length)" 0 "$before"
weftd_stop

weftd_start --nic nic0,overlay0
by_service "device named"
expect_eq "from outside" "$(load world "$(addr 4 node)" 31400 -n 20 -c 5 -s hello)" '{"far":20}'
wait_until 30 no_conns
