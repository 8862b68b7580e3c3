#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# weft sysdump: what is in it, that no secret is, and that it works without weftd; weft status tells of trouble, also by its exit status.
. "${0%/*}/lib.sh"

# Planted: each must not leave the machine.
KEY=$(openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>/dev/null)
KEY_LINE=$(sed -n 2p <<<"$KEY")
CERT=$(openssl req -x509 -new -key <(echo "$KEY") -subj /CN=planted -days 30 2>/dev/null)
JWT=eyJhbGciOiJIUzI1NiJ9.cGxhbnRlZC10b2tlbg.c2lnbmF0dXJlLXBsYW50ZWQ
PLANTED=("$KEY_LINE" "$(base64 -w0 <<<"$KEY" | cut -c 60-120)" "$JWT" planted-password planted-env planted-query planted-header planted-copy)

node_up
pod_add client 1
pod_add one 2 app=web,version=v1
http_echo_start one 8080 one
weftd_start
{
	rules_pods
	PROTOCOL=http rules_service web 10 80:8080 app=web
	PROTOCOL=http rules_routes web "- route: [{destination: {host: web}}]
  headers: {request: {set: {authorization: planted-header, x-plain: stays}}}"
	cat <<-END
	---
	apiVersion: v1
	kind: Secret
	metadata: {name: door, namespace: istio-system}
	type: kubernetes.io/tls
	data:
	  tls.key: $(base64 -w0 <<<"$KEY")
	  tls.crt: $(base64 -w0 <<<"$CERT")
	---
	apiVersion: v1
	kind: Pod
	metadata:
	  name: extra
	  namespace: default
	  annotations:
	    kubectl.kubernetes.io/last-applied-configuration: '{"x":"planted-copy"}'
	    note: "password=planted-password bearer $JWT"
	spec:
	  containers: [{name: main, image: none, env: [{name: A, value: planted-env}]}]
	status: {phase: Running, podIP: 10.244.9.9, podIPs: [{ip: 10.244.9.9}]}
	END
} | apply
http_load client "$(vip 4 10)" 80 -p "/page?key=planted-query" -n 3 >/dev/null

cd "$TMP" || exit
weft sysdump "$TMP/one.tar.gz" >"$TMP/said"
expect_match "says where it is" "$(<"$TMP/said")" "^$TMP/one.tar.gz"
mkdir "$TMP/out"
tar xzf "$TMP/one.tar.gz" -C "$TMP/out"
in=$(echo "$TMP"/out/weft-sysdump-*)
[ -d "$in" ] || fail "not one directory: $in"
for file in contents.txt status.json objects.json stats.json conns.json logs.json traffic.json analyze.json versions.json \
	maps/gen_services.txt maps/conns.txt node/kernel.txt node/interfaces.txt node/weftd.txt node/weft-proxy.txt node/state-dir.txt; do
	[ -s "$in/$file" ] || fail "$file is not in it"
done
say "ok: what is in it"
expect_eq "contents.txt has all of it" \
	"$(cd "$in" && find . -type f ! -name contents.txt | sed 's,^\./,,' | sort | paste -sd' ')" \
	"$(awk '$3 == "bytes" { print $1 }' "$in/contents.txt" | sort | paste -sd' ')"
expect_eq "objects" "$(jq -r '[.items[].kind] | unique | join(" ")' "$in/objects.json")" "Pod Secret Service VirtualService"
expect_eq "what is no secret stays" \
	"$(jq -r '.items[] | select(.kind == "VirtualService") | .object.spec.http[0].headers.request.set["x-plain"]' "$in/objects.json")" stays
expect_eq "requests, without their queries" "$(jq -r '.entries[-1].path' "$in/logs.json")" "/page?(left out)"
expect_match "names of members in the tables of a generation" "$(<"$in/maps/gen_services.txt")" "port = "
expect_match "a row of a table" "$(cat "$in"/maps/pods.txt)" "key: .* value: .*(struct pod)|value: "
expect_match "options of weftd" "$(<"$in/node/weftd.txt")" "--state-dir $TMP/state"
for secret in "${PLANTED[@]}"; do
	! grep -rF -- "$secret" "$in" || fail "a secret is in it: $secret"
done
say "ok: none of ${#PLANTED[@]} secrets is in it"
expect_eq "only its owner may read it" "$(stat -c %a "$TMP/one.tar.gz")" 600
expect_match "another file is not written over" "$(weft sysdump "$TMP/one.tar.gz" 2>&1 || true)" "File exists"
expect_match "to standard output" "$(weft sysdump - | tar tz | grep contents)" "/contents.txt$"

# weft status.
weft status >"$TMP/status" || fail "weft status fails: $(<"$TMP/status")"
expect_between "lines of weft status" "$(wc -l <"$TMP/status")" 10 24
expect_match "objects in a line" "$(<"$TMP/status")" "^objects +.*Pod 3"
expect_match "how full tables are" "$(<"$TMP/status")" "^tables +[a-z_]+ [0-9]+ %, .* full"
expect_eq "no trouble" "$(weft status -o json | jq -c .trouble)" '[]'
proxy=$(proxy_pid)
stop_process "$WEFTD"
kill -9 "$proxy"
kill -CONT "$WEFTD"
wait_until 10 weft status
say "ok: well again"

# A certificate that ends soon is trouble.
openssl req -x509 -new -key <(echo "$KEY") -subj /CN=soon -days 1 -out "$TMP/soon.crt" 2>/dev/null
apply <<-END
	apiVersion: v1
	kind: Secret
	metadata: {name: door, namespace: istio-system}
	type: kubernetes.io/tls
	data:
	  tls.key: $(base64 -w0 <<<"$KEY")
	  tls.crt: $(base64 -w0 <"$TMP/soon.crt")
	---
	apiVersion: networking.istio.io/v1
	kind: Gateway
	metadata: {name: door, namespace: istio-system}
	spec:
	  selector: {istio: ingressgateway}
	  servers:
	  - port: {number: 443, name: a, protocol: HTTPS}
	    hosts: [a.example.com]
	    tls: {mode: SIMPLE, credentialName: door}
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: a, namespace: istio-system}
	spec:
	  hosts: [a.example.com]
	  gateways: [door]
	  http:
	  - route: [{destination: {host: web.default.svc.cluster.local, port: {number: 80}}}]
END
in_trouble() { ! weft status >"$TMP/status"; }
wait_until 10 in_trouble
expect_match "a certificate that ends soon" "$(<"$TMP/status")" "^certificate  .*expires in"
expect_match "as JSON" "$(weft status -o json | jq -r '.trouble[]')" "^certificate: .*expires in"
weft status --wait >/dev/null || fail "it is ready all the same"

# Without weftd: the tables are found all the same, and what can't be found is told.
weftd_stop
weft sysdump "$TMP/two.tar.gz" >"$TMP/said"
expect_match "not everything is there" "$(<"$TMP/said")" "not everything could be found"
contents=$(tar xzOf "$TMP/two.tar.gz" --wildcards '*/contents.txt')
expect_match "what is missing, and why" "$contents" "^status.json +missing: no weftd runs on"
expect_match "the tables" "$contents" "^maps/conns.txt +[0-9]+ bytes"
