#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod's own node may reach it whatever policies say: what a kubelet asks of it (HTTP, TCP, a command in the pod) gets through where
# everything is closed to pods, whether or not weft's rules speak of the port, and counts for nothing of weft's.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add web 2 app=web
http_echo_start web 8080,9000 web
weftd_start --enrol labelled
namespace() { printf -- '---\napiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {%s}}\n' "$1"; }
rules() {
	namespace "$1"
	rules_pods
	PROTOCOL=http rules_service web 10 8080:8080
	PROTOCOL=http rules_subsets web "" "connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}"
	PROTOCOL=http rules_routes web "- fault: {abort: {httpStatus: 418, percentage: {value: 100}}}"$'\n'"  route: [{destination: {host: web}}]"
	rules_service web-tcp 11 9000:9000 app=web
	rules_subsets web-tcp "" "connectionPool: {tcp: {maxConnections: 1}}"
	cat <<-END
	---
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: {namespace: default, name: deny-all}
	spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
	END
}

# The CNI's part of it: what is forwarded between pods.
for family in 4 6; do
	tables=iptables
	[ $family = 4 ] || tables=ip6tables
	in_ns node $tables -w -A FORWARD -d "$(addr $family web)" -p tcp --syn -j REJECT --reject-with tcp-reset
done

# status FROM ADDRESS PORT: 000 where there is no connection
status() { in_ns "$1" curl -sg -o /dev/null -w '%{http_code}' -m $((5 * SLOWER)) "http://$(hostport "$2" "$3")/healthz" || true; }
counts() { weft stats | grep -E '^(cluster|endpoint|http)\.' | sort; }

# probe WHAT FAMILY
probe() {
	local address before
	address=$(addr "$2" web)
	before=$(counts)
	for _ in 1 2 3; do
		expect_eq "$1, IPv$2: by HTTP" "$(status node "$address" 8080)" 200
		expect_eq "$1, IPv$2: by TCP" "$(in_ns node bash -c "exec 3<>/dev/tcp/$address/9000 && echo open")" open
		expect_eq "$1, IPv$2: by a command in the pod" "$(status web "$address" 8080)" 200
	done
	expect_eq "$1, IPv$2: what is counted" "$(counts)" "$before"
}

for label in istio-injection=enabled istio-injection=disabled; do
	rules "${label/=/: }" | apply
	for family in 4 6; do
		expect_eq "$label, IPv$family: a pod" "$(status client "$(addr $family web)" 8080)" 000
		probe "$label" $family
	done
done
rules 'istio-injection: enabled' | apply
for family in 4 6; do
	expect_eq "IPv$family: the rules are those of a pod that asks" "$(status client "$(vip $family 10)" 8080)" 418
done
weftd_kill9
for family in 4 6; do
	expect_eq "IPv$family: once weftd has died" "$(status node "$(addr $family web)" 8080)" 200
done
