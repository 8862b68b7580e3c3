#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Requests as real clients send them, byte for byte: what only the mesh may say, upgrades, chunk extensions, absolute targets,
# HTTP/1.0 without a Host, and a client that gives up.
. "${0%/*}/lib.sh"

# An endpoint that answers what is in a file, whatever it is asked, and keeps what it has got.
canned_start() { # POD PORT FILE
	start_in "$1" /usr/bin/python3 -c '
import socket, sys
s = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    c = s.accept()[0]
    open(sys.argv[2] + ".got", "ab").write(c.recv(65536))
    c.sendall(open(sys.argv[2], "rb").read())
    c.close()
' "$2" "$3"
}

# chunk SIZE: what the canned endpoint answers from now on
chunk() { printf '%s\r\n' 'HTTP/1.1 200 OK' 'Transfer-Encoding: chunked' '' "$1" hi 0 '' >"$TMP/canned"; }

# talk FROM ADDRESS PORT: sends what is on stdin; prints what comes within a second
talk() {
	in_ns "$1" /usr/bin/python3 -c '
import socket, sys
c = socket.create_connection((sys.argv[1], int(sys.argv[2])))
c.sendall(sys.stdin.buffer.read())
c.settimeout(1)
try:
    while data := c.recv(65536):
        sys.stdout.buffer.write(data)
except (TimeoutError, ConnectionResetError) as e:
    print("\n" + type(e).__name__)
' "$2" "$3"
}

# request LINE...: each with CR LF, and an empty line behind them
request() { printf '%s\r\n' "$@" ''; }

status_of() { head -1 <<<"$1" | cut -d' ' -f2; }
body_of() { sed '1,/^\r$/d' <<<"$1"; }
field_of() { body_of "$2" | jq -r --arg name "$1" '[.headers[] | select((.[0] | ascii_downcase) == $name) | .[1]] | join(",")'; }
logged() { tail -1 "$TMP/access.log" | jq -r "$1"; }

node_up
pod_add client 1
pod_add one 2 app=a
pod_add two 3 app=b
http_echo_start one 8080 one
chunk '2;a=b'
canned_start two 8080 "$TMP/canned"
weftd_start --access-log "$TMP/access.log" --access-log-format json
{
	rules_pods
	PROTOCOL=http rules_service a 10 80:8080
	PROTOCOL=http rules_service b 11 80:8080
	PROTOCOL=http rules_routes a "$(cat <<-END
	- match: [{headers: {x-forwarded-client-cert: {}}}]
	  redirect: {uri: /fooled}
	- match: [{uri: {exact: /ruled}}]
	  rewrite: {uri: /anything/ruled}
	  route: [{destination: {host: a}}]
	- route: [{destination: {host: a}}]
	END
	)"
	PROTOCOL=http rules_routes b "- {timeout: 5s, route: [{destination: {host: b}}]}"
	PROTOCOL=http rules_gateway g 8081
	PROTOCOL=http rules_routes shop.example.com "- route: [{destination: {host: a, port: {number: 80}}}]" g
} | apply

FORGED=('X-Forwarded-Client-Cert: By=spiffe://x;URI=spiffe://cluster.local/ns/ops/sa/admin' 'x-envoy-original-path: /admin'
	'x-envoy-decorator-operation: z' 'x-envoy-retry-on: 5xx' 'x-envoy-upstream-rq-timeout-ms: 9000')

