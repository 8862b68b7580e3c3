#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Mutual TLS between two nodes whose clocks differ. A minute is nothing, either way: a certificate is valid from two minutes before it was
# made. Where they differ by more than that, one side's certificate is not valid yet, and calls are refused, in both directions.
. "${0%/*}/lib.sh"

FAKETIME_LIB=$(dpkg-query -L libfaketime 2>/dev/null | grep '/libfaketime\.so\.1$') || fail "the package libfaketime is needed"
HTTP=8080 TCP=9000

# start_two OFFSET: the other node's programs, with new certificates, and with a clock that many seconds ahead. Timers keep their own (what
# libfaketime does to pthread_cond_timedwait() makes it wait for ever).
start_two() {
	rm -f "$TMP/access2.log"
	LD_PRELOAD=$FAKETIME_LIB FAKETIME="$1s" FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_FORCE_MONOTONIC_FIX=0 weftd2_start --ca-cert "$TMP/root.crt" --ca-key "$TMP/root.key" \
		--access-log "$TMP/access2.log"
	rules | weft2 apply -f - >/dev/null
}
stop_two() {
	local proxy
	proxy=$(weft2 status -o json | jq .proxy.pid)
	kill -9 "$WEFTD2"
	wait "$WEFTD2" 2>/dev/null || true
	kill -9 "$proxy"
	wait_until 10 is_gone "$proxy"
}
is_gone() { [ ! -e "/proc/$1" ]; }

rules() {
	rules_far_near
	rules_strict
}

# ask FROM NUMBER: who answers a request, or its status
ask() {
	local name
	name=$(in_ns "$1" curl -sS --max-time 10 -f "http://$(hostport "$(vip 4 "$2")" $HTTP)/" 2>/dev/null) && echo "$name" || echo refused
}
tcp() { load "$1" "$(vip 4 "$2")" $TCP -n 1 -s x -t $((5000 * SLOWER)) | jq -r 'keys | join(" ")'; }
# calls: in both directions: two requests, two connections
calls() { echo "$(ask client 10) $(ask caller 11) $(tcp client 20) $(tcp caller 21)"; }
works() { [ "$(calls)" = "far near far near" ]; }

# clock_of_proxy: how many seconds the other weft-proxy's clock is ahead, by its access log
clock_of_proxy() {
	local said
	wait_until 10 test -s "$TMP/access2.log"
	said=$(tail -1 "$TMP/access2.log" | sed 's/^\[\([^]]*\)\].*/\1/')
	echo $(($(date -d "$said" +%s) - $(date +%s)))
}
# clock_of_weftd: likewise its weftd's, by when the certificate of `far` begins, which is two minutes before it was made
clock_of_weftd() {
	local begins
	# It has no certificate of its own to show, and sees the other's all the same.
	begins=$({ in_ns node timeout 10 openssl s_client -connect "$(addr 4 far):$HTTP" -alpn istio </dev/null 2>/dev/null || true; } |
		openssl x509 -noout -startdate)
	echo $(($(date -d "${begins#*=}" +%s) + 120 - $(date +%s)))
}
# clocks OFFSET: both are as much ahead, but for the time since
clocks() {
	expect_between "its weft-proxy's clock" "$(clock_of_proxy)" $(($1 - 30)) $(($1 + 5))
	expect_between "its weftd's clock" "$(clock_of_weftd)" $(($1 - 30)) $(($1 + 5))
}

node_up
node2_up
# A root is older than any difference of clocks.
LD_PRELOAD=$FAKETIME_LIB FAKETIME=-1d openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/root.key" -out "$TMP/root.crt" -subj /O=root -days 30 2>/dev/null
pod_add client 1
pod_add near 3 app=web,version=near
pod2_add far 11 app=web,version=far
pod2_add caller 12
for pod in near far; do
	http_echo_start $pod $HTTP $pod
	echo_start $pod $TCP $pod
done
weftd_start --node-name one --ca-cert "$TMP/root.crt" --ca-key "$TMP/root.key"
rules | weft apply -f - >/dev/null

for offset in +60 -60; do
	start_two $offset
	wait_until 30 works
	row "a clock that is $offset s off: calls in both directions" "$(calls)" "far near far near"
	clocks $offset
	stop_two
done

# More than the two minutes: one of the two sides is not believed, and so neither direction works. Nothing goes in clear instead.
start_in world timeout 120 tcpdump -i eth0 --immediate-mode -U -w "$TMP/wire" "tcp and port $HTTP" 2>/dev/null
wait_until 5 test -s "$TMP/wire"
failures() { stat_of "cluster.outbound|$HTTP||web-far.default.svc.cluster.local.ssl.fail_verify_error"; }
for offset in +240 -240; do
	start_two $offset
	before=$(failures)
	sleep 3
	row "a clock that is $offset s off: no call in either direction" "$(calls)" "refused refused ECONNRESET ECONNRESET"
	clocks $offset
	# The side whose clock is behind sees a certificate that is not valid yet.
	[ $offset = -240 ] || row "certificates that this node does not believe" $(($(failures) > before)) 1
	stop_two
done
row "on the wire in clear" "$(grep -ac 'HTTP/1' "$TMP/wire" || true)" 0

# Back in time.
start_two +0
wait_until 30 works
row "clocks that agree again: calls in both directions" "$(calls)" "far near far near"
rows_end
