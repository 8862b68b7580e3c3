#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# weft-proxy calls endpoints from the client's address, and doesn't know which ports the client itself uses there; nor are all of
# those that it does use free on the node.
. "${0%/*}/lib.sh"

DIRECT=10
REQUESTS=100

node_up
pod_add client 1
pod_add one 2 app=echo
http_echo_start one 8080 one
# As many ports as the client has connections of its own.
for where in client node; do
	sysctl_in $where net/ipv4/ip_local_port_range="40000 $((40000 + DIRECT - 1))"
done
echo_start node "$(seq -s, 10240 10 32767),$(seq -s, 61000 10 65535)" taken
weftd_start
{
	rules_pods
	PROTOCOL=http rules_service echo 10 8000:8080
	rules_subsets echo "" "connectionPool: {http: {maxRequestsPerConnection: 1}}"
	PROTOCOL=http rules_routes echo "- {retries: {attempts: 0}, route: [{destination: {host: echo}}]}"
} | apply

for family in 4 6; do
	http_load_start client "$TMP/direct" "$(addr $family one)" 8080 -n 0 --idle $DIRECT --hold --ready "$TMP/ready.$family"
	direct=$STARTED
	wait_until 10 test -e "$TMP/ready.$family"

	result=$(http_load client "$(vip $family 10)" 8000 -n $REQUESTS)
	expect_eq "IPv$family: requests" "$(jq -c .statuses <<<"$result")" "{\"200\":$REQUESTS}"

	kill -TERM "$direct"
	wait "$direct"
	expect_eq "IPv$family: the client's own connections" "$(json .idle "$(<"$TMP/direct")")" $DIRECT
done
