#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ISTIO_MUTUAL without a CA, on one node: what calls a pod of the same node goes on as before, in the kernel and in clear. What would
# have to go to another node is refused, and nothing is sent in clear; so is what goes to an endpoint outside the mesh. It is told of by
# analyze, explain and describe.
. "${0%/*}/lib.sh"

node_up
pod_add client 1 app=client
pod_add near 2 app=near
remote_add far 3
remote_add stranger 4
http_echo_start near 8080,9090 near
http_echo_start far 8080,9090 far
http_echo_start stranger 8080 stranger
weftd_start --node-name here --access-log "$TMP/access.log"

# pods: `far` is on another node; `stranger` is none
pods() {
	rules_pods | sed 's/image: none}\]/&\n  nodeName: here\n  serviceAccountName: default/' |
		awk '/^  name: far$/ { far = 1 } /nodeName/ && far { sub(/here/, "there"); far = 0 } { print }' |
		awk 'BEGIN { RS = "---\n"; ORS = "---\n" } !/name: stranger\n/'
}
tls() {
	local host
	for host in near far stranger db; do
		printf -- '---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {namespace: default, name: %s}\nspec: {host: %s, trafficPolicy: {tls: {mode: %s}}}\n' \
			"$host" "$host" "$1"
	done
}
{
	pods
	for pod in near far; do
		PROTOCOL=http rules_service $pod $((10 + ${NUMBER[$pod]})) 8080
		rules_service $pod-tcp $((20 + ${NUMBER[$pod]})) 9090 app=$pod
	done
	printf -- '---\napiVersion: v1\nkind: Service\nmetadata: {namespace: default, name: stranger}\nspec: {clusterIP: %s, ports: [{name: http, port: 8080}]}\n' \
		"$(vip 4 14)"
	printf -- '---\napiVersion: v1\nkind: Endpoints\nmetadata: {namespace: default, name: stranger}\nsubsets: [{addresses: [{ip: %s}], ports: [{name: http, port: 8080}]}]\n' \
		"$(addr 4 stranger)"
	printf -- '---\napiVersion: v1\nkind: Service\nmetadata: {namespace: default, name: db}\nspec: {clusterIP: None, selector: {app: far}, ports: [{name: tcp, port: 8080}]}\n'
} | apply

# ask WHERE: the status, or "reset"
ask() {
	local status=0 code to
	case $1 in
	near | far) to=$(hostport "$(vip 4 $((10 + ${NUMBER[$1]})))" 8080) ;;
	near-tcp | far-tcp) to=$(hostport "$(vip 4 $((20 + ${NUMBER[${1%-tcp}]})))" 9090) ;;
	stranger) to=$(hostport "$(vip 4 14)" 8080) ;;
	db) to=$(hostport "$(addr 4 far)" 8080) ;;
	esac
	code=$(in_ns client curl -s -o /dev/null -w '%{http_code}' --max-time $((5 * SLOWER)) "http://$to/") || status=$?
	case $status in
	0) echo "$code" ;;
	7 | 52 | 56) echo reset ;;
	*) echo "curl $status" ;;
	esac
}

for where in near far near-tcp far-tcp stranger db; do
	expect_eq "before: $where" "$(ask $where)" 200
done
expect_eq "before: no row" "$(weft describe pod near -o json | jq .mutual_tls)" null

tls ISTIO_MUTUAL | apply
expect_eq "on this node" "$(ask near)" 200
expect_eq "on this node, TCP" "$(ask near-tcp)" 200
expect_eq "on this node it stays with the kernel" "$(wc -l <"$TMP/access.log")" 0
expect_eq "on another node" "$(ask far)" 503
expect_eq "outside the mesh" "$(ask stranger)" 503
expect_eq "a headless service's pod" "$(ask db)" reset
expect_eq "what has no rule goes on" "$(ask far-tcp)" 200
expect_match "explain: with whom" "$(weft explain --from default/client --to far:8080)" \
	"tls: ISTIO_MUTUAL as spiffe://cluster.local/ns/default/sa/default, with $(addr 4 far):8080 \(spiffe://cluster.local/ns/default/sa/default\)"
expect_match "explain: no pod of the mesh" "$(weft explain --from default/client --to stranger:8080)" "it is no pod of the mesh"
expect_match "analyze: no pod of the mesh" "$(weft analyze 2>&1 || true)" "WEFT0123"
expect_match "describe" "$(weft describe pod near)" "PERMISSIVE, as spiffe://cluster.local/ns/default/sa/default"
expect_match "describe a service" "$(weft describe svc far)" "far: PERMISSIVE, as spiffe://cluster.local/ns/default/sa/default"

tls DISABLE | apply
for where in near far stranger db; do
	expect_eq "DISABLE: $where" "$(ask $where)" 200
done
expect_eq "DISABLE: no row" "$(weft describe pod near -o json | jq .mutual_tls)" null
