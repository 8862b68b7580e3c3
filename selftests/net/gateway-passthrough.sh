#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One port of a Gateway with servers of every kind, called from outside: TLS that is passed through by the SNI (to one service, by weights, by
# a wildcard), ended for TCP, and ended for HTTP. What no rule has, and what is no TLS, is closed. The client's address is kept.
. "${0%/*}/lib.sh"

PKI=

# cert NAME SAN: NAME.crt and NAME.key, signed by root
cert() {
	(
		cd "$PKI" || exit
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>/dev/null
		openssl x509 -req -in "$1.csr" -CA root.crt -CAkey root.key -CAcreateserial -days 30 -out "$1.crt" \
			-extfile <(printf 'subjectAltName=%s\n' "$2") 2>/dev/null
	)
}

pki_up() {
	PKI=$TMP/pki
	mkdir -p "$PKI"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$PKI/root.key" -out "$PKI/root.crt" -subj /CN=root -days 30 \
		-addext basicConstraints=critical,CA:TRUE 2>/dev/null
	cert backend DNS:*.example.com
	cert front DNS:*.example.com
}

# tls_start POD NAME: a TLS server on port 8443
tls_start() {
	local log
	log=$(mktemp "$TMP/tls.XXXXXX")
	start_in "$1" /usr/bin/python3 "$ROOT/selftests/net/tls-echo.py" serve 8443 "$2" "$PKI/backend.crt" "$PKI/backend.key" >"$log"
	wait_until 10 grep -q listening "$log"
}

# ask FROM FAMILY SNI [COUNT] [PORT] [pieces]
ask() {
	in_ns "$1" /usr/bin/python3 "$ROOT/selftests/net/tls-echo.py" ask "$(addr "$2" node)" "${5:-443}" "$3" "$PKI/root.crt" "${4:-1}" "${@:6}"
}

# subject FAMILY SNI: whose certificate the handshake brings
subject() {
	in_ns world openssl s_client -connect "$(hostport "$(addr "$1" node)" 443)" -servername "$2" </dev/null 2>/dev/null |
		sed -n 's/^subject=CN *= *//p' || true
}

answer() { # FAMILY HOST
	in_ns world curl -sS --max-time 20 --cacert "$PKI/root.crt" --resolve "$2:443:$(addr "$1" node)" "https://$2/" 2>/dev/null || true
}

secret() {
	printf '%s\n' "---" "apiVersion: v1" "kind: Secret" "metadata: {name: $1, namespace: default}" "type: kubernetes.io/tls" "data:"
	printf '  %s: %s\n' tls.crt "$(base64 -w0 "$PKI/$2.crt")" tls.key "$(base64 -w0 "$PKI/$2.key")"
}

node_up
pod_add one 2
pod_add two 3
pod_add echo 4
pod_add web 5
pki_up
tls_start one one
tls_start two two
echo_start echo 9000 echo
http_echo_start web 8080 web
weftd_start --access-log "$TMP/access.log"

rules() {
	rules_pods
	PROTOCOL=https rules_service one 10 443:8443
	PROTOCOL=https rules_service two 11 443:8443
	rules_service echo 12 9000
	PROTOCOL=http rules_service web 13 80:8080
	rules_ingress 14 443:30443
	secret front front
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: Gateway
	metadata: {name: door, namespace: default}
	spec:
	  selector: {istio: ingressgateway}
	  servers:
	  - port: {number: 443, name: through, protocol: TLS}
	    hosts: [one.example.com, both.example.com, "*.wild.example.com", unrouted.example.com]
	    tls: {mode: PASSTHROUGH}
	  - port: {number: 443, name: tcp, protocol: TLS}
	    hosts: [tcp.example.com]
	    tls: {mode: SIMPLE, credentialName: front}
	  - port: {number: 443, name: web, protocol: HTTPS}
	    hosts: ["*.example.com"]
	    tls: {mode: SIMPLE, credentialName: front}
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: through, namespace: default}
	spec:
	  hosts: [one.example.com, both.example.com, "*.wild.example.com"]
	  gateways: [door]
	  tls:
	  - match: [{port: 443, sniHosts: [one.example.com]}]
	    route: [{destination: {host: one}}]
	  - match: [{sniHosts: [both.example.com]}]
	    name: both
	    route:
	    - {destination: {host: one, port: {number: 443}}, weight: ${1:-80}}
	    - {destination: {host: two, port: {number: 443}}, weight: $((100 - ${1:-80}))}
	  - match: [{sniHosts: ["*.wild.example.com"]}]
	    route: [{destination: {host: two}}]
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: ended, namespace: default}
	spec:
	  hosts: [tcp.example.com]
	  gateways: [door]
	  tcp: [{route: [{destination: {host: echo, port: {number: 9000}}}]}]
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: web, namespace: default}
	spec:
	  hosts: ["*.example.com"]
	  gateways: [door]
	  http: [{route: [{destination: {host: web, port: {number: 80}}}]}]
	END
}
rules | apply

