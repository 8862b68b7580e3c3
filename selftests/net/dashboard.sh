#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The page in the browser: what weftd serves, and to whom; then in a real browser Istio's tutorials as they are seen there: jason's
# route, 80/20, the delay, the circuit breaker. Without a browser (selftests/page/prepare) that part is not run.
#
#   WEFT_SHOTS   a directory for pictures, as docs/images has them
. "${0%/*}/lib.sh"
AT=127.0.0.1:15021
SEE=$OUT/page # what drives the browser
TOLD=Bearer-of-secrets

get() { in_ns node curl -s --max-time $((10 * SLOWER)) --compressed "$@"; }
status_of() { get -o /dev/null -w '%{http_code}' "$@"; }
# events SECONDS: what one that watches is told in that time
events() { in_ns node timeout "$1" curl -sN "http://$AT/api/events" || true; }
# From standard input: where a rule stands is seen in pictures.
rules() { weft apply -f - <"$BOOKINFO/$1.yaml" >/dev/null; }

# ---- what is served ----

served() {
	expect_eq "where it is" "$(weft dashboard --browser=false)" "http://$AT/"
	expect_eq "in JSON" "$(weft dashboard -o json | jq -c .)" "{\"url\":\"http://$AT/\"}"
	expect_match "the page" "$(get "http://$AT/")" '<title>weft</title>'
	expect_match "nothing else is run or loaded" "$(get -D - -o /dev/null "http://$AT/")" \
		"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self';"
	expect_eq "what is not there" "$(status_of "http://$AT/passwd") $(status_of "http://$AT/api/passwd")" "404 404"
}

refused() {
	local host
	expect_eq "by localhost" "$(status_of -H 'Host: localhost:15021' "http://$AT/")" 200
	for host in weft.example 127.0.0.1.weft.example localhost.weft.example; do
		expect_eq "by the name $host" "$(status_of -H "Host: $host" "http://$AT/api/events")" 421
	done
	expect_eq "asked for by pages of other sites" "$(for site in cross-site same-site; do
		status_of -H "Sec-Fetch-Site: $site" -H 'Sec-Fetch-Mode: no-cors' "http://$AT/api/conns"
	done)" 403403
	expect_eq "their links" "$(status_of -H 'Sec-Fetch-Site: cross-site' -H 'Sec-Fetch-Mode: navigate' "http://$AT/")" 200
	expect_eq "the page itself" "$(status_of -H 'Sec-Fetch-Site: same-origin' -H 'Sec-Fetch-Mode: cors' "http://$AT/api/conns")" 200
	expect_eq "other methods" "$(status_of -X POST -d x "http://$AT/api/explain") $(status_of -X DELETE "http://$AT/")" "405 405"
	expect_eq "what is not shown" "$(for kind in Pod Secret Namespace; do status_of "http://$AT/api/object?kind=$kind&name=sleep"; done)" "400400400"
}

asked() {
	local yaml
	yaml=$(get "http://$AT/api/object?kind=VirtualService&namespace=default&name=reviews" | jq -r .yaml)
	expect_match "a rule's YAML" "$yaml" 'subset: v1'
	expect_match "why" "$(get "http://$AT/api/explain?namespace=default&pod=sleep&host=reviews&port=9080&path=/reviews/0" | jq -r .text)" \
		'VirtualService default/reviews'
	expect_eq "who is not there" "$(status_of "http://$AT/api/explain?namespace=default&pod=nobody&host=reviews&port=9080")" 400
	expect_match "connections" "$(get "http://$AT/api/conns?limit=3" | jq -c .)" '"count":[0-9]+'
}

# Values of such headers, wherever they could be told.
secrets() {
	local what all
	apply <<-END
		apiVersion: networking.istio.io/v1beta1
		kind: VirtualService
		metadata: {name: details, namespace: default}
		spec:
		  hosts: [details]
		  http:
		  - match: [{headers: {authorization: {exact: $TOLD}}}]
		    headers: {request: {set: {Cookie: $TOLD, x-plain: told}}}
		    route: [{destination: {host: details, subset: v1}}]
		  - route: [{destination: {host: details, subset: v1}}]
	END
	all=$(get "http://$AT/api/object?kind=VirtualService&namespace=default&name=details"
		get "http://$AT/api/explain?namespace=default&pod=sleep&host=details&port=9080&header=authorization=$TOLD"
		events 3)
	expect_match "what else the rule says is told" "$all" 'x-plain: told'
	expect_match "that there is such a header is told" "$all" 'not shown'
	expect_eq "its value is not" "$(grep -c "$TOLD" <<<"$all" || true)" 0
}

# Counters that go up, as rates.
streamed() {
	local all
	all=$(events 4)
	for what in mesh pods clusters traffic; do
		expect_match "one that watches is told of $what" "$all" "^event: $what\$"
	done
	expect_match "services" "$all" '"services":.*\["default","reviews",\[9080\]\]'
}

# ---- what is seen ----

