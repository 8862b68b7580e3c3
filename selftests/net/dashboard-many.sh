#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The page with a made-up mesh of 1,000 services in one namespace: they are seen, clicked on, reached by keyboard, and no frame is long
# while all figures change. Without a browser (selftests/page/prepare) it is not run.
. "${0%/*}/lib.sh"
SEE=$OUT/page # what drives the browser
AT=http://127.0.0.1:15080/

see() { in_ns node node "$ROOT/selftests/page/see.mjs" "$SEE" http://127.0.0.1:9222 "$@"; }
answers() { in_ns node curl -s -o /dev/null --max-time 5 "$1"; }

browser_start() {
	in_ns_exec node chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
		--disable-background-networking --disable-component-update --remote-debugging-port=9222 \
		--user-data-dir="$TMP/browser" about:blank >"$TMP/browser.log" 2>&1 &
	wait_until 30 answers http://127.0.0.1:9222/json/version
}

# painted WORKS FAILS: so many dots of each color are seen, at least
painted() {
	local works fails
	read -r works fails <<<"$(see painted)"
	[ "$works" -ge "$1" ] && [ "$fails" -ge "$2" ]
}

# The longest piece of work of the page's thread, in milliseconds of processor time: 50, and what a busy machine's caches cost.
frames() {
	local what=$1 longest
	longest=$(see frames 5 | jq ".most | floor")
	say "$what: $longest ms"
	[ "$longest" -le $((75 * SLOWER)) ] || fail "$what: a frame took $longest ms"
}

rows_are() { [ "$(see list | sort -u | wc -l)" = "$1" ]; }

node_up
if ! "$ROOT/selftests/page/prepare" "$SEE" >"$TMP/prepare.log" 2>&1; then
	[ -z "${WEFT_ALL:-}" ] || fail "there is no browser: $(tail -n 3 "$TMP/prepare.log")"
	say "not run, for want of a browser: $(tail -n 1 "$TMP/prepare.log")"
	exit 0
fi

in_ns_exec node "$ROOT/selftests/apps/page-feed.py" "$ROOT/user/daemon/page/assets" 15080 1000 1000 &
wait_until 30 answers "$AT"
browser_start
see open "$AT"
frames "the graph is dragged"
said=$(see point service-0000)
expect_match "a service that is clicked on" "$said" 'service in shop-00'
expect_match "its rules" "$said" 'VirtualService shop-00/service-0000'
wait_until 10 painted 100 100 || fail "what works and what fails is not seen"
see keys
see axe
see view list
wait_until 10 rows_are 100
see rows
frames "the list"
see axe
export PAGE_SIZE=390x800
see open "$AT"
see view graph
expect_match "a service that is touched on a phone" "$(see point service-0000 finger)" 'service in shop-00'
see errors
