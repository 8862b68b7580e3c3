#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What people look at: ids and traces of requests, the access log, counters per cluster and route, requests under way, and
# answers to what would become of one.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=reviews,version=v1
pod_add two 3 app=reviews,version=v2
http_echo_start one 8080 one
http_echo_start two 8080 two
weftd_start --access-log "$TMP/access.log" --access-log-format json
{
	rules_pods
	PROTOCOL=http rules_service reviews 10 80:8080
	rules_subsets reviews "v1 v2"
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: reviews, namespace: default}
	spec:
	  hosts: [reviews]
	  http:
	  - match: [{headers: {end-user: {exact: jason}}}]
	    route: [{destination: {host: reviews, subset: v2}}]
	  - match: [{uri: {prefix: /gone}}]
	    redirect: {uri: /anything}
	  - match: [{uri: {prefix: /fault}}]
	    fault: {abort: {percentage: {value: 100}, httpStatus: 555}}
	    route: [{destination: {host: reviews, subset: v1}}]
	  - match: [{uri: {prefix: /old}}]
	    rewrite: {uri: /anything}
	    route: [{destination: {host: reviews, subset: v1}}]
	  - match: [{uri: {prefix: /}}]
	    route: [{destination: {host: reviews, subset: v1}}]
	END
} >"$TMP/rules.yaml"
weft apply -f "$TMP/rules.yaml" >/dev/null

HEX='[0-9a-f]'
TRACE=0af7651916cd43dd8448eb211c80319c
PARENT=b7ad6b7169203331

# ask FAMILY PATH [curl's options...]: what the endpoint was asked
ask() {
	local host
	host=$(vip "$1" 10)
	[ "$1" = 4 ] || host="[$host]"
	in_ns client curl -sS --max-time $((30 * SLOWER)) -H "Host: reviews" "${@:3}" "http://$host$2"
}
# field NAME JSON: of the request that the endpoint has got; whatever the case of the name
field() { jq -r --arg name "$1" '[.headers[] | select((.[0] | ascii_downcase) == $name) | .[1]] | join(",")' <<<"$2"; }
# logged KEY: of the last line of the access log
logged() { tail -1 "$TMP/access.log" | jq -r "if .$1 == null then \"null\" else .$1 end"; }
lines() { wc -l <"$TMP/access.log"; }
of_route() { stat_of "route.default/reviews/http[$1].$2"; }
of_cluster() { cluster_stat "$1" "$2" reviews 80; }

for family in 4 6; do
	what="IPv$family"
	before=$(lines)
	got=$(ask $family /anything -A curl/x -D "$TMP/head")
	id=$(field x-request-id "$got")
	expect_match "$what: an id is made" "$id" "^$HEX{8}-$HEX{4}-4$HEX{3}-[89ab]$HEX{3}-$HEX{12}$"
	expect_eq "$what: x-forwarded-proto" "$(field x-forwarded-proto "$got")" http
	expect_eq "$what: x-envoy-attempt-count" "$(field x-envoy-attempt-count "$got")" 1
	expect_eq "$what: x-forwarded-for, within the mesh" "$(field x-forwarded-for "$got")" ""
	expect_match "$what: a trace is begun" "$(field traceparent "$got")" "^00-$HEX{32}-$HEX{16}-0[01]$"
	expect_eq "$what: the same in B3" "$(field traceparent "$got" | cut -d- -f2,3)" \
		"$(field x-b3-traceid "$got")-$(field x-b3-spanid "$got")"
	expect_match "$what: the client is told how long it took" "$(<"$TMP/head")" '^x-envoy-upstream-service-time: [0-9]+'

	wait_until 5 eval '[ "$(lines)" -gt "$before" ]'
	expect_eq "$what: one line in the log" $(($(lines) - before)) 1
	expect_eq "$what: the id in the log" "$(logged request_id)" "$id"
	expect_eq "$what: the request" "$(logged 'method + " " + .path + " " + .protocol')" "GET /anything HTTP/1.1"
	expect_eq "$what: the answer" "$(logged response_code) $(logged response_flags) $(logged response_code_details)" \
		"200 - via_upstream"
	expect_eq "$what: bytes" "$(logged bytes_received) $(logged bytes_sent)" "0 $(printf %s "$got" | wc -c)"
	expect_eq "$what: cluster" "$(logged upstream_cluster)" "outbound|80|v1|reviews.default.svc.cluster.local"
	expect_eq "$what: route" "$(logged route_name)" "default/reviews/http[4]"
	expect_eq "$what: user agent" "$(logged user_agent)" curl/x
	expect_match "$what: who called" "$(logged downstream_remote_address)" \
		"$(addr $family client | sed 's/\./\\./g')(\])?:[0-9]+$"
	expect_match "$what: endpoint" "$(logged upstream_host)" "$(addr $family one | sed 's/\./\\./g')(\])?:8080$"

	got=$(ask $family /old -H 'X-Request-Id: mine' -H "Traceparent: 00-$TRACE-$PARENT-01" -H 'Tracestate: a=b')
	expect_eq "$what: an id is carried on" "$(field x-request-id "$got")" mine
	expect_eq "$what: a trace is, as it came, where no spans are told" "$(field traceparent "$got")" "00-$TRACE-$PARENT-01"
	expect_eq "$what: what others say of it" "$(field tracestate "$got")" a=b
	expect_eq "$what: no second trace" "$(field x-b3-traceid "$got")" ""
	expect_eq "$what: a path that is rewritten" "$(field x-envoy-original-path "$got")" /old