see() { in_ns node node "$ROOT/selftests/page/see.mjs" "$SEE" http://127.0.0.1:9222 "$@"; }
shot() { [ -z "${WEFT_SHOTS:-}" ] || see shot "$WEFT_SHOTS/$1.png"; }
browser_answers() { get http://127.0.0.1:9222/json/version | grep -q Browser; }

browser_start() {
	in_ns_exec node chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
		--disable-background-networking --disable-component-update --remote-debugging-port=9222 \
		--user-data-dir="$TMP/browser" about:blank >"$TMP/browser.log" 2>&1 &
	wait_until 30 browser_answers
}

# visit NAME RATE: pages a second, signed in as NAME or not, for as long as the test goes on
visit() {
	(in_pod_exec sleep curl -s -o /dev/null -b "$TMP/$1" --rate "$2/s" --max-time 20 "http://productpage:9080/productpage?[1-100000]") &
}

# seen EDGE PATTERN: what stands on it matches, with new lines as blanks
on_edge() { see edges | jq -r --arg edge "$1" '.[$edge] // "no such edge" | gsub("\n"; " ")'; }
on_node() { see nodes | jq -r --arg node "$1" '.[$node] // "no such node" | gsub("\n"; " ")'; }
edge_has() { [[ $(on_edge "$1") =~ $2 ]]; }
node_has() { [[ $(on_node "$1") =~ $2 ]]; }
seen() {
	wait_until 30 edge_has "$1" "$2"
	expect_match "seen from $1" "$(on_edge "$1")" "$2"
}

jason() {
	rules virtual-service-all-v1
	rules virtual-service-reviews-test-v2
	seen "reviews > reviews-v2" '100 % if .*end-user.*jason.*/s'
	seen "reviews > reviews-v1" '100 %.*/s|/s'
	expect_eq "reviews-v3 gets nothing" "$(on_edge "reviews > reviews-v3")" "no such edge"
	shot page-jason
	see pick reviews reviews-v2 >"$TMP/said"
	expect_match "the rule" "$(<"$TMP/said")" 'if .*end-user.*jason'
	expect_match "its YAML" "$(<"$TMP/said")" 'exact: jason'
	expect_match "its counters" "$(<"$TMP/said")" 'http\[0\]: [1-9][0-9]* requests \([1-9][0-9]* × 2xx'
	shot page-details
	expect_match "why" "$(see why default/productpage-v1 reviews:9080 /reviews/0 "end-user: jason")" 'subset v2|v2'
	shot page-why
	see unwhy
}

shifted() {
	rules virtual-service-all-v1
	apply <<-END
		apiVersion: networking.istio.io/v1beta1
		kind: VirtualService
		metadata: {name: reviews, namespace: default}
		spec:
		  hosts: [reviews]
		  http:
		  - route:
		    - {destination: {host: reviews, subset: v1}, weight: 80}
		    - {destination: {host: reviews, subset: v2}, weight: 20}
	END
	seen "reviews > reviews-v1" '80 %.*/s'
	seen "reviews > reviews-v2" '20 %.*/s'
	shot page-80-20
	see view list
	expect_match "in the list" "$(see list)" 'reviews \| reviews-v1 \| default \| http \|.*\| 80 %'
	shot page-list
	see axe
	see view graph
}

delayed() {
	rules virtual-service-reviews-test-v2
	rules virtual-service-ratings-test-delay
	wait_until 20 node_has ratings 'delay 7 s \(100 %\) if .*jason'
	expect_match "the delay" "$(on_node ratings)" 'delay 7 s \(100 %\) if .*end-user.*jason'
	shot page-delay
	rules virtual-service-all-v1
}

broken() {
	rules_subsets details v1 "$(printf 'connectionPool:\n  tcp: {maxConnections: 1}\n  http: {http1MaxPendingRequests: 1, maxRequestsPerConnection: 1}\n')" | apply
	http_load_start sleep "$TMP/load" "$(vip 4 22)" 9080 -p /details/0 -d 600 -c 4
	seen "sleep > details" 'fail .*limit reached.*\(bad\)'
	shot page-breaker
}

# Dark and light, on a phone, and by keyboard.
usable() {
	see axe
	see keys
	export PAGE_SIZE=390x800 PAGE_THEME=light
	see open "http://$AT/"
	shot page-phone
	see axe
	see errors
	unset PAGE_SIZE PAGE_THEME
}

node_up
pod_add sleep 10
bookinfo_up
weftd_start --dashboard "$AT"
bookinfo_rules
bookinfo_hosts 4
rules virtual-service-all-v1
served
refused
asked
secrets
streamed

if "$ROOT/selftests/page/prepare" "$SEE" >"$TMP/prepare.log" 2>&1; then
	call sleep -c "$TMP/jason" -d username=jason -o /dev/null http://productpage:9080/login
	: >"$TMP/visitor"
	visit visitor 8
	visit jason 4
	browser_start
	see open "http://$AT/"
	jason
	shifted
	delayed
	broken
	see errors
	usable
elif [ -n "${WEFT_ALL:-}" ]; then
	fail "there is no browser: $(tail -n 3 "$TMP/prepare.log")"
else
	say "not run: what is seen in a browser, for want of one: $(tail -n 1 "$TMP/prepare.log")"
fi

# One that watches does not keep weftd from ending.
in_ns_exec node curl -sN "http://$AT/api/events" >/dev/null &
begin=$(milliseconds)
weftd_stop
expect_took "ended" $(($(milliseconds) - begin)) 0 3000
weftd_start
expect_eq "off" "$(status_of "http://$AT/" || true)" 000
expect_eq "and said so" "$(weft dashboard 2>&1 || true)" \
	"weft: weftd does not serve the page: start it with --dashboard 127.0.0.1:15021"
