#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who an endpoint sees when weft-proxy calls it: the client, wherever replies to it come back by us.
. "${0%/*}/lib.sh"

node_up
pod_add client 1 app=mine
pod_add other 2
pod_add near 3
remote_add far 9
for pod in client near far; do
	http_echo_start $pod 80 $pod
done
weftd_start

{
	rules_pods
	export PROTOCOL=http
	number=10
	for service in near far mine; do
		rules_service $service $number 8000:80
		rules_routes $service "- {timeout: 5s, route: [{destination: {host: $service}}]}"
		number=$((number + 1))
	done
	rules_door 8080 near 8000 8081 far 8000
	rules_ingress 20 8080:30080 8081:30081
} | apply

# sees FROM ADDRESS PORT: the address that the endpoint says it was called from
sees() { http_load "$1" "$2" "$3" -H 'Host: weft.example' -p /anything --print | tail -1 | jq -r '.peer'; }

# mesh FROM ADDRESS: the same of a service
mesh() { http_load "$1" "$2" 8000 -p /anything --print | tail -1 | jq -r '.peer'; }

for family in 4 6; do
	for pod in client other; do
		expect_eq "IPv$family: pod to pod" "$(mesh $pod "$(vip $family 10)")" "$(addr $family $pod)"
		expect_eq "IPv$family: pod to a pod of another node" "$(mesh $pod "$(vip $family 11)")" "$(addr $family $pod)"
	done
	expect_eq "IPv$family: a pod to itself" "$(mesh client "$(vip $family 12)")" "$(vip $family 12)"
	expect_eq "IPv$family: another one to it" "$(mesh other "$(vip $family 12)")" "$(addr $family other)"
	for port in 8080 30080; do
		expect_eq "IPv$family: from outside by port $port" "$(sees world "$(addr $family node)" $port)" "$(addr $family world)"
	done
	for port in 8081 30081; do
		expect_eq "IPv$family: from outside to a pod of another node by port $port" \
			"$(sees world "$(addr $family node)" $port)" "$(addr $family node)"
	done
done

# A Gateway is on addresses, too, that the node gets later.
ip_in node <<-END
address add 10.1.1.1/32 dev lo
address add fd00:1:1::1/128 dev lo nodad
END
ip_in world <<-END
route add 10.1.1.1/32 via $(addr 4 node)
route add fd00:1:1::1/128 via $(addr 6 node)
END
for address in 10.1.1.1 fd00:1:1::1; do
	answers() { [ "$(sees world $address 8080)" != "" ]; }
	wait_until 5 answers
	say "ok: from outside by $address, which has come later"
done

# weft-proxy does not forward a request to its own address: it would call itself without end.
ports=$(in_ns node ss -ltnpH | awk '/weft-proxy/ { n = split($4, part, ":"); print part[n] }')
[ -n "$ports" ] || fail "weft-proxy does not listen"
for port in $ports; do
	expect_eq "to weft-proxy itself" \
		"$(in_ns node curl -s -m 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/")" 404
done
