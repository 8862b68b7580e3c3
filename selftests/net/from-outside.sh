#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Callers outside the node get in by the Gateway's port and by the NodePort that stands for it, and see replies from the address
# that they called.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
pod_add two 3 app=echo,version=v2
echo_start one 9000 one
echo_start two 9000 two
weftd_start

{
	rules_pods
	rules_service echo 10
	rules_subsets echo "v1 v2"
	rules_gateway door 31400
	rules_ingress 11 31400:30514
	rules_routes "*" "$(cat <<-END
	- match: [{port: 31400}]
	  route:
	  - destination: {host: echo, port: {number: 9000}, subset: v1}
	    weight: 80
	  - destination: {host: echo, port: {number: 9000}, subset: v2}
	    weight: 20
	END
	)" door
} | apply

for family in 4 6; do
	for port in 31400 30514; do
		got=$(load world "$(addr $family node)" $port -n 500 -c 5 -s hello)
		expect_between "IPv$family, port $port: one" "$(count one "$got")" 398 402
		expect_between "IPv$family, port $port: two" "$(count two "$got")" 98 102
		got=$(load world "$(addr $family node)" $port -n 5 -c 5 --bytes 1000000 -e half)
		expect_eq "IPv$family, port $port: large lines come back whole" \
			"$(($(count one "$got") + $(count two "$got")))" 5
	done
	expect_eq "IPv$family: a port that is not the gateway's is the node's own" \
		"$(load world "$(addr $family node)" 31401)" '{"ECONNREFUSED":1}'

	# Several callers with the same port towards both doors: nothing is mixed up.
	load_start world "$TMP/a" "$(addr $family node)" 31400 -n 20 -c 20 -s to-the-gateway --source-port 5000 -k 500 --every 50
	a=$STARTED
	got=$(load world "$(addr $family node)" 30514 -n 20 -c 20 -s to-the-nodeport --source-port 5000 -k 500 --every 50)
	wait "$a"
	expect_eq "IPv$family: same source ports, gateway" "$(jq -c 'add' "$TMP/a"),$(jq -c 'keys - ["one","two"]' "$TMP/a")" '20,[]'
	expect_eq "IPv$family: same source ports, NodePort" "$(jq -c 'add' <<<"$got"),$(jq -c 'keys - ["one","two"]' <<<"$got")" '20,[]'
done
wait_until 30 no_conns
