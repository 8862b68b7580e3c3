#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ServiceEntries: hosts outside of the cluster, by real sockets: endpoints behind an address that nobody has, subnets, the resolution NONE, hosts
# told apart by Host and by SNI wherever the client sends its connection, and what no entry knows, which goes where it was sent. Ports of Services
# of the same numbers stay with the kernel.
. "${0%/*}/lib.sh"

PKI=

pki_up() {
	PKI=$TMP/pki
	mkdir -p "$PKI"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$PKI/root.key" -out "$PKI/root.crt" -subj /CN=root -days 30 2>/dev/null
}

# tls_start WHERE PORT NAME
tls_start() {
	local log
	log=$(mktemp "$TMP/app.XXXXXX")
	start_in "$1" /usr/bin/python3 "$ROOT/selftests/net/tls-echo.py" serve "$2" "$3" "$PKI/root.crt" "$PKI/root.key" >"$log"
	wait_until 10 grep -q listening "$log"
}

node_up
pod_add client 1
pod_add local 2 app=local
NS=b pod_add guest 3
outside_add one 5
outside_add two 6
outside_add other 7
outside_add elsewhere 8
pki_up
for host in one two other; do
	echo_start $host 9000,27018,7000 $host
	http_echo_start $host 80,8080 $host
	tls_start $host 443 $host
done
http_echo_start local 80 local
echo_start elsewhere 80 elsewhere
weftd_start

entries() {
	rules_pods
	PROTOCOL=http rules_service local 10 80
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: ServiceEntry
	metadata: {name: db, namespace: default}
	spec:
	  hosts: [db.example.com]
	  addresses: [$(vip 4 20), "$(vip 6 20)"]
	  ports: [{number: 5432, name: tcp, protocol: TCP, targetPort: 9000}]
	  resolution: STATIC
	  endpoints:
	  - {address: $(addr 4 one), labels: {v: a}}
	  - {address: $(addr 4 two), labels: {v: b}}
	  - {address: "$(addr 6 one)", labels: {v: a}}
	  - {address: "$(addr 6 two)", labels: {v: b}}
	---
	apiVersion: networking.istio.io/v1
	kind: DestinationRule
	metadata: {name: db, namespace: default}
	spec:
	  host: db.example.com
	  subsets: [{name: b, labels: {v: b}}]
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: db, namespace: default}
	spec:
	  hosts: [db.example.com]
	  tcp: [{match: [{sourceNamespace: b}], route: [{destination: {host: db.example.com, subset: b}}]}]
	---
	apiVersion: networking.istio.io/v1
	kind: ServiceEntry
	metadata: {name: mongo, namespace: default}
	spec:
	  hosts: [mongo.example.com]
	  addresses: ["$(addr 4 one)/32", "203.0.113.77/24", "2001:db8:113::/48"]
	  ports: [{number: 27018, name: mongo, protocol: MONGO}]
	  resolution: STATIC
	  endpoints: [{address: $(addr 4 two)}, {address: "$(addr 6 two)"}]
	---
	apiVersion: networking.istio.io/v1
	kind: ServiceEntry
	metadata: {name: any, namespace: b}
	spec:
	  hosts: [any.example.com]
	  exportTo: ["."]
	  ports: [{number: 7000, name: tcp, protocol: TCP}]
	  resolution: STATIC
	  endpoints: [{address: $(addr 4 one)}, {address: "$(addr 6 one)"}]
	---
	apiVersion: networking.istio.io/v1
	kind: ServiceEntry
	metadata: {name: web, namespace: default}
	spec:
	  hosts: [web.example.com]
	  ports:
	  - {number: 80, name: http, protocol: HTTP, targetPort: 8080}
	  - {number: 443, name: tls, protocol: TLS}
	  resolution: STATIC
	  endpoints: [{address: $(addr 4 two)}, {address: "$(addr 6 two)"}]
	---
	apiVersion: networking.istio.io/v1
	kind: ServiceEntry
	metadata: {name: wide, namespace: default}
	spec:
	  hosts: ["*.wide.example.com"]
	  ports:
	  - {number: 80, name: http, protocol: HTTP}
	  - {number: 443, name: https, protocol: HTTPS}
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: rules, namespace: default}
	spec:
	  hosts: [web.example.com]
	  http:
	  - {match: [{uri: {prefix: /gone}}], directResponse: {status: 410}}
	  - {match: [{uri: {prefix: /slow}}], timeout: 0.2s, route: [{destination: {host: web.example.com}}]}
	  - {route: [{destination: {host: web.example.com}}]}
	END
}
entries | apply

