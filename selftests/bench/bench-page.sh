#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bench-page: how long a frame of the page takes with a made-up mesh of 1,000 services whose figures all change every second, while its
# graph is dragged: in 40 namespaces, of which an overview is drawn, one of these, and all in one namespace; and of their list. In headless
# Chromium, without a graphics card, in processor time of the page's thread. In a network namespace of its own.
#
#   bench-page.sh [SERVICES]
set -eu
cd "${0%/*}/../.."
OUT=${WEFT_OUT:-$PWD/.output}
NS=wb-page-$$
tmp=$(mktemp -d)
jobs=()
cleanup() {
	for pid in "${jobs[@]}" $(ip netns pids $NS); do kill -9 "$pid" 2>/dev/null || true; done
	ip netns del $NS
	rm -rf "$tmp"
}
trap cleanup EXIT
# A command in the background there is that command itself.
in_ns() { nsenter --net=/run/netns/$NS "$@"; }
see() { in_ns node selftests/page/see.mjs "$OUT/page" http://127.0.0.1:9222 "$@"; }
# until_there URL
until_there() {
	for _ in $(seq 200); do
		in_ns curl -s -o /dev/null "$1" && return
		sleep 0.1
	done
	echo "bench-page: nothing answers at $1" >&2
	return 1
}

selftests/page/prepare "$OUT/page"
ip netns add $NS
ip -n $NS link set lo up
for per in 25 "${1:-1000}"; do
	in_ns selftests/apps/page-feed.py user/daemon/page/assets $((15000 + per)) "${1:-1000}" "$per" &
	jobs+=($!)
done
in_ns chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-background-networking \
	--disable-component-update --remote-debugging-port=9222 --user-data-dir="$tmp/browser" about:blank >"$tmp/browser.log" 2>&1 &
jobs+=($!)
until_there http://127.0.0.1:9222/json/version

# measure WHAT PORT [COMMAND...]: of see.mjs, once the page is there
measure() {
	until_there "http://127.0.0.1:$2/"
	see open "http://127.0.0.1:$2/"
	[ $# -lt 3 ] || see "${@:3}"
	sleep 5
	printf '%s: ' "$1"
	see frames 10
	[ -z "${WEFT_SHOTS:-}" ] || see shot "$WEFT_SHOTS/page-1000-$2.png"
	see errors
}
measure "an overview of 40 namespaces" 15025
measure "one of these" 15025 namespace shop-07
measure "all in one namespace" $((15000 + ${1:-1000}))
measure "the list of all" $((15000 + ${1:-1000})) view list
