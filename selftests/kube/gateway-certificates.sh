#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Secret of a Gateway's credentialName is one of the namespace that weft is installed in; it is followed, told of, and written down nowhere;
# without an API server weft-proxy goes on with it.
. "${0%/*}/node.sh"

node_up
pod_add one 2
http_echo_start one 8080 one
kube_up
kube_crds_up v1
kube create namespace istio-system >/dev/null
kube create namespace weft-system >/dev/null # of the lease of the one that writes statuses

# certificate NAME: NAME.crt and NAME.key in $TMP
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/$1.key" -out "$TMP/$1.crt" -subj "/CN=$1" -days 30 \
		-addext subjectAltName=DNS:a.example.com 2>/dev/null
}

# secret NAMESPACE NAME: the Secret `cert` there, of that certificate
secret() {
	kube create secret tls cert -n "$1" --cert "$TMP/$2.crt" --key "$TMP/$2.key" --dry-run=client -o yaml | kube_apply
}

describes() { [[ $(weft describe gw door) == *"$1"* ]]; }
subject() {
	in_ns world openssl s_client -connect "$(hostport "$(addr 4 node)" 443)" -servername a.example.com </dev/null 2>/dev/null |
		sed -n 's/^subject=CN *= *//p' || true
}
serves() { [ "$(subject)" = "$1" ]; }
synced() { [ "$(kube_status .phase)" = synced ]; }

certificate first
certificate second
certificate elsewhere
secret default elsewhere
kube_pods
{
	PROTOCOL=http rules_service one 10 80:8080
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: Gateway
	metadata: {name: door, namespace: default}
	spec:
	  selector: {istio: ingressgateway}
	  servers:
	  - port: {number: 443, name: a, protocol: HTTPS}
	    hosts: [a.example.com]
	    tls: {mode: SIMPLE, credentialName: cert}
	END
	PROTOCOL=http rules_routes a.example.com "- {route: [{destination: {host: one, port: {number: 80}}}]}" door
} | kube_apply
weftd_kube
wait_until 30 describes "kubernetes://istio-system/cert: NONE"
# told TEXT: the Gateway's own status says so
told() {
	[[ $(object gateway/door | jq -r '.status.conditions[]? | select(.type == "Reconciled").message') == *"$1"* ]]
}
wait_until 15 told "no secret istio-system/cert"
expect_match "analyze" "$(weft analyze 2>&1 || true)" "no secret istio-system/cert"
secret istio-system first
wait_until 10 describes '"first" until'
wait_until 5 serves first
secret istio-system second
wait_until 10 describes '"second" until'
wait_until 5 serves second

# One that is of no use is told of where the Gateway is, until there is a good one.
kube create secret generic cert -n istio-system --type kubernetes.io/tls --from-file=tls.crt="$TMP/second.crt" \
	--from-file=tls.key="$TMP/first.key" --dry-run=client -o yaml | kube_apply
wait_until 15 told "private key that is not the certificate's: the server keeps what was there before"
expect_eq "the last good one" "$(subject)" second
secret istio-system second
untold() { ! told "private key"; }
wait_until 15 untold

# Of another namespace nothing is read.
expect_eq "Secrets that are known" "$(weft get secrets -A -o json | jq -r '[.. | objects | select(.kind? == "Secret") | .metadata.namespace] | unique | join(",")')" \
	istio-system
key=$(sed -n 2p "$TMP/second.key")
expect_eq "files with the key" "$(grep -rlaF -e "$key" -e "$(base64 -w0 "$TMP/second.key" | cut -c1-80)" "$TMP/state" "$TMP/run" 2>/dev/null || true)" ""

# A new weftd, which has nobody to ask, leaves weft-proxy as it is.
kube_stop apiserver
weftd_stop
weftd_kube
expect_eq "without an API server, after a restart" "$(subject)" second
kube_api_start
wait_until 60 synced
wait_until 10 describes '"second" until'

# Another weft-proxy takes over when the Secret is known; without an API server the one that has it goes on for as long as that is held.
drained() { [ "$(weft status -o json | jq '.proxy.draining | length')" = 0 ]; }
mkdir "$TMP/other"
cp "$OUT/weftd" "$OUT/weft" "$OUT/weft-proxy" "$TMP/other/"
printf other >>"$TMP/other/weft-proxy"
OUT=$TMP/other
old=$(proxy_pid)
kube_stop apiserver
weftd_stop
weftd_kube
[ "$(proxy_pid)" != "$old" ] || fail "the same weft-proxy"
expect_eq "without an API server, after an upgrade" "$(subject)" second
expect_match "weftd's log" "$(<"$TMP/weftd.log")" "takes over once the Secrets of Gateways are known"
kube_api_start
wait_until 60 synced
wait_until 10 serves second
wait_until 20 drained

# With one no handshake fails.
(
	while [ ! -e "$TMP/enough" ]; do serves second && echo good || echo failed; done
) >"$TMP/answers" &
load=$!
cp "$OUT/weft-proxy" "$TMP/again"
printf again >>"$TMP/again"
mv "$TMP/again" "$OUT/weft-proxy"
weftd_stop
weftd_kube
wait_until 60 synced
wait_until 20 drained
touch "$TMP/enough"
wait "$load"
expect_eq "handshakes that failed" "$(grep -c failed "$TMP/answers" || true)" 0
expect_between "handshakes" "$(wc -l <"$TMP/answers")" 5 100000

kube delete secret cert -n istio-system >/dev/null
wait_until 15 describes "NONE"
