#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A DestinationRule's tcpKeepalive is set on the calling pod's own socket, and on none where no rule asks for it.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo
echo_start one 9000,9001 one
weftd_start
{
	rules_pods
	rules_service kept 10 9000 app=echo
	rules_subsets kept "" "connectionPool: {tcp: {tcpKeepalive: {time: 45s, interval: 7s, probes: 4}}}"
	rules_service plain 11 9001 app=echo
} | apply

callers inside # sockets outside of the cgroup are never seen by weft's programs on it

# timer PORT: what ss says about the timer of the pod's only connection there
timer() {
	local said
	said=$(in_ns client ss -Htno state established dport = ":$1")
	[ "$(grep -c . <<<"$said")" = 1 ] || fail "one connection to port $1 is expected: '$said'"
	grep -o 'timer:([^)]*)' <<<"$said" || echo none
}
# Of what was just said an answer is still outstanding: another timer.
quiet() { [[ $(timer "$1") != *timer:\(on* ]]; }

for family in 4 6; do
	pids=()
	for service in 10,9000 11,9001; do
		load_start client "$TMP/$service" "$(vip $family "${service%,*}")" "${service#*,}" -s hello -e hold --ready "$TMP/ready"
		pids+=("$STARTED")
		wait_until 5 test -e "$TMP/ready"
		rm "$TMP/ready"
		wait_until 5 quiet "${service#*,}"
	done
	expect_match "IPv$family: 45 s of tcpKeepalive: $(timer 9000)" "$(timer 9000)" '^timer:\(keepalive,(4[0-5]|3[0-9])sec,0\)$'
	expect_eq "IPv$family: without tcpKeepalive" "$(timer 9001)" none
	kill -TERM "${pids[@]}"
	wait "${pids[@]}"
	expect_eq "IPv$family: both came there" "$(<"$TMP/10,9000") $(<"$TMP/11,9001")" '{"one":1} {"one":1}'
done
