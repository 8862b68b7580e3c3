#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# weft-proxy's life: started by weftd, replaced when it dies, taken over by the next weftd, gone after --detach.
. "${0%/*}/lib.sh"

proxy_pid() { weft status -o json | jq .proxy.pid; }
proxy_restarts() { weft status -o json | jq .proxy.restarts; }
another_than() { local now; now=$(proxy_pid) && [ "$now" != 0 ] && [ "$now" != "$1" ]; }
ended() { ! [ -e "/proc/$1" ] || grep -q '^State:.*Z' "/proc/$1/status"; }

node_up
pod_add client 1
weftd_start --workers 3

first=$(proxy_pid)
expect_match "the proxy is a process" "$(tr '\0' ' ' <"/proc/$first/cmdline")" '^weft-proxy '
expect_match "weft status tells of it" "$(weft status)" "proxy +process $first, 3 workers, restarted 0 times"
expect_match "weft verify-install, too" "$(weft verify-install)" "ok +weft-proxy runs \(process $first, 3 workers\)"

kill -9 "$first"
wait_until 5 another_than "$first"
second=$(proxy_pid)
expect_eq "restarts after kill -9" "$(proxy_restarts)" 1
expect_match "weftd has said so" "$(grep -c "weft-proxy (process $first) was killed by signal 9" "$TMP/weftd.log")" '^1$'

weftd_kill9
weftd_start --workers 3
expect_eq "the next weftd takes it over" "$(proxy_pid)" "$second"
kill -9 "$second"
wait_until 5 another_than "$second"
third=$(proxy_pid)
weftd_stop
ended "$third" && fail "the proxy has ended with weftd"
weftd_start --workers 2
wait_until 5 ended "$third"
fourth=$(proxy_pid)
expect_match "one with other options is replaced" "$(weft status)" "proxy +process $fourth, 2 workers"

in_ns node "$OUT/weftd" --detach --run-dir "$TMP/run"
wait "$WEFTD" || true
WEFTD=
ended "$fourth" || fail "--detach leaves the proxy running"
expect_eq "sockets after --detach" "$(find "$TMP/run" -type s)" ""

weftd_start
last=$(proxy_pid)
weftd_stop
in_ns node "$OUT/weftd" --detach --run-dir "$TMP/run"
ended "$last" || fail "--detach without weftd leaves the proxy running"
expect_eq "sockets after --detach without weftd" "$(find "$TMP/run" -type s)" ""
