#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# HTTP rules hold on a node whose address translation, kube-proxy's, has another idea of where a Service leads; and what weft
# adds to the node's routing and filters goes with it.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
pod_add two 3 app=echo,version=v2
http_echo_start one 8080 one
http_echo_start two 8080 two
weftd_start
{
	rules_pods
	PROTOCOL=http rules_service echo 10 80:8080
	rules_subsets echo "v1 v2"
	PROTOCOL=http rules_weights echo v1=0 v2=1
} | apply

for family in 4 6; do
	tables=iptables
	[ $family = 4 ] || tables=ip6tables
	in_ns node $tables -t nat -A PREROUTING -d "$(vip $family 10)" -p tcp --dport 80 -j DNAT \
		--to-destination "$(hostport "$(addr $family one)" 8080)"
	in_ns node $tables -A FORWARD -m conntrack --ctstate INVALID -j DROP
	result=$(http_load client "$(vip $family 10)" 80 -n 50 -c 5 --close)
	expect_eq "IPv$family: by weft's rule" "$(json .words.two "$result")" 50
done

# A Gateway's NodePort: kube-proxy rejects what opens a connection to it as long as its Service has no endpoint, and gives it an
# endpoint's address once it has one.
{
	PROTOCOL=http rules_gateway door 80
	PROTOCOL=http rules_routes "*" "- route: [{destination: {host: echo, subset: v2}}]" door
	rules_ingress 11 80:31380
} | apply
at_node_port() { # WHAT
	result=$(http_load world "$(addr $family node)" 31380 -n 50 -c 5 --close)
	expect_eq "IPv$family: NodePort, $1" "$(json .words.two "$result")" 50
	result=$(http_load client "$(addr $family node)" 31380 -n 5)
	expect_eq "IPv$family: NodePort, $1, a pod" "$(json .words.two "$result")" 5
}
for family in 4 6; do
	tables=iptables
	[ $family = 4 ] || tables=ip6tables
	in_ns node $tables -A INPUT -p tcp --dport 31380 -m conntrack --ctstate NEW -j REJECT
	at_node_port "rejected by kube-proxy"
	in_ns node $tables -t nat -A PREROUTING -d "$(addr $family node)" -p tcp --dport 31380 -j DNAT \
		--to-destination "$(hostport "$(addr $family one)" 8080)"
	at_node_port "translated by kube-proxy"
done

# Another server of the node's that takes the port over has its connections as they were, tracked.
weft delete gateway door >/dev/null
weft delete service -n istio-system ingress >/dev/null # which would have the port still
for family in 4 6; do
	tables=iptables
	[ $family = 4 ] || tables=ip6tables
	in_ns node $tables -t nat -D PREROUTING 2
	in_ns node $tables -F INPUT
	in_ns node $tables -A INPUT -p tcp --dport 31380 -m conntrack --ctstate UNTRACKED -j REJECT
done
http_echo_start node 31380 own
for family in 4 6; do
	result=$(http_load world "$(addr $family node)" 31380 -n 5)
	expect_eq "IPv$family: another server there" "$(json .words.own "$result")" 5
done

expect_match "a rule of routing" "$(in_ns node ip rule)" "^57:.*fwmark 0x570000"
weftd_stop
in_ns node "$OUT/weftd" --detach --run-dir "$TMP/run" --bpffs "$TMP/bpf/weft"
expect_eq "rules of routing left" "$(in_ns node ip rule | grep -c 0x570000 || true)" 0
expect_eq "IPv6 rules of routing left" "$(in_ns node ip -6 rule | grep -c 0x570000 || true)" 0
expect_eq "routes left" "$(in_ns node ip route show table 5757 2>/dev/null | wc -l)" 0
for family in 4 6; do
	result=$(http_load client "$(vip $family 10)" 80 -n 5 --close)
	expect_eq "IPv$family: by kube-proxy's rule again" "$(json .words.one "$result")" 5
done
