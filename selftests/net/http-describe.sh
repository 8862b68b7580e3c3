#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What describe and explain tell of HTTP while it runs: requests per route of the rules in force and of no former ones, the rules at
# a service's address, a 503 that is to be expected because all endpoints are ejected or because of a limit; which endpoints are ejected,
# and until when.
. "${0%/*}/lib.sh"

EJECTED_S=$((12 * SLOWER))

node_up
pod_add client 1
pod_add one 2 app=web,version=v1
http_echo_start one 8080 one
weftd_start
{
	rules_pods
	PROTOCOL=http rules_service web 10 80:8080 app=web
	rules_subsets web "v1" "{outlierDetection: {consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: ${EJECTED_S}s, maxEjectionPercent: 100},
	  connectionPool: {http: {http1MaxPendingRequests: 1}, tcp: {maxConnections: 1}}}"
} | apply

# rules ROUTE...: the routes of the VirtualService
rules() {
	printf '%s\n' "apiVersion: networking.istio.io/v1" "kind: VirtualService" "metadata: {name: web, namespace: default}" \
		"spec:" "  hosts: [web]" "  http:" "$@"
}
rules "  - match: [{uri: {prefix: /a}}]" "    route: [{destination: {host: web, subset: v1}}]" \
	"  - match: [{uri: {prefix: /gone}, headers: {x: {exact: w}}}]" "    redirect: {uri: /a}" \
	"  - route: [{destination: {host: web}}]" | apply

ask() { http_load client "$(vip 4 10)" 80 "$@" >/dev/null; }
described() { weft describe vs web -o json | jq -c "$1"; }
explained() { weft explain --from default/client --to web:80 --path /a -o json | jq -r "$1"; }

# Requests per route.
ask -p /a -n 7
ask -p /b -n 5
expect_eq "requests of each route" "$(described '.routes | map_values(.requests)')" \
	'{"default/web/http[0]":7,"default/web/http[1]":0,"default/web/http[2]":5}'
expect_eq "answers of the first" "$(described '.routes["default/web/http[0]"].answers["2xx"]')" 7
expect_match "as a person reads it" "$(weft describe vs web)" "default/web/http\[0\]: 7 requests, answered 2xx 7, "
expect_match "where they go" "$(weft describe vs web)" "weight 100: web.default.svc.cluster.local subset v1 port 80"
expect_match "at the service: the condition" "$(weft describe svc web)" \
	"VirtualService default/web http\[1\].match\[0\] \([^)]*\): redirect, if uri prefix /gone, header x exact w"

# Of a former version, a route is left that is there no longer.
rules "  - route: [{destination: {host: web, subset: v1}}]" | apply
ask -p /b -n 2
expect_eq "routes in force" "$(described '.routes | keys')" '["default/web/http[0]"]'

# A limit.
expect_eq "before" "$(explained '"\(.action) \(.status)"')" "route 200"
one_waits() { [ "$(cluster_stat v1 upstream_rq_pending_active web 80)" = 1 ]; }
http_load_start client "$TMP/two" "$(vip 4 10)" 80 -p /delay/$((2000 * SLOWER)) -n 2 -c 2 -t 60000
wait_until 5 one_waits
expect_eq "over the limit" "$(explained '"\(.status) \(.response_flags)"')" "503 UO"
wait "$STARTED"
expect_eq "under the limit again" "$(explained .status)" 200

# All endpoints are ejected.
http_echo_ask one 8080 "/_set?status=500" >/dev/null
ask -p /a -n 1
expect_eq "ejected, by the address that was called" \
	"$(weft explain --from default/client --to-address "$(vip 4 10):80" -o json | jq -r '"\(.status) \(.response_flags)"')" "503 UH"
http_load client "$(vip 6 10)" 80 -p /a -n 1 >/dev/null # the pod's other address is another endpoint
expect_eq "ejected" "$(explained '"\(.status) \(.response_flags) \(.body)"')" "503 UH no healthy upstream"
expect_match "why" "$(explained .reason)" "outlier detection has ejected all [0-9]+ endpoints; one is back in [0-9]+ s"
expect_match "which" "$(explained '.destinations[0].ejected | join(" ")')" ":8080"
http_load client "$(vip 4 10)" 80 --print >"$TMP/answer"
for object in "svc web" "vs web" "dr web" "pod one"; do
	# shellcheck disable=SC2086 # words are meant
	expect_match "describe $object: which one, and for how long" "$(weft describe $object)" \
		"^ +$(addr 4 one):8080 +EJECTED, for [0-9]+s more$"
	# shellcheck disable=SC2086
	expect_eq "describe $object -o json" \
		"$(weft describe $object -o json | jq -c '[.. | objects | select(.ejected).address] | unique')" \
		"[\"$(addr 4 one):8080\",\"[$(addr 6 one)]:8080\"]"
done
until_when=$(weft describe vs web -o json | jq -r '[.. | .ejected_until? // empty][0]')
expect_match "until when, as RFC 3339 has it" "$until_when" '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$'
expect_between "s until then" $(($(date -d "$until_when" +%s) - $(date +%s))) 0 $((EJECTED_S + 2))
expect_match "conns: a line for it" "$(weft conns)" "^- +default/web:80 .* v1 +$(addr 4 one):8080 .* ejected, for [0-9]+s more "
expect_eq "conns -o json" "$(weft conns -o json | jq -c '[.[] | select(.ejected and .ejected_until)] | map(.endpoint) | sort')" \
	"[\"$(addr 4 one):8080\",\"[$(addr 6 one)]:8080\"]"
expect_match "so it is" "$(head -1 "$TMP/answer")" "^HTTP/1.1 503 "
http_echo_ask one 8080 /_set >/dev/null
is_back() { [ "$(explained .status)" = 200 ]; }
wait_until $((EJECTED_S * 2 + 4)) is_back # although nothing has called it yet
none_out() { [ "$(weft conns -o json)" = "[]" ]; }
wait_until 10 none_out # IPv6 was ejected a little later
expect_match "describe: it is back" "$(weft describe dr web)" "^ +$(addr 4 one):8080 +HEALTHY$"
expect_eq "stats: ejected, though nothing has called them since" "$(cluster_stat v1 outlier_detection.ejections_active web 80)" 0
expect_eq "stats: healthy" "$(cluster_stat v1 membership_healthy web 80)" 2
