#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The mirroring tutorial: version two of httpbin gets a copy of what version one is asked, under another name, as often as the rule
# says; whatever version two does with it, callers notice nothing.
. "${0%/*}/lib.sh"
RULES=$ROOT/yaml-rules/httpbin
URL=http://httpbin:8000
marks=0

rules() { weft apply -f "$RULES/$1.yaml" >/dev/null; }

# mirror [PERCENT]: to version two, with no percentage unless given
mirror() {
	apply <<-END
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: httpbin}
	spec:
	  hosts: [httpbin]
	  http:
	  - route:
	    - destination: {host: httpbin, subset: v1}
	    mirror: {host: httpbin, subset: v2}
	    ${1:+mirrorPercentage: {value: $1\}}
	END
}

# logged VERSION TEXT: how many lines of that version's log have it
logged() { grep -cF -- "$2" "$TMP/httpbin-$1.log" || true; }

logged_at_least() { (($(logged "$1" "$2") >= $3)); }

# settle: all that was mirrored before has been logged when the copy of another request is
settle() {
	local mark=mark-$((++marks))
	mirror
	call sleep -o "$TMP/body" "$URL/get?$mark"
	wait_until 10 logged_at_least v2 "$mark" 1
}

# ask N QUERY: N requests over one connection, each answered with 200 by version one, and all of them soon
ask() {
	local before got took
	before=$(milliseconds)
	got=$(call sleep -o "$TMP/body" -w '%{http_code}\n' "$URL/get?$2-[1-$1]" | sort | uniq -c | xargs)
	took=$(($(milliseconds) - before))
	expect_eq "IPv$family, $2: answers" "$got" "$1 200"
	expect_eq "IPv$family, $2: asked of v1" "$(logged v1 "$2-")" "$1"
	expect_took "IPv$family, $2: $1 of them" $took 0 $((3000 + $1 * 100))
}

# share PERCENT|'': of 100 requests (or fewer), that many percent are mirrored; to within two, unless it is all or none
share() {
	local n want off=2 query=share$family-${1:-absent}
	n=$(rounds 100 10)
	want=$((n * ${1:-100} / 100))
	((want > 0 && want < n)) || off=0
	mirror "$1"
	ask "$n" "$query"
	wait_until 10 logged_at_least v2 "$query-" $((want - off))
	settle
	expect_between "IPv$family: of $n with percentage '$1', mirrored" "$(logged v2 "$query-")" $((want - off)) $((want + off))
}

signal_v2() {
	local pid
	for pid in $(ip netns pids "$(netns httpbin-v2)"); do
		kill "-$1" "$pid"
	done
}

both_log_it() {
	rules all-v1
	call sleep -o "$TMP/body" "$URL/headers?alone$family"
	rules mirror
	call sleep "$URL/headers?both$family" >"$TMP/body"
	expect_eq "IPv$family: host that the caller sees" "$(jq -r .headers.Host "$TMP/body")" httpbin:8000
	wait_until 10 logged_at_least v2 "both$family" 1
	expect_match "IPv$family: log of v1" "$(<"$TMP/httpbin-v1.log")" \
		"$(addr "$family" sleep) .GET /headers.both$family HTTP/1.1. 200 [0-9]+ host=httpbin:8000\$"
	expect_match "IPv$family: log of v2" "$(<"$TMP/httpbin-v2.log")" \
		"GET /headers.both$family HTTP/1.1. 200 [0-9]+ host=httpbin-shadow:8000\$"
	expect_eq "IPv$family: without a mirror, v2 sees" "$(logged v2 "alone$family")" 0
	head -c 100000 /dev/zero | tr '\0' x | call sleep --data-binary @- -o "$TMP/body" "$URL/post?body$family"
	wait_until 10 logged_at_least v2 "body$family" 1
	expect_eq "IPv$family: body that v1 got" "$(jq -r '.form | keys[0] | length' "$TMP/body")" 100000
	expect_match "IPv$family: body that v2 got" "$(<"$TMP/httpbin-v2.log")" "POST /post.body$family HTTP/1.1. 200 100[0-9]{3} "
}

# A mirror that answers with something else, late, or never.
nobody_notices() {
	local n
	n=$(rounds 50 10)
	mirror
	signal_v2 STOP
	ask "$n" "slow$family"
	signal_v2 CONT
	wait_until 20 logged_at_least v2 "slow$family-" "$n"

	ns_kill httpbin-v2
	ask "$n" "dead$family"
	in_ns httpbin-v2 ip route add blackhole "$(addr 4 sleep)"
	in_ns httpbin-v2 ip route add blackhole "$(addr 6 sleep)"
	ask "$n" "silent$family"
	in_ns httpbin-v2 ip route del blackhole "$(addr 4 sleep)"
	in_ns httpbin-v2 ip route del blackhole "$(addr 6 sleep)"

	bookinfo_start httpbin-v2 ratings 80
	apps_ready httpbin-v2
	ask "$n" "other$family"
	wait_until 10 logged_at_least v2 "other$family-" "$n"
	expect_match "IPv$family: what the mirror answered" "$(<"$TMP/httpbin-v2.log")" "GET /get.other$family-1 HTTP/1.1. 404 "
}

node_up
hosts
pod_add sleep 10
pod_add httpbin-v1 41
pod_add httpbin-v2 42
httpbin_start httpbin-v1
httpbin_start httpbin-v2
apps_ready httpbin-v1 httpbin-v2
weftd_start
weft apply -f "$RULES/httpbin.yaml" -f "$RULES/destination-rule.yaml" -f "$RULES/httpbin-gateway.yaml"

for family in 4 6; do
	hosts httpbin="$(vip $family 41)"
	both_log_it
	for percent in '' 100 50 10 0; do
		share "$percent"
	done
	expect_eq "IPv$family: from outside" \
		"$(call world -o "$TMP/body" -w '%{http_code}' "http://$(hostport "$(addr "$family" node)" 80)/get")" 200
done
for family in 4 6; do
	hosts httpbin="$(vip $family 41)"
	nobody_notices
done
