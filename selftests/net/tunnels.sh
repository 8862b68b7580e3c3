#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Connections without requests at a Gateway: ClientHellos that are malformed, cut or slow harm no one else and cost little; a DestinationRule's
# maxConnections and idleTimeout hold; and what is open goes on while another weft-proxy takes the place of the one that runs.
. "${0%/*}/lib.sh"

BAD=$(rounds 200 100)
PKI=$OUT # until there is one
TLS_ECHO=$ROOT/selftests/net/tls-echo.py

# programs NAME: weftd, weft and a weft-proxy with bytes of its own
programs() {
	mkdir "$TMP/$1"
	cp "$BUILT/weftd" "$BUILT/weft" "$BUILT/weft-proxy" "$TMP/$1/"
	printf '%s' "$1" >>"$TMP/$1/weft-proxy"
}
BUILT=$OUT
start() {
	OUT=$TMP/$1
	weftd_start --workers 2 --access-log "$TMP/access-$1.log"
}

pki_up() {
	PKI=$TMP/pki
	mkdir "$PKI"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$PKI/a.key" -out "$PKI/a.crt" -subj /CN=a -days 30 \
		-addext subjectAltName=DNS:*.example.com 2>/dev/null
}

tunnels() { # VERB PORT ARGUMENTS...: from outside
	in_ns world /usr/bin/python3 "$ROOT/selftests/net/tunnels.py" "$1" "$(addr 4 node)" "${@:2}"
}
ask() { # SNI [COUNT]
	in_ns world /usr/bin/python3 "$TLS_ECHO" ask "$(addr 4 node)" 443 "$1" "$PKI/a.crt" "${2:-1}"
}
cpu_ms() { # of weft-proxy
	local ticks
	ticks=$(awk '{ print $14 + $15 }' "/proc/$(proxy_pid)/stat")
	echo $((ticks * 1000 / $(getconf CLK_TCK)))
}
drained() { [ "$(weft status -o json | jq '.proxy.draining | length')" = 0 ]; }

node_up
programs a
programs b
pod_add one 2
pod_add echo 3
pki_up
log=$TMP/one.log
start_in one /usr/bin/python3 "$TLS_ECHO" serve 8443 one "$PKI/a.crt" "$PKI/a.key" >"$log"
wait_until 10 grep -q listening "$log"
echo_start echo 9000 echo
start a

rules() { # trafficPolicy of one
	rules_pods
	PROTOCOL=https rules_service one 10 443:8443
	rules_service echo 11 9000
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: DestinationRule
	metadata: {name: one, namespace: default}
	spec:
	  host: one
	  trafficPolicy: {connectionPool: {tcp: {$1}}}
	---
	apiVersion: networking.istio.io/v1
	kind: Gateway
	metadata: {name: door, namespace: default}
	spec:
	  selector: {istio: ingressgateway}
	  servers:
	  - port: {number: 443, name: through, protocol: TLS}
	    hosts: [one.example.com]
	    tls: {mode: PASSTHROUGH}
	  - port: {number: 443, name: tcp, protocol: TLS}
	    hosts: [tcp.example.com]
	    tls: {mode: SIMPLE, serverCertificate: $PKI/a.crt, privateKey: $PKI/a.key}
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: through, namespace: default}
	spec:
	  hosts: [one.example.com]
	  gateways: [door]
	  tls: [{match: [{sniHosts: [one.example.com]}], route: [{destination: {host: one}}]}]
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: ended, namespace: default}
	spec:
	  hosts: [tcp.example.com]
	  gateways: [door]
	  tcp: [{route: [{destination: {host: echo, port: {number: 9000}}}]}]
	END
}
rules "" | apply
serves() { [[ $(ask one.example.com) == one* ]]; }
wait_until 10 serves

# What is no whole ClientHello, and what takes its time, while others go on.
row "malformed ones" "$(tunnels bad 443 "$BAD")" "closed $BAD"
before=$(cpu_ms)
tunnels slow 443 100 10 >"$TMP/slow" &
slow=$!
row "beside slow ones" "$(ask one.example.com 20)" "one one.example.com $(addr 4 world) hello"
wait "$slow"
row "slow ones, after 10 s and after 16 s" "$(<"$TMP/slow")" "100 0"
expect_between "what they have cost, ms of a processor" $(($(cpu_ms) - before)) 0 $((400 * SLOWER))
row "afterwards" "$(ask one.example.com)" "one one.example.com $(addr 4 world) hello"

# What a DestinationRule says.
rules "maxConnections: 3" | apply
row "three connections, not five" "$(tunnels count 443 one.example.com "$PKI/a.crt" 5)" 3
wait_until 10 grep -q ' 0 UO ' "$TMP/access-a.log"
rules "idleTimeout: 2s" | apply

# stay NAME SNI: a client that says what comes by say_to NAME, and answers in $TMP/NAME.out
stay() {
	local fd
	mkfifo "$TMP/$1.in"
	tunnels stay 443 "$2" "$PKI/a.crt" "$TMP/$1.in" >"$TMP/$1.out" 2>"$TMP/$1.err" &
	exec {fd}>"$TMP/$1.in"
	OPEN[$1]=$fd
}
declare -A OPEN
say_to() { echo "$2" >&"${OPEN[$1]}"; }
said() { [[ $(tail -n1 "$TMP/$1.out") == *"$2" ]]; }
went() { grep -q . "$TMP/$1.err"; }

stay idle one.example.com
say_to idle first
wait_until 10 said idle first
sleep 1
say_to idle second
wait_until 10 said idle second
sleep 3
wait_until 10 grep -q ' 0 SI idle_timeout ' "$TMP/access-a.log"
say_to idle third
wait_until 10 went idle

# Another weft-proxy.
rules "" | apply
stay through one.example.com
stay ended tcp.example.com
stay half one.example.com
say_to through first
say_to ended first
say_to half half
wait_until 10 said through first
wait_until 10 said ended first
wait_until 10 said half half
old=$(proxy_pid)
weftd_stop
start b
[ "$(proxy_pid)" != "$old" ] || fail "the same weft-proxy"
wait_until 10 serves
for name in through ended half; do
	say_to $name "after it"
	wait_until 10 said $name "after it"
done
row "tunnels that the old one still has" "$(weft conns -o json | jq '[.[] | select(.state == "tunnel" and .draining)] | length')" 2
row "those of the new one" "$(weft conns -o json | jq '[.[] | select(.state == "tunnel" and (.draining | not))] | length')" 1
for name in through ended half; do
	say_to $name bye
done
wait_until 10 drained
lines() { [ "$(grep -c ' one.example.com default/through/tls\[0\]' "$TMP/access-b.log")" = 2 ]; }
wait_until 10 lines # of the one that has asked whether it serves, and of the half ClientHello

rows_end
