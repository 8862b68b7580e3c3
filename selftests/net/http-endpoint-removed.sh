#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An endpoint leaves under load: no request fails, and the proxy keeps no connection to it.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add stays 2 app=echo
pod_add leaves 3 app=echo
for pod in stays leaves; do
	http_echo_start $pod 80 $pod
done
weftd_start --workers 2

rules() {
	rules_pods
	PROTOCOL=http rules_service echo 10 8000:80
	rules_subsets echo "" "loadBalancer: {simple: ROUND_ROBIN}"
	PROTOCOL=http rules_routes echo "- {timeout: 5s, route: [{destination: {host: echo}}]}"
}
rules | apply

# Connections that its http-echo has, this question's not among them.
left_at() { echo $(($(json .open "$(http_echo_ask leaves 80 /_stats)") - 1)); }
none_left() { [ "$(left_at)" = 0 ]; }

for family in 4 6; do
	http_load_start client "$TMP/load$family" "$(vip $family 10)" 8000 -d 4 -c 8
done
load6=$STARTED
sleep 1
expect_between "connections to it" "$(left_at)" 1 1000
rules_forget leaves
rules | weft apply -f - >/dev/null
weft delete pod leaves >/dev/null
wait_until 2 none_left
wait "$load6"
sleep 0.2
for family in 4 6; do
	got=$(<"$TMP/load$family")
	expect_eq "IPv$family: answered 200" "$(json '.statuses."200"' "$got")" "$(json .requests "$got")"
	expect_between "IPv$family: by the one that left" "$(json .words.leaves "$got")" 1 1000000
done
got=$(http_load client "$(vip 4 10)" 8000 -n 20)
expect_eq "afterwards: by the one that stayed" "$(json .words.stays "$got")" 20
