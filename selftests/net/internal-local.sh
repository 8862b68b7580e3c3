#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# internalTrafficPolicy: Local: a Service's cluster IP leads to the endpoints of the caller's own node, by TCP and by HTTP, with and without rules, from
# a Gateway, too; where there is none, the connection is refused. Callers from outside get any endpoint.
. "${0%/*}/lib.sh"

# located: the Pods of stdin on their nodes
located() {
	awk '/^  name:/ { node = $2 ~ /^far/ ? "there" : "here" } { print } /^spec:/ && node { print "  nodeName: " node; node = "" }'
}

words() { load "$1" "$2" "$3" -n 20 -s hello -t $((700 * SLOWER)) | jq -c keys; }
http_words() { http_load "$1" "$2" "$3" -n 20 --count x-by | jq -c .words; }
status() { in_ns "$1" curl -s -o /dev/null -w '%{http_code}' --max-time $((2 * SLOWER)) "http://$(hostport "$2" "$3")/" || true; }

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
remote_add far 3 app=echo,version=v2
outside_add other 5
for pod in one far; do
	echo_start $pod 9000 $pod
	http_echo_start $pod 8080 $pod
done
weftd_start --node-name here
local_too="internalTrafficPolicy: Local"
{
	rules_pods | located
	rules_service plain 10 9000 app=echo "$local_too"
	rules_service ruled 11 9000 app=echo "$local_too"
	rules_subsets ruled "v1 v2"
	rules_weights ruled v1=50 v2=50
	rules_service away 12 9000 app=echo,version=v2 "$local_too"
	PROTOCOL=http rules_service web 13 80:8080 app=echo "$local_too"
	PROTOCOL=http rules_routes web "- {route: [{destination: {host: web}}], headers: {response: {set: {x-by: rule}}}}"
	PROTOCOL=http rules_service web-away 14 80:8080 app=echo,version=v2 "$local_too"
	PROTOCOL=http rules_routes web-away "- {route: [{destination: {host: web-away}}]}"
	rules_service open 15 9000 app=echo "$(printf '%s\ntype: NodePort' "$local_too")" | sed 's/targetPort/nodePort: 30015, targetPort/'
	PROTOCOL=http rules_gateway door 80
	PROTOCOL=http rules_routes "*" "- {match: [{uri: {prefix: /away}}], route: [{destination: {host: web-away}}]}
- {route: [{destination: {host: web}}]}" door
} | apply

names() { for _ in 1 2 3 4 5 6; do in_ns client curl -s "http://$(hostport "$1" 80)/"; done | grep -oE '"?(one|far)"?' | tr -d '"' | sort -u | tr '\n' ' '; }
for family in 4 6; do
	for way in $(ways); do
		callers "$way"
		row "IPv$family: $way: the node's own endpoint" "$(words client "$(vip $family 10)" 9000)" '["one"]'
		got=$(load client "$(vip $family 11)" 9000 -n 20 -s hello -t $((700 * SLOWER)))
		expect_between "IPv$family: $way: by a rule: its half" "$(count one "$got")" 9 11
		expect_between "IPv$family: $way: by a rule: the other half has none here" "$(count ECONNREFUSED "$got")" 9 11
		row "IPv$family: $way: none here" "$(load client "$(vip $family 12)" 9000 -t $((700 * SLOWER)))" '{"ECONNREFUSED":1}'
		row "IPv$family: $way: HTTP, by the rule" "$(http_words client "$(vip $family 13)" 80)" '{"rule":20}'
		row "IPv$family: $way: HTTP, by whom" "$(names "$(vip $family 13)")" "one "
		row "IPv$family: $way: HTTP, none here" "$(status client "$(vip $family 14)" 80)" 503
	done
	callers inside
	row "IPv$family: from outside, by the NodePort: any endpoint" "$(words other "$(addr $family node)" 30015)" '["far","one"]'
	row "IPv$family: from a Gateway" "$(status other "$(addr $family node)" 80)" 200
	row "IPv$family: from a Gateway, none here" "$(in_ns other curl -s -o /dev/null -w '%{http_code}' "http://$(hostport "$(addr $family node)" 80)/away")" 503
done

# An endpoint that comes to the node.
pod_add two 4 app=echo,version=v2
echo_start two 9000 two
rules_pods | located | apply
here() { [ "$(words client "$(vip 4 12)" 9000)" = '["two"]' ]; }
wait_until 5 here
row "an endpoint that has come" "$(words client "$(vip 6 12)" 9000)" '["two"]'
rows_end
wait_until 30 no_conns
