#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The node's routing and netfilter are as they were for as long as no rule speaks of HTTP; what the first such rule brings, open
# connections keep, and a later weftd or --detach takes away.
. "${0%/*}/lib.sh"

routing() {
	local family
	for family in 4 6; do
		in_ns node ip -$family rule show
		in_ns node ip -$family route show table all
	done
	in_ns node /usr/bin/python3 -c 'import ctypes
nft = ctypes.CDLL("libnftables.so.1")
nft.nft_ctx_new.restype = ctypes.c_void_p
nft.nft_run_cmd_from_buffer(ctypes.c_void_p(nft.nft_ctx_new(0)), b"list ruleset")'
}

same() { [ "$(routing)" = "$before" ]; }

node_up
pod_add client 1
pod_add one 2
http_echo_start one 8080 one
before=$(routing)
weftd_start
{
	rules_pods
	PROTOCOL=http rules_service one 10 80:8080
} | apply
for family in 4 6; do
	result=$(http_load client "$(vip $family 10)" 80 -n 10)
	expect_eq "IPv$family: without a rule for HTTP" "$(json '.statuses."200"' "$result")" 10
done
same || fail "without a rule for HTTP: the node's routing has changed: $(diff <(echo "$before") <(routing))"

rules_subsets one "" "connectionPool: {http: {maxRetries: 3}}" >"$TMP/http"
weft apply -f "$TMP/http" >/dev/null
for family in 4 6; do
	result=$(http_load client "$(vip $family 10)" 80 -n 10)
	expect_eq "IPv$family: with one" "$(json '.statuses."200"' "$result")" 10
done
same && fail "requests went through weft-proxy without its routing"

# A connection that is open goes on when there are no such rules any more, whatever becomes of weftd.
http_load_start client "$TMP/open" "$(vip 4 10)" 80 -n 30 -r 10
sleep 1
weft delete -f "$TMP/http" >/dev/null
weftd_kill9
weftd_start
wait "$STARTED"
expect_eq "a connection goes on without its rule" "$(json '.statuses."200"' "$(<"$TMP/open")")" 30
same && fail "connections that may be open have lost their routing"

# No weft-proxy has any.
proxy=$(proxy_pid)
weftd_stop
kill -9 "$proxy"
weftd_start
same || fail "weftd has left what nothing needs: $(diff <(echo "$before") <(routing))"
say "ok: a later weftd takes it away"
weft apply -f "$TMP/http" >/dev/null
result=$(http_load client "$(vip 4 10)" 80 -n 10)
expect_eq "with a rule again" "$(json '.statuses."200"' "$result")" 10
weftd_stop
in_ns node "$OUT/weftd" --detach --run-dir "$TMP/run" --bpffs "$TMP/bpf/weft"
same || fail "--detach has left something: $(diff <(echo "$before") <(routing))"
say "ok: and so does --detach"