done

# ---- counters ----

before=$(of_route 4 upstream_rq_2xx)
requests=$(of_cluster v1 upstream_rq_total)
for _ in 1 2 3 4 5; do ask 4 /anything >/dev/null; done
for _ in 1 2 3; do ask 6 /status/404 >/dev/null; done
ask 4 /anything -H 'end-user: jason' >/dev/null
ask 4 /gone >/dev/null
expect_eq "aborted" "$(ask 4 /fault -o /dev/null -w '%{http_code}')" 555
expect_eq "2xx of a route" $(($(of_route 4 upstream_rq_2xx) - before)) 5
expect_eq "4xx" "$(of_route 4 upstream_rq_4xx)" 3
expect_eq "jason's" "$(of_route 0 upstream_rq_total)" 1
expect_eq "those of v2" "$(of_cluster v2 upstream_rq_total)" 1
expect_eq "redirects" "$(of_route 1 rq_redirect)" 1
expect_eq "aborts" "$(of_route 2 fault.aborts_injected)" 1
expect_eq "of which the endpoint knows nothing" "$(of_route 2 upstream_rq_total)" 0
expect_eq "requests of v1" $(($(of_cluster v1 upstream_rq_total) - requests)) 8
expect_eq "under way" "$(of_cluster v1 upstream_rq_active)" 0
expect_match "times" "$(weft stats 'reviews/http[0].upstream_rq_time:')" 'P50\(nan,[0-9.]+\).* P99\(nan,'
expect_eq "with nothing but bpftool" "$(dumped http_routes "default/reviews/http[0]" upstream_rq_2xx)" 1

# ---- under way ----

(ask 4 /delay/3000 -H 'end-user: jason' >/dev/null) &
slow=$!
request() { weft conns -o json | jq -c '.[] | select(.protocol == "http") | [.client, .method, .path, .subset, .state, .endpoint]'; }
wait_until 3 eval '[ -n "$(request)" ]'
wait_until 3 eval 'grep -q waiting <<<"$(request)"'
expect_eq "weft conns" "$(request)" \
	"[\"default/client\",\"GET\",\"/delay/3000\",\"v2\",\"waiting\",\"$(addr 4 two):8080\"]"
expect_match "as a table" "$(weft conns)" "default/client .* GET +/delay/3000 .* [0-9]+ B +[0-9]+ B$"
expect_eq "counted as active" "$(of_cluster v2 upstream_rq_active)" 1
wait $slow
expect_eq "afterwards" "$(request)" ""

# ---- what would become of one ----

explain() { weft explain --from default/client --to reviews:80 "$@" -o json; }
expect_eq "jason's way" "$(explain --header end-user=jason --path /x | jq -r '.destinations[0].subset')" v2
expect_eq "everyone else's" "$(explain --header end-user=other --path /x | jq -r '.destinations[0].subset')" v1
expect_eq "a redirect" "$(explain --path /gone | jq -r '.action + " " + .redirect.path')" "redirect /anything"
expect_eq "the same as from the files, but for where they are" \
	"$(explain --path /fault --method POST | jq -cS 'walk(if type == "object" then del(.at) else . end)')" \
	"$(explain --path /fault --method POST -f "$TMP/rules.yaml" | jq -cS 'walk(if type == "object" then del(.at) else . end)')"
expect_match "for people" "$(weft explain --from default/client --to reviews:80 --path /gone)" '^action: redirect'
