#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Gateway's certificate is replaced again and again while clients call it: no handshake fails, and in the end the last one is served.
. "${0%/*}/lib.sh"

ROTATIONS=$(rounds 500 50)
SECONDS_MAX=60
CERTS=10

# cert NUMBER: NUMBER.crt and NUMBER.key, with the number as its name
cert() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/$1.key" -out "$TMP/$1.crt" -subj "/CN=cert$1" -days 30 \
		-addext subjectAltName=DNS:a.example.com 2>/dev/null
}

# secret NUMBER: the Secret with that one
secret() {
	printf '%s\n' "apiVersion: v1" "kind: Secret" "metadata: {name: a, namespace: default}" "type: kubernetes.io/tls" "data:" \
		"  tls.crt: $(base64 -w0 "$TMP/$1.crt")" "  tls.key: $(base64 -w0 "$TMP/$1.key")"
}

# load FAMILY: one connection after the other, each with a handshake of its own: "STATUS of curl, status of HTTP" for each
load() {
	while [ ! -e "$TMP/enough" ]; do
		local out status=0
		out=$(in_ns world curl -sS --max-time $((10 * SLOWER)) --cacert "$TMP/all.crt" --resolve "a.example.com:443:$(addr "$1" node)" \
			-o /dev/null -w '%{http_code}' https://a.example.com/ 2>>"$TMP/curl.err") || status=$?
		echo "$status $out"
	done >"$TMP/load$1"
}

subject() {
	in_ns world openssl s_client -connect "$(hostport "$(addr 4 node)" 443)" -servername a.example.com </dev/null 2>/dev/null |
		sed -n 's/^subject=CN *= *//p' || true
}
is_subject() { [ "$(subject)" = "$1" ]; }

node_up
pod_add one 2
http_echo_start one 8080 one
weftd_start --workers 2
for ((i = 0; i < CERTS; i++)); do cert $i; done
cat "$TMP"/[0-9].crt >"$TMP/all.crt"
for ((i = 0; i < CERTS; i++)); do secret $i >"$TMP/secret$i.yaml"; done
{
	rules_pods
	PROTOCOL=http rules_service one 10 80:8080
	echo ---
	cat "$TMP/secret0.yaml"
	rules_tls_door "mode: SIMPLE, credentialName: a"
} | apply
wait_until 10 is_subject cert0

for family in 4 6; do
	load $family &
	loads[family]=$!
done
end=$((SECONDS + SECONDS_MAX))
for ((n = 1; n <= ROTATIONS && SECONDS < end; n++)); do
	weft apply -f "$TMP/secret$((n % CERTS)).yaml" >/dev/null
done
last=$(((n - 1) % CERTS))
expect_between "certificates, one after the other" $((n - 1)) $((ROTATIONS / 5)) "$ROTATIONS"
wait_until 5 is_subject "cert$last"
touch "$TMP/enough"
for family in 4 6; do
	wait "${loads[family]}"
	expect_eq "IPv$family: connections that failed" "$(grep -vx '0 200' "$TMP/load$family" | sort | uniq -c || true)" ""
	expect_between "IPv$family: connections" "$(wc -l <"$TMP/load$family")" 10 1000000
done
expect_eq "handshakes that failed, as weft has counted" "$(stat_of listener.0.0.0.0_443.ssl.connection_error)" 0
expect_between "handshakes, as weft has counted" "$(stat_of listener.0.0.0.0_443.ssl.handshake)" 20 1000000
