#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# weft logs shows requests without --access-log: what was before, what comes, with the names of who calls whom, as filters ask for it;
# proxies tell nothing while nothing follows, and go on after weftd or a proxy has been replaced.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add other 2
pod_add one 3 app=web,version=v1
pod_add two 4 app=web,version=v2
http_echo_start one 8080 one
http_echo_start two 8080 two
weftd_start
{
	rules_pods
	PROTOCOL=http rules_service web 10 80:8080 app=web
	rules_subsets web "v1 v2"
	PROTOCOL=http rules_routes web "- match: [{uri: {prefix: /v2}}]
  route: [{destination: {host: web, subset: v2}}]
- match: [{uri: {prefix: /away}}]
  redirect: {uri: /v2}
- match: [{uri: {prefix: /fault}}]
  fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
  route: [{destination: {host: web, subset: v1}}]
- match: [{uri: {prefix: /v1}}]
  route: [{destination: {host: web, subset: v1}}]"
} | apply

ask() { http_load "$1" "$(vip 4 10)" 80 -p "$2" -n "${3:-1}" >/dev/null; }
# shown OPTION...: paths of the entries, in order
shown() { weft logs -o json "$@" | jq -rs '[.[].path] | join(" ")'; }

# What was before: kept by weft-proxy.
ask client /v1/a
ask other /v2/b
ask client /away
ask client /fault
ask client /nowhere
ask client "/query?a=b"
expect_eq "nothing follows: the latest are there all the same" "$(shown)" "/v1/a /v2/b /away /fault /nowhere /query?a=b"
expect_eq "the last ones" "$(shown --last 2)" "/nowhere /query?a=b"
expect_eq "by who calls: a pod" "$(shown --from other)" "/v2/b"
expect_eq "a pod of a namespace" "$(shown --from default/client --to two)" ""
expect_eq "a namespace" "$(shown --from default/ --to default/two)" "/v2/b"
expect_eq "an address" "$(shown --from "$(addr 4 other)")" "/v2/b"
expect_eq "addresses" "$(shown --from 10.244.0.2/31 --status 200)" "/v2/b"
expect_eq "an app" "$(shown --to web --status 2xx)" "/v1/a /v2/b"
expect_eq "a host" "$(shown --to 'web.default.*' --status 200 --from cl*)" "/v1/a"
expect_eq "statuses" "$(shown --status 3xx,418)" "/away /fault"
expect_eq "given more than once" "$(shown --status 301 --status 400-410)" "/away /nowhere /query?a=b"
expect_eq "verdicts" "$(weft logs -o json | jq -rs '[.[] | "\(.path)=\(.verdict)"] | join(" ")')" \
	"/v1/a=forwarded /v2/b=forwarded /away=answered /fault=answered /nowhere=refused /query?a=b=refused"
expect_eq "by verdict" "$(shown --verdict refused)" "/nowhere /query?a=b"
expect_eq "in Hubble's words" "$(shown --verdict DROPPED --last 1)" "/query?a=b"
expect_eq "another namespace" "$(shown -n shop)" ""
expect_eq "of this one" "$(shown -n default --last 1)" "/query?a=b"
expect_eq "since a time" "$(shown --since "$(weft logs -o json --to two | jq -r .time)" | wc -w)" 5
expect_eq "since then" "$(shown --since 1h --protocol http | wc -w)" 6
expect_eq "nothing" "$(shown --protocol tcp)" ""
expect_match "for people" "$(weft logs --to two)" "^[0-9:.]{12} default/other -> web.default \(default/two\) 200 GET /v2/b [0-9]+ms$"
expect_match "why" "$(weft logs --last 1 --verdict refused)" " 404 GET /query\?a=b [0-9]+ms refused NR route_not_found$"
expect_match "Istio's format" "$(weft logs -o text --to two)" \
	"^\[[^]]+Z\] \"GET /v2/b HTTP/1.1\" 200 - via_upstream - \"-\" 0 [0-9]+ .* outbound\|80\|v2\|web.default.svc.cluster.local .* default/web/http\[0\]$"

