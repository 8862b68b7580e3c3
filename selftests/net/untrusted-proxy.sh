#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A weft-proxy that an attacker has broken into can neither end weftd, nor keep it from its work, nor fill its memory or its log:
# TCP goes on by its rules, every command is answered, and a good weft-proxy in its place serves HTTP again.
. "${0%/*}/lib.sh"

ANSWER=$((12 * SLOWER)) # seconds that a command may take, with a proxy that says nothing, and nothing else to do
MEMORY=200000 # KiB

behave() { echo "$1" >"$TMP/broken"; }
memory() { awk '$1 == "VmHWM:" { print $2 }' "/proc/$WEFTD/status"; }
another_than() {
	local now
	now=$(proxy_pid) && [ "$now" != 0 ] && [ "$now" != "$1" ]
}
# None may be running at the moment: 0 would be this process group.
kill_proxy() {
	local pid
	pid=$(proxy_pid)
	[ "${pid:-0}" -le 0 ] || kill -9 "$pid" 2>/dev/null || true
}
# commands WHAT: each is answered, with whatever
commands() {
	local what=$1 status family result most
	most=$((ANSWER * $(slowdown)))
	for command in status conns stats "get pods" "describe svc one" "describe dr one" "describe pod one" verify-install; do
		status=0
		# shellcheck disable=SC2086 # words are meant
		timeout $most "$OUT/weft" --run-dir "$TMP/run" $command -o json >"$TMP/out" 2>&1 || status=$?
		[ "$status" -le 1 ] || fail "$what: weft $command: status $status"
		[ "$status" = 1 ] || jq . "$TMP/out" >/dev/null || fail "$what: weft $command: no JSON: $(<"$TMP/out")"
		grep -q '"connections"\|.' "$TMP/out" || fail "$what: weft $command: no answer"
	done
	weft stats >"$TMP/out" || fail "$what: no statistics"
	! grep -aqP '[\x00-\x08\x0b-\x1f\x7f]' "$TMP/out" || fail "$what: statistics that control a terminal"
	for family in 4 6; do
		result=$(load client "$(vip $family 20)" 9000 -n 5 -s hello)
		[ "$(count two "$result")" = 5 ] || fail "$what: IPv$family: TCP is not steered: $result"
	done
	kill -0 "$WEFTD" || fail "$what: weftd has ended"
	expect_between "$what: KiB that weftd has taken" "$(memory)" 1000 $MEMORY
}

both_sides_up
mkdir "$TMP/bin"
cp "$OUT"/{weft,weftd,weft-proxy} "$TMP/bin/"
mv "$TMP/bin/weft-proxy" "$TMP/bin/good"
cp "$ROOT/selftests/apps/broken-proxy.py" "$TMP/bin/weft-proxy"
OUT=$TMP/bin
export WEFT_BROKEN=$TMP/broken
behave good
weftd_start --workers 2
{
	rules_pods
	PROTOCOL=http rules_service one 10 80:8080
	rules_service two 20
	rules_subsets one "" $'outlierDetection: {consecutive5xxErrors: 1}\nconnectionPool: {http: {maxRetries: 3}}'
} | apply
commands good

for what in maps rows unended huge garbage flood talk silent; do
	behave "$what"
	commands "$what"
	status=0
	rules_subsets one "" $'outlierDetection: {consecutive5xxErrors: 1}\n'"connectionPool: {http: {maxRetries: $RANDOM}}" |
		timeout $((30 * SLOWER * $(slowdown))) "$OUT/weft" --run-dir "$TMP/run" apply -f - >/dev/null 2>&1 || status=$?
	[ "$status" -le 1 ] || fail "$what: weft apply: status $status"
	commands "$what, after apply"
	behave good
	# Whether it was killed or not, what comes next is one that does as it is told.
	kill_proxy
	wait_until 15 weft status
	say "ok: $what"
done

sleep 10 # so much may be said in this time
size=$(stat -c %s "$TMP/weftd.log")
behave talk
kill_proxy
sleep 5
commands talk
expect_between "bytes in the log of one that talks without end" $(($(stat -c %s "$TMP/weftd.log") - size)) 10000 200000
sleep 11
expect_match "the log says that something is left out" "$(<"$TMP/weftd.log")" "says too much: [0-9]+ bytes were left out"
expect_eq "lines that control a terminal" "$(grep -c $'\033' "$TMP/weftd.log" || true)" 0

# What it says to the next weftd, in place of its listening sockets
for what in descriptors garbage huge silent; do
	behave good
	old=$(proxy_pid)
	kill_proxy
	wait_until 15 another_than "$old"
	wait_until 15 weft status
	behave "$what $(proxy_pid)" # what is started in its place is a good one
	weftd_kill9
	weftd_start --workers 2
	say "ok: the next weftd starts beside one that says: $what"
done

mv "$TMP/bin/good" "$TMP/bin/weft-proxy"
kill_proxy
serves() {
	local result
	result=$(http_load client "$(vip 4 10)" 80 -n 5 -t 2000)
	[ "$(json '.statuses."200"' "$result")" = 5 ]
}
wait_until 20 serves
say "ok: a good one in its place serves"
weft stats >/dev/null
