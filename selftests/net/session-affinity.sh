#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sessionAffinity: ClientIP keeps a client on its endpoint until its timeout has passed without a connection.
. "${0%/*}/lib.sh"

TIMEOUT_S=$((2 * SLOWER))

node_up
for n in 1 2 3 4; do
	pod_add client$n $n app=client
done
for n in 5 6 7 8 9 10; do
	pod_add e$n $n app=echo
	echo_start e$n 9000 e$n
done
weftd_start
{
	rules_pods
	rules_service echo 10 9000 app=echo "$(printf 'sessionAffinity: ClientIP\nsessionAffinityConfig: {clientIP: {timeoutSeconds: %s}}' $TIMEOUT_S)"
} | apply

answers() { load "$1" "$(vip $family 10)" 9000 -n "$2" -c 4 -s hello | jq -r 'keys | join(" ")'; }

# keeps: client 1 calls the same endpoint three times, each time before its timeout has passed, which a busy machine may miss
keeps() {
	local before now kept=0 try=0 last
	before=$(milliseconds)
	mine[1]=$(answers client1 1)
	until ((kept == 3)); do
		((try++ < 20)) || fail "IPv$family: no call came before the timeout of the one before"
		sleep 0.9
		last=${mine[1]}
		now=$(milliseconds)
		mine[1]=$(answers client1 1)
		if (($(milliseconds) - before < TIMEOUT_S * 1000)); then
			expect_eq "IPv$family: and keeps it while it calls" "${mine[1]}" "$last"
			kept=$((kept + 1))
		fi
		before=$now
	done
}

for family in 4 6; do
	for n in 1 2 3 4; do
		got=$(answers client$n 50)
		expect_match "IPv$family: client $n has one endpoint" "$got" '^e[0-9]+$'
		mine[n]=$got
	done
	keeps
	moved=
	for _ in 1 2 3 4 5; do
		sleep $((TIMEOUT_S + 1)).2
		[ "$(answers client1 1)" = "${mine[1]}" ] || moved=yes
		[ -z "$moved" ] || break
	done
	expect_eq "IPv$family: and is free to move after the timeout" "$moved" yes
done
