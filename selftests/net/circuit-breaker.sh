#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The circuit breaker tutorial: one connection, one request waiting for it, one request per connection. Two clients get their answers;
# of three, some are told 503 at once, and the counter says how many.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=httpbin
http_echo_start one 80 one
weftd_start --access-log "$TMP/access.log"
{
	rules_pods
	PROTOCOL=http rules_service httpbin 10 8000:80
	rules_subsets httpbin "" "$(cat <<-END
	connectionPool:
	  tcp: {maxConnections: 1}
	  http: {http1MaxPendingRequests: 1, maxRequestsPerConnection: 1}
	outlierDetection: {consecutiveErrors: 1, interval: 1s, baseEjectionTime: 3m, maxEjectionPercent: 100}
	END
	)"
} | apply

BODY="upstream connect error or disconnect/reset before headers. reset reason: overflow"
REQUESTS=$(rounds 300 60)

overflow() { cluster_stat '' upstream_rq_pending_overflow httpbin 8000; }
ask() { http_load client "$(vip "$1" 10)" 8000 "${@:2}"; }
refused() { json '.statuses."503"' "$1"; }

# clients FAMILY N: their result in $RESULT, which the counter agrees with
clients() {
	local before what="IPv$1, $2 clients"
	before=$(overflow)
	RESULT=$(ask "$1" -n "$REQUESTS" -c "$2" --count x-envoy-overloaded)
	expect_eq "$what: answered" $(($(json '.statuses."200"' "$RESULT") + $(refused "$RESULT"))) "$REQUESTS"
	expect_eq "$what: upstream_rq_pending_overflow, against 503s" $(($(overflow) - before)) "$(refused "$RESULT")"
	expect_eq "$what: with x-envoy-overloaded" "$(json .words.true "$RESULT")" "$(refused "$RESULT")"
	expect_eq "$what: bytes, 4 of a 200 and 81 of a 503" "$(json .bytes "$RESULT")" \
		$((4 * (REQUESTS - $(refused "$RESULT")) + 81 * $(refused "$RESULT")))
}

for family in 4 6; do
	expect_eq "IPv$family: one call" "$(json '.statuses."200"' "$(ask $family)")" 1
	clients $family 2
	expect_between "IPv$family, 2 clients: 503s" "$(refused "$RESULT")" 0 $((REQUESTS / 10))
	clients $family 3
	expect_between "IPv$family, 3 clients: 503s" "$(refused "$RESULT")" $((REQUESTS / 10)) $((REQUESTS - 1))
done

expect_eq "503s with the flag UO in the access log" "$(grep -c '" 503 UO ' "$TMP/access.log")" "$(overflow)"
expect_eq "200s without a flag" "$(grep -c '" 200 - ' "$TMP/access.log")" "$(json .requests "$(http_echo_ask one 80 /_stats)")"

# What a client is told.
one_waits() { [ "$(cluster_stat '' upstream_rq_pending_active httpbin 8000)" = 1 ]; }
http_load_start client "$TMP/two" "$(vip 4 10)" 8000 -p /delay/$((2000 * SLOWER)) -n 2 -c 2 -t 60000
wait_until 5 one_waits
for open in cx rq_pending; do
	expect_eq "$open is at its limit" "$(cluster_stat '' circuit_breakers.default.${open}_open httpbin 8000)" 1
done
expect_eq "rq has none" "$(cluster_stat '' circuit_breakers.default.rq_open httpbin 8000)" 0
http_load client "$(vip 4 10)" 8000 --print >"$TMP/third"
expect_match "the third is told why" "$(tail -1 "$TMP/third")" "^$BODY\$"
expect_match "with 81 bytes" "$(<"$TMP/third")" "^content-length: 81"
wait "$STARTED"
expect_eq "the first and the one that waited" "$(json '.statuses."200"' "$(<"$TMP/two")")" 2

# A refusal of our own making is no error of the endpoint's: nothing was ejected.
expect_eq "ejections" "$(cluster_stat '' outlier_detection.ejections_active httpbin 8000)" 0
none_open() { [ "$(cluster_stat '' upstream_cx_active httpbin 8000)" = 0 ]; }
wait_until 5 none_open
expect_eq "no limit is reached any more" "$(weft stats --filter 'httpbin.*circuit_breakers\..*_open$' --nonzero)" ""
