#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who talks to whom, from one node to another by mutual TLS: each request is counted once, where it was sent, whether or not the other
# node's weft-proxy reads it as a request; and so are connections.
. "${0%/*}/lib.sh"

rows() { /usr/bin/python3 "$ROOT/selftests/apps/traffic-rows.py" "$TMP/bpf/$1" | sed 's/ [0-9]* [0-9]*$//'; }

# rows_are DIR TEXT
rows_are() { [ "$(rows "$1")" = "$2" ]; }
expect_rows() { # WHAT DIR TEXT
	for _ in $(seq 100); do
		! rows_are "$2" "$3" || break
		sleep 0.05
	done
	expect_eq "$1" "$(rows "$2")" "$3"
}

# reached FAMILY FROM NUMBER STATUS: a request gets that status
reached() {
	local status
	status=$(in_ns "$2" curl -sS -g -o "$TMP/page" --max-time 10 -w '%{http_code}' "http://$(hostport "$(vip "$1" "$3")" 80)/marker" || true)
	[ "$status" = "$4" ]
}

node_up
node2_up
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/root.key" -out "$TMP/root.crt" -subj /O=root -days 30 2>/dev/null
pod_add client 1
pod2_add far 11 app=far,version=v1
http_echo_start far 80 far
echo_start far 9000 far
weftd_start --node-name one --ca-cert "$TMP/root.crt" --ca-key "$TMP/root.key"
weftd2_start --ca-cert "$TMP/root.crt" --ca-key "$TMP/root.key"
{
	rules_pods
	PROTOCOL=http rules_service far 10 80
	rules_service tcp-far 20 9000 app=far
	rules_strict
} | both
for family in 4 6; do
	for _ in 1 2 3; do
		reached $family client 10 200 || fail "IPv$family: $(<"$TMP/page")"
	done
	expect_eq "IPv$family: connections" "$(load client "$(vip $family 20)" 9000 -n 2 -s marker)" '{"far":2}'
done
FAR="sd client@latest far@v1 outbound|80||far.default.svc.cluster.local"
TCP="4/4 sd client@latest far@v1 outbound|9000||tcp-far.default.svc.cluster.local tcp 0 - mutual"
expect_rows "where it was sent" weft "$TCP
6 $FAR http 200 - mutual"
expect_eq "where it came to" "$(rows weft2)" ""

# What is read there, and refused.
both <<-END
	apiVersion: security.istio.io/v1
	kind: AuthorizationPolicy
	metadata: {name: far, namespace: default}
	spec:
	  selector: {matchLabels: {app: far}}
	  action: DENY
	  rules: [{to: [{operation: {paths: [/marker]}}]}]
END
for family in 4 6; do
	reached $family client 10 403 || fail "IPv$family: $(<"$TMP/page")"
done
expect_rows "where it was sent" weft "2 $FAR http 403 - mutual
$TCP
6 $FAR http 200 - mutual"
expect_eq "where it came to" "$(rows weft2)" ""