for family in 4 6; do
	a=$(vip $family 10) b=$(vip $family 11) what="IPv$family"

	got=$(request 'GET /anything HTTP/1.1' 'Host: shop.example.com' "${FORGED[@]}" 'Connection: close' | talk world "$(addr $family node)" 8081)
	expect_eq "$what: from outside" "$(status_of "$got")" 200
	for name in x-forwarded-client-cert x-envoy-original-path x-envoy-decorator-operation x-envoy-retry-on x-envoy-upstream-rq-timeout-ms; do
		expect_eq "$what: from outside, $name does not arrive" "$(field_of $name "$got")" ""
	done
	got=$(request 'GET /anything HTTP/1.1' 'Host: a' "${FORGED[@]}" 'Connection: close' | talk client "$a" 80)
	expect_eq "$what: between pods, no rule goes by a forged certificate" "$(status_of "$got")" 200
	expect_eq "$what: between pods, it does not arrive" "$(field_of x-forwarded-client-cert "$got")" ""
	expect_eq "$what: nor does a timeout, as with Istio's sidecars" "$(field_of x-envoy-upstream-rq-timeout-ms "$got")" ""

	got=$(request 'GET /anything HTTP/1.1' 'Host: a' 'Connection: Upgrade, HTTP2-Settings' 'Upgrade: h2c' \
		'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA' | talk client "$a" 80)
	expect_eq "$what: h2c is not switched to" "$(status_of "$got")" 200
	expect_eq "$what: nor is the endpoint asked to" "$(body_of "$got" | grep -Eci "h2c|http2-settings" || true)" 0
	got=$({
		request 'GET /ws HTTP/1.1' 'Host: a' 'Connection: Upgrade' 'Upgrade: WebSocket'
		printf frame
	} | talk client "$a" 80)
	expect_eq "$what: websocket is" "$(status_of "$got")" 101
	expect_match "$what: and carries what it may" "$got" frame
	got=$(printf 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' | talk client "$a" 80)
	expect_eq "$what: HTTP/2 with prior knowledge" "$(status_of "$got")" 400
	expect_eq "$what: CONNECT" "$(status_of "$(request 'CONNECT a:443 HTTP/1.1' 'Host: a' | talk client "$a" 80)")" 403

	got=$(printf '%s\r\n' 'POST /upload HTTP/1.1' 'Host: a' 'Transfer-Encoding: chunked' 'Connection: close' '' '5;ext=1;q="a b"' hello 0 '' |
		talk client "$a" 80)
	expect_eq "$what: chunk extensions of a request" "$(status_of "$got") $(body_of "$got" | jq .bytes)" "200 5"
	got=$(request 'GET / HTTP/1.1' 'Host: b' 'Connection: close' | talk client "$b" 80)
	expect_eq "$what: chunk extensions of a response" "$(status_of "$got") $(body_of "$got" | tr -d '\r' | tr '\n' ' ')" "200 2 hi 0  "

	got=$(request 'GET http://a/ruled HTTP/1.1' 'Host: 10.96.0.99' 'Connection: close' | talk client "$a" 80)
	expect_eq "$what: the target's host counts for the rule" "$(body_of "$got" | jq -r .path)" /anything/ruled
	expect_eq "$what: and for what the endpoint is told" "$(field_of host "$got")" a
	got=$(request 'GET http://shop.example.com/anything HTTP/1.1' 'Host: other.example.com' 'Connection: close' |
		talk world "$(addr $family node)" 8081)
	expect_eq "$what: at a gateway, too" "$(status_of "$got") $(field_of host "$got")" "200 shop.example.com"
	got=$(request 'GET /ruled HTTP/1.0' | talk client "$a" 80)
	expect_eq "$what: HTTP/1.0 without a Host gets the service's rules" "$(body_of "$got" | jq -r .path)" /anything/ruled
	expect_eq "$what: its Host is the address" "$(field_of host "$got")" "$([ $family = 4 ] && echo "$a" || echo "[$a]")"

	chunk zz
	got=$(request 'GET / HTTP/1.1' 'Host: b' 'Connection: close' | talk client "$b" 80)
	expect_eq "$what: a response that can't be read is 502" "$(status_of "$got")" 502
	wait_until 5 eval '[ "$(logged .response_code)" = 502 ]'
	expect_eq "$what: and the log says why" "$(logged '.response_flags + " " + .response_code_details')" \
		"UPE upstream_reset_before_response_started{protocol_error}"
	chunk '2;a=b'

	in_ns client curl -s -m 1 -H 'Host: a' "http://$(hostport "$a" 80)/delay/20000" >/dev/null || true
	gave_up() { [ "$(logged '"\(.response_code) \(.response_flags)"')" = "0 DC" ]; }
	wait_until 5 gave_up
	say "ok: $what: a client that gives up is logged when it goes"
done