# Wrong ones are told.
expect_match "no status" "$(weft logs --status abc 2>&1 || true)" '^--status: a status as 200, 5xx or 400-499 is expected, not "abc"$'
expect_match "no verdict" "$(weft logs --verdict ok 2>&1 || true)" '^--verdict: forwarded, answered, refused or failed is expected, not "ok"$'
expect_match "no end" "$(weft logs --to a/b/c 2>&1 || true)" '^--to: NAME, NAMESPACE/NAME, NAMESPACE/ or an address is expected, not "a/b/c"$'
expect_match "no time" "$(weft logs --since soon 2>&1 || true)" '^weft: --since: a time as 5m'

# What comes.
follow() { # appends: the file may be emptied
	"$OUT/weft" --run-dir "$TMP/run" logs -f -o json "$@" >>"$TMP/followed" &
	FOLLOWER=$!
}
followed() { jq -rs '[.[].path] | join(" ")' "$TMP/followed"; }
follow --last 0 --from client
sleep 1
ask client /v1/c
ask other /v1/d
ask client /v2/e
wait_until 5 eval '[ "$(followed)" = "/v1/c /v2/e" ]'
say "ok: what comes: $(followed)"

# Connections that the kernel's side refuses, at connect() and by their packets.
rules_service nobody 30 9000 app=nobody | apply
for way in $(ways); do
	callers "$way"
	load client "$(vip 4 30)" 9000 >/dev/null || true
	wait_until 5 eval '[ "$(jq -rs "[.[] | select(.reason == \"no_endpoint\")] | length" "$TMP/followed")" -ge 1 ]'
	expect_eq "$way: a refused connection" "$(jq -rs '.[-1] | select(.reason) | "\(.verdict) \(.source.pod) \(.destination.address):\(.destination.port)"' "$TMP/followed")" \
		"refused client $(vip 4 30):9000"
	: >"$TMP/followed"
done
callers inside
expect_match "for people" "$(weft logs --protocol tcp --verdict refused --last 1)" "^[0-9:.]{12} default/client -> 10.96.0.30:9000 tcp no_endpoint refused$"
ask client /v1/c
ask client /v2/e

# All of many, from all workers.
ask client /v1/many 500
many() { jq -rs '[.[] | select(.path == "/v1/many")] | length' "$TMP/followed"; }
wait_until 10 eval '[ "$(many)" = 500 ]'
say "ok: 500 requests: $(many) entries"

# Another weft-proxy tells on.
pid=$(proxy_pid)
kill -9 "$pid"
wait_until 10 eval '[ "$(proxy_pid)" != 0 ] && [ "$(proxy_pid)" != $pid ]'
wait_until 10 ask client /v1/again
wait_until 5 eval '[[ $(followed) = */v1/again* ]]'
say "ok: another weft-proxy tells on"

# Nothing is told when nothing follows: the pipe is gone from the proxy.
pipes() { find "/proc/$(proxy_pid)/fd" -lname 'pipe:*' 2>/dev/null | wc -l; }
before=$(pipes)
kill -INT "$FOLLOWER"
wait "$FOLLOWER"
wait_until 15 eval '[ "$(pipes)" = $((before - 1)) ]'
say "ok: nothing follows, and weft-proxy has $(pipes) pipes in place of $before"
ask client /v1/more 200
# Up to 20 of each second and worker; two workers and two seconds at most.
expect_between "of 200 requests, those that are kept" "$(weft logs -o json --last 1000 | jq -rs '[.[] | select(.path == "/v1/more")] | length')" 20 160

# The next weftd.
weftd_kill9
weftd_start
ask client /v1/next
expect_match "the next weftd follows the same weft-proxy" "$(shown --last 1)" "^/v1/next$"