# web FROM FAMILY WHERE HOST [PATH]: who answers, or the status
web() {
	local to
	to=$(hostport "$(addr "$2" "$3")" 80)
	in_ns "$1" curl -sS -g --max-time 10 -H "Host: $4" "http://$to${5:-/}" -o "$TMP/answer" -w '%{http_code}' >"$TMP/code" 2>/dev/null || true
	if [ "$(cat "$TMP/code")" = 200 ]; then cat "$TMP/answer"; else cat "$TMP/code"; fi
}

# tls FROM FAMILY WHERE SNI
tls() { in_ns "$1" /usr/bin/python3 "$ROOT/selftests/net/tls-echo.py" ask "$(addr "$2" "$3")" 443 "$4" "$PKI/root.crt" 1; }

for family in 4 6; do
	row "IPv$family: endpoints behind an address that nobody has" \
		"$(load client "$(vip $family 20)" 5432 -n 40 -c 4 -s hello | jq -c keys)" '["one","two"]'
	row "IPv$family: a rule and a subset of its endpoints" "$(load guest "$(vip $family 20)" 5432 -n 10 -s hello)" '{"two":10}'
	if [ $family = 4 ]; then range=203.0.113.9 outside=198.51.100.9; else range=2001:db8:113::9 outside=2001:db8:114::9; fi
	row "IPv$family: an address of a subnet" "$(load client $range 27018 -n 5 -s hello)" '{"two":5}'
	row "IPv$family: the same port elsewhere goes where it was sent" "$(load client "$(addr $family other)" 27018 -n 5 -s hello)" '{"other":5}'
	row "IPv$family: a port at any address, for those who see it" "$(load guest "$(addr $family other)" 7000 -n 5 -s hello)" '{"one":5}'
	row "IPv$family: and for those who don't" "$(load client "$(addr $family other)" 7000 -n 5 -s hello)" '{"other":5}'

	row "IPv$family: Host says what is called" "$(web client $family other web.example.com)" two
	row "IPv$family: a rule for it" "$(web client $family other web.example.com /gone)" 410
	row "IPv$family: a wildcard goes where it was sent" "$(web client $family one a.wide.example.com)" one
	row "IPv$family: a Host that nobody knows, too" "$(web client $family other unknown.example.net)" other
	row "IPv$family: what is no request goes where it was sent" "$(load client "$(addr $family elsewhere)" 80 -n 3 -s hello)" '{"elsewhere":3}'
	row "IPv$family: a pod's own address" "$(web client $family local unknown.example.net)" local

	row "IPv$family: SNI says what is called" "$(tls client $family other web.example.com)" "two web.example.com $(addr $family client) hello"
	row "IPv$family: a wildcard's SNI" "$(tls client $family one a.wide.example.com)" "one a.wide.example.com $(addr $family client) hello"
	row "IPv$family: an SNI that nobody knows" "$(tls client $family other unknown.example.net)" "other unknown.example.net $(addr $family client) hello"
	row "IPv$family: no SNI" "$(tls client $family other -)" "other - $(addr $family client) hello"
done
before=$(cluster_stat '' upstream_cx_total local 80)
row "a Service's port of the same number" "$(in_ns client curl -sS "http://$(vip 4 10)/")" local
row "stays with the kernel" "$(($(cluster_stat '' upstream_cx_total local 80) - before))" 1
rows_end
