#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tls rules in the mesh: at a service whose port carries TLS the SNI and the client choose, by weight, with what tcp rules and the service itself
# have of the rest. What speaks no TLS, or lets the server speak first, gets the service. Rules that take every name stay with the kernel.
. "${0%/*}/lib.sh"

PKI=

pki_up() {
	PKI=$TMP/pki
	mkdir -p "$PKI"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$PKI/root.key" -out "$PKI/root.crt" -subj /CN=root -days 30 2>/dev/null
}


# app_in POD ARGUMENTS...: a server of tls-echo.py
app_in() {
	local log
	log=$(mktemp "$TMP/app.XXXXXX")
	start_in "$1" /usr/bin/python3 "$ROOT/selftests/net/tls-echo.py" "${@:2}" >"$log"
	wait_until 10 grep -q listening "$log"
}

# ask FROM FAMILY SERVICE-NUMBER SNI [COUNT] [PORT]
ask() { in_ns "$1" /usr/bin/python3 "$ROOT/selftests/net/tls-echo.py" ask "$(vip "$2" "$3")" "${6:-443}" "$4" "$PKI/root.crt" "${5:-1}" "${@:7}"; }
plain() { in_ns "$1" /usr/bin/python3 "$ROOT/selftests/net/tls-echo.py" plain "$(vip "$2" "$3")" "${4:-443}"; }

node_up
pod_add client 1
pod_add sleep 6
pod_add one 2 app=web
pod_add two 3 app=alt
pod_add echo 4
pod_add greeter 5
NS=b pod_add guest 7
pki_up
app_in one serve 8443 one "$PKI/root.crt" "$PKI/root.key"
app_in two serve 8443 two "$PKI/root.crt" "$PKI/root.key"
app_in greeter first 9000 greeter
echo_start echo 9000 echo
weftd_start

rules() {
	rules_pods
	PROTOCOL=https rules_service web 10 443:8443
	PROTOCOL=https rules_service alt 11 443:8443
	PROTOCOL=tls rules_service echo 12 443:9000
	PROTOCOL=tls rules_service greeter 13 443:9000
	PROTOCOL=tls rules_service covered 14 443:8443 app=web
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: web, namespace: default}
	spec:
	  hosts: [web.default.svc.cluster.local, "*.example.com"]
	  tls:
	  - match: [{sniHosts: [a.example.com], sourceLabels: {app: sleep}}, {sniHosts: [ns.example.com], sourceNamespace: b}]
	    route: [{destination: {host: alt}}]
	  - match: [{port: 443, sniHosts: ["*.shared.example.com"]}]
	    route:
	    - {destination: {host: web}, weight: 75}
	    - {destination: {host: alt}, weight: 25}
	  - match: [{sniHosts: [subnet.example.com], destinationSubnets: ["$(vip 6 10)"]}]
	    route: [{destination: {host: alt}}]
	  - match: [{sniHosts: [gone.example.com]}]
	    route: [{destination: {host: nowhere}}]
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: echo, namespace: default}
	spec:
	  hosts: [echo.default.svc.cluster.local, other.example.net]
	  tls: [{match: [{sniHosts: [other.example.net]}], route: [{destination: {host: alt}}]}]
	  tcp: [{match: [{sourceLabels: {app: sleep}}], route: [{destination: {host: greeter}}]}]
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: greeter, namespace: default}
	spec:
	  hosts: [greeter.default.svc.cluster.local, g.example.net]
	  tls: [{match: [{sniHosts: [g.example.net]}], route: [{destination: {host: alt}}]}]
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: covered, namespace: default}
	spec:
	  hosts: [covered.default.svc.cluster.local]
	  tls: [{match: [{port: 443, sniHosts: [covered.default.svc.cluster.local]}], route: [{destination: {host: alt}}]}]
	END
}
rules | apply 2>"$TMP/warnings"

