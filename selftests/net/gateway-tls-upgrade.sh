#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Another weft-proxy takes the place of the one that runs, while clients call a Gateway by HTTPS: every handshake comes to its end, a
# request under way is answered as the last one of its connection, an idle connection is closed in an orderly way, and the next one
# resumes the sessions that clients have.
. "${0%/*}/lib.sh"

UPGRADES=$(rounds 2 1)

# programs NAME: weftd, weft and a weft-proxy with bytes of its own
programs() {
	mkdir "$TMP/$1"
	cp "$BUILT/weftd" "$BUILT/weft" "$BUILT/weft-proxy" "$TMP/$1/"
	printf '%s' "$1" >>"$TMP/$1/weft-proxy"
}
BUILT=$OUT
start() {
	OUT=$TMP/$1
	weftd_start --workers 2
}
now=a
upgrade() {
	weftd_stop
	[ $now = a ] && now=b || now=a
	start $now
}
drained() { [ "$(weft status -o json | jq '.proxy.draining | length')" = 0 ]; }

# answer FAMILY PATH curl's arguments...: the status, or "exit" and curl's
answer() {
	local out status=0
	out=$(in_ns world curl -sS --max-time $((30 * SLOWER)) --cacert "$TMP/a.crt" --resolve "a.example.com:443:$(addr "$1" node)" \
		-o /dev/null -w '%{http_code}' "https://a.example.com$2" "${@:3}" 2>"$TMP/curl.err") || status=$?
	[ "$status" = 0 ] && echo "$out" || echo "exit $status: $(<"$TMP/curl.err")"
}

# idle FILE: a connection that asks once, and ends when the gateway says so
idle() {
	{ printf 'GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n' && sleep 60; } |
		in_ns world openssl s_client -connect "$(hostport "$(addr 4 node)" 443)" -servername a.example.com -CAfile "$TMP/a.crt" \
			>"$1" 2>&1 &
}
# session NAME [s_client's arguments...]: one request; whether the handshake was a full one or resumed a session: "New", "Reused"
session() {
	: >"$TMP/session"
	{ printf 'GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n' && sleep 10; } |
		in_ns world openssl s_client -connect "$(hostport "$(addr 4 node)" 443)" -servername a.example.com -CAfile "$TMP/a.crt" \
			-ign_eof "${@:2}" 2>/dev/null >"$TMP/session" &
	local pid=$!
	wait_until 10 has_answer "$TMP/session"
	kill "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	sed -n 's/^\(New\|Reused\), .*/\1/p' "$TMP/session" | head -1
}
has_answer() { grep -q '^HTTP/1.1 200' "$1"; }
is_closed() { grep -q '^closed$' "$1"; }

node_up
programs a
programs b
pod_add one 2
http_echo_start one 8080 one
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/a.key" -out "$TMP/a.crt" -subj /CN=a -days 30 \
	-addext subjectAltName=DNS:a.example.com 2>/dev/null
start a
{
	rules_pods
	PROTOCOL=http rules_service one 10 80:8080
	rules_tls_door "mode: SIMPLE, serverCertificate: $TMP/a.crt, privateKey: $TMP/a.key"
} | apply
serves() { [ "$(answer 4 /)" = 200 ]; }
under_way() { weft conns | grep -q /delay/20000; }
wait_until 10 serves
for version in 2 3; do
	expect_eq "TLS 1.$version: the first session" "$(session a -tls1_$version -sess_out "$TMP/sess$version")" New
	expect_eq "TLS 1.$version: again" "$(session a -tls1_$version -sess_in "$TMP/sess$version")" Reused
done

for family in 4 6; do
	(
		while [ ! -e "$TMP/enough" ]; do answer $family / >>"$TMP/answers$family"; sleep 0.01; done
	) &
	loads[family]=$!
done
for ((n = 0; n < UPGRADES; n++)); do
	idle "$TMP/idle$n"
	wait_until 10 has_answer "$TMP/idle$n"
	answer 4 /delay/20000 -D "$TMP/slow$n.head" >"$TMP/slow$n" &
	slow=$!
	wait_until 10 under_way
	old=$(proxy_pid)
	upgrade
	[ "$(proxy_pid)" != "$old" ] || fail "upgrade $n: the same weft-proxy"
	wait "$slow"
	expect_eq "upgrade $n: a request under way" "$(<"$TMP/slow$n")" 200
	expect_match "upgrade $n: is the last one" "$(tr '[:upper:]' '[:lower:]' <"$TMP/slow$n.head")" 'connection: close'
	wait_until 10 is_closed "$TMP/idle$n"
	for version in 2 3; do
		expect_eq "upgrade $n: TLS 1.$version: a session of before" "$(session a -tls1_$version -sess_in "$TMP/sess$version")" Reused
	done
done
touch "$TMP/enough"
for family in 4 6; do
	wait "${loads[family]}"
	expect_eq "IPv$family: connections that failed" "$(grep -vx 200 "$TMP/answers$family" | sort | uniq -c || true)" ""
	expect_between "IPv$family: connections" "$(wc -l <"$TMP/answers$family")" 10 1000000
done
wait_until 20 drained
