#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Bookinfo tutorials step by step: request routing, traffic shifting, fault injection, request timeouts, and the gateway. Checked
# is what the page shows a user, signed in as jason or not.
. "${0%/*}/lib.sh"
URL=http://productpage:9080

rules() { weft apply -f "$BOOKINFO/$1.yaml" >/dev/null; }

# call_ms FROM curl's arguments...: body in $TMP/page, status in $STATUS, milliseconds in $TOOK
call_ms() {
	local seconds
	read -r STATUS seconds < <(call "$@" -o "$TMP/page" -w '%{http_code} %{time_total}\n')
	TOOK=$(awk -v s="$seconds" 'BEGIN { printf "%d", s * 1000 }')
}

# page WHO SEES [LEAST MOST]: and how many milliseconds it may take
page() {
	call_ms "$FROM" -b "$TMP/$1" "$URL/productpage"
	expect_eq "IPv$family, $FROM, $1: status" "$STATUS" 200
	expect_eq "IPv$family, $FROM, $1 sees" "$(bookinfo_seen "$TMP/page")" "$2"
	[ -z "${3:-}" ] || expect_took "IPv$family, $FROM, $1" "$TOOK" "$3" "$4"
}

sign_in() {
	call "$FROM" -c "$TMP/jason" -d username=jason -o "$TMP/page" "$URL/login"
	: >"$TMP/visitor"
}

# pages N BLACK RED: of N pages, how many have which stars, to within one
pages() {
	call "$FROM" "$URL/productpage?[1-$1]" >"$TMP/page"
	expect_eq "IPv$family: pages" "$(grep -c 'Reviews served by' "$TMP/page")" "$1"
	expect_between "IPv$family: black stars" "$(grep -c 'color="black">★★★★★<' "$TMP/page" || true)" "$2" $(($2 + ($2 > 0)))
	expect_between "IPv$family: red stars" "$(grep -c 'color="red">★★★★★<' "$TMP/page" || true)" $(($3 - 1)) $(($3 + 1))
}

request_routing() {
	rules virtual-service-all-v1
	page visitor "no stars"
	page jason "no stars"
	rules virtual-service-reviews-test-v2
	page jason "black stars"
	page visitor "no stars"
}

# The id of a call goes all the way down, and so does the user.
passed_on() {
	local id=call-$family
	call "$FROM" -b "$TMP/jason" -H "x-request-id: $id" -H 'end-user: mallory' -o "$TMP/page" "$URL/productpage"
	expect_match "IPv$family: what reviews was asked" "$(<"$TMP/reviews-v2.log")" \
		"$(addr "$family" productpage-v1) .GET /reviews/0 .* 200 host=reviews:9080 end-user=jason id=$id"
	expect_match "IPv$family: what ratings was asked" "$(<"$TMP/ratings-v1.log")" \
		"$(addr "$family" reviews-v2) .GET /ratings/0 .* 200 host=ratings:9080 end-user=jason id=$id"
}

fault_injection() {
	rules virtual-service-ratings-test-delay
	page jason "no reviews" 6000 7500
	page visitor "no stars" 0 2000
	rules virtual-service-ratings-test-abort
	page jason "no ratings" 0 2000
	page visitor "no stars" 0 2000
}

request_timeouts() {
	rules virtual-service-all-v1
	rules request-timeout-1-reviews-v2
	page visitor "black stars" 0 2000
	rules request-timeout-2-ratings-delay
	page visitor "black stars" 2000 3500
	rules request-timeout-3-reviews-timeout
	page visitor "no reviews" 1000 2000
	call_ms "$FROM" http://reviews:9080/reviews/0
	expect_eq "IPv$family: a bare client" "$STATUS $(<"$TMP/page")" "504 upstream request timeout"
	expect_took "IPv$family: a bare client" "$TOOK" 500 1200
}

traffic_shifting() {
	local n
	n=$(rounds 100 10)
	rules virtual-service-all-v1
	pages "$n" 0 0
	rules virtual-service-reviews-50-v3
	pages "$n" 0 $((n / 2))
	rules virtual-service-reviews-v3
	pages "$n" 0 "$n"
}

# from outside: by the gateway's port and by its NodePort; the routes of the gateway alone count, and those of the mesh further in
from_outside() {
	local port
	rules virtual-service-reviews-test-v2
	for port in 80 31380; do
		URL=http://$(hostport "$(addr "$family" node)" $port)
		sign_in
		page jason "black stars"
		page visitor "no stars"
		call_ms "$FROM" "$URL/details/0"
		expect_eq "IPv$family, port $port: /details/0" "$STATUS" 404
	done
	URL=http://productpage:9080
}

node_up
pod_add sleep 10
bookinfo_up
weftd_start
bookinfo_rules

for family in 4 6; do
	bookinfo_hosts $family
	FROM="sleep"
	sign_in
	request_routing
	passed_on
	fault_injection
	request_timeouts
	traffic_shifting
	FROM=world
	from_outside
done
