#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A weft-proxy that answers nothing holds up what it has to do itself, and no more: not weft status, not the steering of new pods, not
# changes of TCP rules. A change of HTTP rules takes effect when the proxy answers, or is refused when its time is up.
. "${0%/*}/lib.sh"

WITHIN_MS=1500 # weftd itself would wait for 3 s and 8 s

# within WHAT COMMAND...: it succeeds, and soon
within() {
	local what=$1 begin
	shift
	begin=$(milliseconds)
	"$@" >/dev/null || fail "$what: $*"
	expect_took "$what" $(($(milliseconds) - begin)) 0 $WITHIN_MS
}

tcp_rules() { rules_subsets plain v1 "connectionPool: {tcp: {maxConnections: $1}}"; }
http_rules() { PROTOCOL=http rules_routes echo "- directResponse: {status: $1}"; }
ask() { http_load client "$(vip 4 10)" 80 -t 1000; }
answers() { [ "$(json ".statuses.\"$1\"" "$(ask)")" = 1 ]; }
limit_is() { weft get destinationrule plain -o json | grep -q "\"maxConnections\": *$1\b"; }

node_up
pod_add client 1
pod_add one 2 app=plain,version=v1
echo_start one 9000 one
weftd_start --workers 2
{
	rules_pods
	rules_service plain 11 9000 app=plain
	PROTOCOL=http rules_service echo 10 80
	tcp_rules 10
	http_rules 201
} | apply
wait_until 10 answers 201
proxy=$(proxy_pid)

# ---- a change of HTTP rules waits, and nothing else does ----

stop_process "$proxy"
(http_rules 202 | weft apply -f - >"$TMP/apply" 2>&1 || exit 1) &
changing=$!
sleep 0.3
kill -0 "$changing" 2>/dev/null || fail "the change has not waited for the proxy: $(<"$TMP/apply")"
within "weft status" weft status
within "weft get" weft get virtualservices -o yaml
within "weft stats" weft stats upstream
begin=$(milliseconds)
pod_add late 3
expect_took "a new pod is followed" $(($(milliseconds) - begin)) 0 $((2 * WITHIN_MS))
within "a new pod's connection" load late "$(vip 4 11)" 9000 -n 1 -s hello
tcp_rules 20 >"$TMP/tcp.yaml"
within "a change of TCP rules" weft apply -f "$TMP/tcp.yaml"
limit_is 20 || fail "the change of TCP rules is not in force"
kill -0 "$changing" 2>/dev/null || fail "the change of HTTP rules has not waited: $(<"$TMP/apply")"
kill -CONT "$proxy"
wait "$changing" || fail "once the proxy answers: $(<"$TMP/apply")"
expect_match "the change of HTTP rules" "$(<"$TMP/apply")" "virtualservice/echo configured"
answers 202 || fail "the change of HTTP rules is not in force"
limit_is 20 || fail "it has undone the change of TCP rules"
expect_eq "the proxy" "$(proxy_pid)" "$proxy"

# ---- what it is asked for its requests ----

stop_process "$proxy"
(weft conns >"$TMP/conns" 2>&1 || exit 1) &
asking=$!
sleep 0.3
within "weft status beside weft conns" weft status
wait "$asking" || fail "weft conns tells of connections whatever becomes of the proxy: $(<"$TMP/conns")"

# ---- its time is up ----

(http_rules 203 | weft apply -f - >"$TMP/apply" 2>&1 || exit 1) &
changing=$!
sleep 0.3
within "weft status" weft status
wait "$changing" && fail "the change is said to be in force: $(<"$TMP/apply")"
expect_match "the refusal" "$(<"$TMP/apply")" "could not be put into the kernel"
wait_until 10 answers 202
[ "$(proxy_pid)" != "$proxy" ] || fail "a proxy that does not answer stays"
http_rules 204 | apply
answers 204 || fail "the next proxy takes no rules"

# ---- weftd ends meanwhile ----

stop_process "$(proxy_pid)"
(http_rules 205 | weft apply -f - >"$TMP/apply" 2>&1 || exit 1) &
changing=$!
sleep 0.3
within "weftd's end" weftd_stop
wait "$changing" && fail "the change is said to be in force: $(<"$TMP/apply")"
expect_match "the refusal" "$(<"$TMP/apply")" "weftd: ends before weft-proxy has answered: nothing was changed"
weftd_start --workers 2
wait_until 10 answers 204

# ---- all of it goes ----

stop_process "$(proxy_pid)"
(http_rules 205 | weft apply -f - >"$TMP/apply" 2>&1 || exit 1) &
changing=$!
sleep 0.3
weft uninstall >/dev/null
wait "$WEFTD" || fail "weftd ended with status $?"
WEFTD=
wait "$changing" && fail "the change is said to be in force: $(<"$TMP/apply")"
expect_eq "pinned after weft uninstall" "$(pinned)" ""