for way in $(ways); do
	callers "$way"
	for family in 4 6; do
		what="$way, IPv$family"
		client=$(addr $family client) sleep=$(addr $family sleep)
		row "$what: a name for other clients" "$(ask client $family 10 a.example.com)" "one a.example.com $client hello"
		row "$what: the same for one with the labels" "$(ask sleep $family 10 a.example.com)" "two a.example.com $sleep hello"
		row "$what: in pieces" "$(ask sleep $family 10 a.example.com 1 443 pieces)" "two a.example.com $sleep hello"
		row "$what: for a namespace" "$(ask guest $family 10 ns.example.com)" "two ns.example.com $(addr $family guest) hello"
		row "$what: not for another" "$(ask sleep $family 10 ns.example.com)" "one ns.example.com $sleep hello"
		got=$(ask client $family 10 x.shared.example.com 20)
		expect_between "$what: by weight ($got)" "$(sed -n 's/^one \([0-9]*\), two [0-9]*$/\1/p' <<<"$got")" 14 16
		row "$what: a name that no rule has" "$(ask client $family 10 web)" "one web $client hello"
		row "$what: no name" "$(ask client $family 10 -)" "one - $client hello"
		row "$what: a rule that leads nowhere" "$(ask client $family 10 gone.example.com)" "reset"
		row "$what: by the address" "$(ask client $family 10 subnet.example.com)" \
			"$([ $family = 6 ] && echo two || echo one) subnet.example.com $client hello"
		row "$what: no TLS" "$(plain client $family 12)" "echo hello, this is no TLS"
		row "$what: no TLS, with a tcp rule" "$(plain sleep $family 12)" "greeter"
		row "$what: TLS to a service that speaks none" "$(ask client $family 12 other.example.net)" "two other.example.net $client hello"
		row "$what: all names of a rule" "$(ask client $family 14 whatever)" "two whatever $client hello"
	done
done
callers inside

# The endpoint speaks first: the client says nothing until it has.
started=$(milliseconds)
row "a server that speaks first" "$(in_ns client timeout 40 bash -c "exec 3<>/dev/tcp/$(vip 4 13)/443 && head -1 <&3")" "greeter"
expect_between "after a while, ms" $(($(milliseconds) - started)) 1000 20000

# What is told.
explained() { weft explain --from "$1" --to web:443 --sni "$2" -o json | jq -r "$3"; }
row "explain: which rule" "$(explained sleep a.example.com '.protocol, .rule.name, .rule.route, .destinations[0].host' | paste -sd' ')" \
	"tls web tls[0] alt.default.svc.cluster.local"
row "explain: not for this client" "$(explained client a.example.com '.rule.kind, .skipped[0].why' | paste -sd' ')" \
	"Service sourceLabels: the client does not have app=sleep"
row "explain: weights" "$(explained client y.shared.example.com '[.destinations[].weight] | join(" ")')" "75 25"
row "explain: nowhere" "$(explained client gone.example.com '.action, .response_flags' | paste -sd' ')" "no_cluster NC"
row "explain: what the kernel has" "$(weft explain --from client --to covered:443 --sni x -o json | jq -r .protocol)" "tcp"
row "describe" "$(weft describe svc web | grep -A2 'SNI a.example.com' | grep -c 'tls\[0\].match\[0\] .*: route, if sourceLabels app=sleep')" 2

# A pod with the labels comes and goes.
pod_add late 8 app=sleep
rules_pods | apply
wait_until 5 eval '[ "$(ask late 4 10 a.example.com)" = "two a.example.com $(addr 4 late) hello" ]'
say "ok: a pod that came later has its labels"

# While the last rules go nobody is cut off: weft-proxy lets go of them first, and TLS that the kernel still brings it goes on to the
# address that was called, as kube-proxy has it.
in_ns node iptables -w -t nat -A OUTPUT -d "$(vip 4 10)" -p tcp --dport 443 -j DNAT --to-destination "$(hostport "$(addr 4 one)" 8443)"
others=
for ((i = 0; i < 8; i++)); do
	rules | apply 2>/dev/null
	ask sleep 4 10 a.example.com 60 >"$TMP/asked" &
	asker=$!
	weft delete vs web >/dev/null
	wait $asker
	others+=$(tr , '\n' <"$TMP/asked" | awk '$1 != "one" && $1 != "two"')
done
row "while the rules go: other answers" "$others" ""

# Without rules the port is the kernel's again.
row "without the rule" "$(ask sleep 4 10 a.example.com)" "one a.example.com $(addr 4 sleep) hello"
rows_end
