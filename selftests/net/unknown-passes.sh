#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is no service of weft's passes as if weft were not there: headless services, ports that a service leaves out, pods'
# own addresses, the outside, other protocols.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo
pod_add two 3 app=echo
echo_start one 9000,9001,9002 one
echo_start two 9000,9001,9002 two
echo_start world 9000 world
weftd_start
{
	rules_pods
	rules_service echo 10 9000,9001
	cat <<-END
	---
	apiVersion: v1
	kind: Service
	metadata: {name: headless}
	spec:
	  clusterIP: None
	  selector: {app: echo}
	  ports: [{name: tcp, port: 9000}]
	---
	apiVersion: v1
	kind: Service
	metadata: {name: elsewhere}
	spec: {type: ExternalName, externalName: example.com}
	END
} | apply

# Another program's rule for the port that the service leaves out.
in_ns node iptables -t nat -A PREROUTING -d "$(vip 4 10)" -p tcp --dport 9002 -j DNAT --to-destination "$(addr 4 two):9002"
in_ns node ip6tables -t nat -A PREROUTING -d "$(vip 6 10)" -p tcp --dport 9002 -j DNAT --to-destination "[$(addr 6 two)]:9002"

for family in 4 6; do
	before=$(map_dump dests | jq '[.[] | (.formatted // .).value.cx_total] | add // 0')
	expect_eq "IPv$family: an endpoint's own address, as a headless service gives it out" \
		"$(load client "$(addr $family one)" 9000 -n 20 -s hello)" '{"one":20}'
	expect_eq "IPv$family: a port that no service has" "$(load client "$(addr $family one)" 9002 -n 5 -s hello)" '{"one":5}'
	expect_eq "IPv$family: a service's address, a port that it leaves out" \
		"$(load client "$(vip $family 10)" 9002 -n 5 -s hello)" '{"two":5}'
	expect_eq "IPv$family: a closed port is refused by the pod itself" "$(load client "$(addr $family one)" 9009)" '{"ECONNREFUSED":1}'
	expect_eq "IPv$family: the outside" "$(load client "$(addr $family world)" 9000 -n 5 -s hello)" '{"world":5}'
	expect_eq "IPv$family: from the outside to a pod" "$(load world "$(addr $family one)" 9000 -n 5 -s hello)" '{"one":5}'
	expect_eq "IPv$family: none of it is counted" "$(map_dump dests | jq '[.[] | (.formatted // .).value.cx_total] | add // 0')" "$before"
	expect_eq "IPv$family: none of it is in the table" "$(conns_left)" 0
	expect_eq "IPv$family: a service that no rule names is balanced" \
		"$(load client "$(vip $family 10)" 9000 -n 40 -c 4 -s hello | jq -c keys)" '["one","two"]'
done
wait_until 30 no_conns