for family in 4 6; do
	client=$(addr $family world)
	row "IPv$family: passed through" "$(ask world $family one.example.com)" "one one.example.com $client hello"
	row "IPv$family: in upper case" "$(ask world $family ONE.example.com)" "one ONE.example.com $client hello"
	row "IPv$family: whose certificate" "$(subject $family one.example.com)" "backend"
	row "IPv$family: by the wildcard" "$(ask world $family a.b.wild.example.com)" "two a.b.wild.example.com $client hello"
	row "IPv$family: in pieces" "$(ask world $family one.example.com 1 443 pieces)" "one one.example.com $client hello"
	got=$(ask world $family both.example.com 50)
	expect_between "IPv$family: 80 of 100 by weight ($got)" "$(sed -n 's/^one \([0-9]*\), two [0-9]*$/\1/p' <<<"$got")" 39 41
	row "IPv$family: by the NodePort" "$(ask world $family one.example.com 1 30443)" "one one.example.com $client hello"
	row "IPv$family: from a pod" "$(ask echo $family one.example.com)" "one one.example.com $(addr $family echo) hello"
	row "IPv$family: TLS ended for TCP" "$(ask world $family tcp.example.com)" "echo hello"
	row "IPv$family: whose certificate then" "$(subject $family tcp.example.com)" "front"
	row "IPv$family: TLS ended for HTTP" "$(answer $family web.example.com)" "web"
	row "IPv$family: no rule has the name" "$(ask world $family unrouted.example.com | sed 's/^UNEXPECTED_EOF.*/reset/')" "reset"
	row "IPv$family: its certificate is not the wildcard's" "$(subject $family unrouted.example.com)" ""
	row "IPv$family: nobody's name" "$(ask world $family elsewhere.org)" "TLSV1_UNRECOGNIZED_NAME"
	row "IPv$family: no name" "$(ask world $family -)" "TLSV1_UNRECOGNIZED_NAME"
	row "IPv$family: no TLS" "$(in_ns world /usr/bin/python3 "$ROOT/selftests/net/tls-echo.py" plain "$(addr $family node)" 443 | sed 's/closed/reset/')" "reset"
done


# What is told.
explained() { weft explain --gateway default/door --to "$1:443" -o json "${@:3}" | jq -r "$2"; }
row "explain: passed through" "$(explained one.example.com '.protocol, .tls.mode, .tls.server, .rule.name, .rule.route' | paste -sd' ')" \
	"tls PASSTHROUGH default/door servers[0] through tls[0]"
row "explain: weights" "$(explained both.example.com '[.destinations[].weight] | join(" ")')" "80 20"
row "explain: ended for TCP" "$(explained tcp.example.com '.tls.mode, .rule.name, .destinations[0].host' | paste -sd' ')" \
	"SIMPLE ended echo.default.svc.cluster.local"
row "explain: no rule" "$(explained unrouted.example.com '.action, .response_flags' | paste -sd' ')" "refuse NR"
row "explain: HTTP beside them" "$(explained web.example.com '.protocol')" "http"
described=$(weft describe gw door)
# The port and the NodePort, of two families.
row "describe: a name that goes through" "$(grep -A1 ', SNI both.example.com' <<<"$described" | grep -c 'through tls\[1\].match\[0\] .*: route')" 4
row "describe: a name without a rule" "$(grep -A1 ', SNI unrouted.example.com' <<<"$described" | grep -c 'no rule: closed')" 4
row "describe: a host of HTTP" "$(grep -A1 ', host \*.example.com' <<<"$described" | grep -c 'web http\[0\]')" 4
row "describe: a rule" "$(weft describe vs through | grep -A2 'default/through/tls\[1\]: connections by their SNI' | grep -c 'weight 80: one')" 1
row "describe: certificates are those of servers that end TLS" "$(weft describe gw door | grep -c 'kubernetes://default/front')" 2
row "analyze" "$(weft analyze 2>&1 | grep -c -E 'VirtualService|Gateway|spec\.' || true)" 0
wait_until 5 grep -q 'one.example.com' "$TMP/access.log"
expect_match "the log has the name" "$(grep -m1 'one.example.com' "$TMP/access.log")" 'one\.example\.com'
expect_between "connections counted at two" "$(cluster_stat '' upstream_cx_total two 443)" 20 24
of_route() { stat_of "route.default/$1.cx_total"; }
before=$(of_route 'through/tls[1]') others=$(of_route 'through/tls[0]')
ask world 4 both.example.com 10 >/dev/null
row "connections counted by their route" "$(($(of_route 'through/tls[1]') - before)) $(($(of_route 'through/tls[0]') - others))" "10 0"
row "those whose TLS is ended" "$(($(of_route 'ended/tcp[0]') > 0))" 1

# Other weights count from the next connection on; what is open goes on.
mkfifo "$TMP/lines"
in_ns world openssl s_client -quiet -connect "$(hostport "$(addr 4 node)" 443)" -servername one.example.com -CAfile "$PKI/root.crt" \
	<"$TMP/lines" >"$TMP/answers" 2>/dev/null &
exec 7>"$TMP/lines"
answers_are() { [ "$(grep -c '^one one.example.com' "$TMP/answers")" = "$1" ]; }
echo first >&7
wait_until 5 answers_are 1
rules 0 | apply
row "other weights" "$(ask world 4 both.example.com 10)" "two both.example.com $(addr 4 world) hello"
echo second >&7
wait_until 5 answers_are 2

# weft-proxy dies and comes back; weftd is away.
kill -9 "$(proxy_pid)"
exec 7>&-
serves() { [ "$(ask world 4 one.example.com)" = "one one.example.com $(addr 4 world) hello" ]; }
wait_until 10 serves
weftd_stop
row "without weftd" "$(ask world 6 one.example.com)" "one one.example.com $(addr 6 world) hello"
weftd_start
row "after a restart" "$(ask world 4 tcp.example.com)" "echo hello"
rows_end
