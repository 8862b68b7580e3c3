#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Mutual TLS between two nodes, each with a weftd and a weft-proxy of its own: what is on the wire, who is let in, and who is not.
. "${0%/*}/lib.sh"

PKI=
HTTP=80 TCP=9000
trust=cluster.local

# authority NAME [SUBJECT]: a root
authority() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$PKI/$1.key" -out "$PKI/$1.crt" -subj "/O=${2:-$1}" -days 30 2>/dev/null
}

# cert NAME AUTHORITY IDENTITY [DAYS]: NAME.crt and NAME.key, as a workload has them
cert() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$PKI/$1.key" -out "$PKI/$1.csr" -subj "/O=workload" 2>/dev/null
	openssl x509 -req -in "$PKI/$1.csr" -CA "$PKI/$2.crt" -CAkey "$PKI/$2.key" -CAcreateserial -days "${4:-30}" -out "$PKI/$1.crt" \
		-extfile <(printf '%s\n' "subjectAltName=critical,URI:$3" "keyUsage=critical,digitalSignature" "extendedKeyUsage=serverAuth,clientAuth") 2>/dev/null
}

pki_up() {
	PKI=$TMP/pki
	mkdir -p "$PKI"
	authority root
	authority other
	cert good root "spiffe://$trust/ns/default/sa/friend"
	cert stranger root "spiffe://$trust/ns/default/sa/stranger"
	cert forged other "spiffe://$trust/ns/default/sa/friend"
	cert old root "spiffe://$trust/ns/default/sa/friend" -1
	cert abroad root "spiffe://elsewhere.example/ns/default/sa/friend"
	cert nameless root "https://$trust/ns/default/sa/friend"
}

# pa NAME SPEC [NAMESPACE]
pa() {
	cat <<-END
	---
	apiVersion: security.istio.io/v1
	kind: PeerAuthentication
	metadata: {name: $1, namespace: ${3:-default}}
	spec: $2
	END
}

# rule HOST TLS
rule() {
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: DestinationRule
	metadata: {name: $1, namespace: default}
	spec: {host: $1, trafficPolicy: {tls: {$2}}}
	END
}

both_delete() {
	weft delete "$@" >/dev/null
	weft2 delete "$@" >/dev/null
}

# ask FROM FAMILY NUMBER [CURL-OPTION...]: what a request comes to, "NAME STATUS"
ask() {
	in_ns "$1" curl -sS -g --max-time 10 -w ' %{http_code}' "${@:4}" "http://$(hostport "$(vip "$2" "$3")" "$HTTP")/marker" 2>&1 | tr '\n' ' ' |
		sed 's/  / /; s/^\(.\{60\}\).*\(....\)$/\1\2/' || true
}

# tcp FROM FAMILY NUMBER: what a line over TCP comes to
tcp() { load "$1" "$(vip "$2" "$3")" "$TCP" -n 1 -s marker -t $((5000 * SLOWER)) | jq -r 'keys | join(" ")'; }

# tap: somebody listens on the wire; taps: what there was, as "WHAT=N"
tap() {
	start_in node "$ROOT/selftests/net/wire.py" nic0 "$@" >"$TMP/tap"
	TAP=$STARTED
	wait_until 10 grep -q listening "$TMP/tap"
}
tapped() {
	kill -TERM "$TAP"
	wait_until 10 grep -q directions "$TMP/tap"
	jq -c "[.directions > 0, .clear, .marked]" <<<"$(tail -1 "$TMP/tap")"
}

# hello FROM ADDRESS PORT CERT [OPTION...]: what a client gets that speaks as a sidecar does, with that certificate ("": none)
hello() {
	local with=()
	[ -z "$4" ] || with=(-cert "$PKI/$4.crt" -key "$PKI/$4.key")
	printf 'GET /marker HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' |
		in_ns "$1" timeout 10 openssl s_client -connect "$(hostport "$2" "$3")" -alpn istio -CAfile "$PKI/root.crt" -quiet "${with[@]}" "${@:5}" 2>&1 |
		grep -ao '^HTTP/1.1 [0-9]*\|alert number [0-9]*\|errno=[0-9]*' | sort -u | head -1 || true
}

start_two() { weftd2_start --ca-cert "$PKI/root.crt" --ca-key "$PKI/root.key"; }
stop_two() {
	local proxy
	proxy=$(weft2 status -o json | jq .proxy.pid)
	kill -9 "$WEFTD2"
	wait "$WEFTD2" 2>/dev/null || true
	kill -9 "$proxy"
}

# works WHAT: calls in both directions, and on one node
works() {
	local family
	for family in 4 6; do
		row "$1, IPv$family: a request to the other node" "$(ask client $family 10)" "far 200"
		row "$1, IPv$family: a request from there" "$(ask caller $family 11)" "near 200"
		row "$1, IPv$family: a request on one node" "$(ask client $family 11)" "near 200"
		row "$1, IPv$family: a connection to the other node" "$(tcp client $family 20)" far
		row "$1, IPv$family: a connection from there" "$(tcp caller $family 21)" near
		row "$1, IPv$family: a connection on one node" "$(tcp client $family 21)" near
	done
}

# in_clear FROM FAMILY POD: what a request in clear to a pod's own address comes to
in_clear() {
	in_ns "$1" curl -sS -g --max-time 10 -o "$TMP/page" -w '%{http_code} %{exitcode}\n' "http://$(hostport "$(addr "$2" "$3")" $HTTP)/marker" 2>/dev/null || true
}

node_up
node2_up
pki_up
ACCOUNT[friend]=friend ACCOUNT[stranger]=stranger
pod_add client 1
pod_add near 3 app=web,version=near
pod_add friend 2
pod_add stranger 4
pod2_add far 11 app=web,version=far
pod2_add caller 12
for pod in near far; do
	http_echo_start $pod $HTTP $pod
	echo_start $pod $TCP $pod
done
weftd_start --node-name one --ca-cert "$PKI/root.crt" --ca-key "$PKI/root.key"
start_two
rules_far_near | both

tap $HTTP $TCP
works "without any rule"
row "on the wire, without any rule: something, what is in clear, marked" "$(tapped)" "[true,16,12]"

pa default "{mtls: {mode: STRICT}}" istio-system | both
tap $HTTP $TCP
works STRICT
row "on the wire, STRICT: something, what is in clear, marked" "$(tapped)" "[true,0,0]"
for family in 4 6; do
	row "IPv$family: in clear, from another node" "$(in_clear world $family near)" "000 56"
	row "IPv$family: in clear, from a pod by the pod's own address" "$(in_clear caller $family near)" "000 56"
	row "IPv$family: in clear, on one node" "$(in_clear client $family near | cut -d' ' -f1)" 200
	near=$(addr $family near)
	row "IPv$family: a certificate of the root's" "$(hello world "$near" $HTTP good)" "HTTP/1.1 200"
	row "IPv$family: a forged one" "$(hello world "$near" $HTTP forged)" "alert number 48"
	row "IPv$family: an expired one" "$(hello world "$near" $HTTP old)" "alert number 45"
	row "IPv$family: none" "$(hello world "$near" $HTTP "")" "alert number 116"
	row "IPv$family: one of another trust domain" "$(hello world "$near" $HTTP abroad)" "alert number 42"
	row "IPv$family: one of no workload" "$(hello world "$near" $HTTP nameless)" "alert number 42"
	row "IPv$family: TLS 1.2" "$(hello world "$near" $HTTP good -tls1_2)" "alert number 70"
done

# Who calls is who the certificate says, and on one node who the pod is.
ap() {
	cat <<-END
	---
	apiVersion: security.istio.io/v1
	kind: AuthorizationPolicy
	metadata: {name: friends, namespace: default}
	spec:
	  selector: {matchLabels: {app: web}}
	  action: ALLOW
	  rules: [{from: [{source: {principals: [$trust/ns/default/sa/friend]}}]}]
	END
}
ap | both
for family in 4 6; do
	near=$(addr $family near)
	row "IPv$family: a request of a friend to the other node" "$(ask friend $family 10)" "far 200"
	row "IPv$family: a request of a stranger to the other node" "$(ask stranger $family 10)" "RBAC: access denied 403"
	row "IPv$family: a request of a friend on one node" "$(ask friend $family 11)" "near 200"
	row "IPv$family: a request from the other node" "$(ask caller $family 11)" "RBAC: access denied 403"
	row "IPv$family: a connection of a friend to the other node" "$(tcp friend $family 20)" far
	row "IPv$family: connections of a stranger to the other node" "$(load stranger "$(vip $family 20)" $TCP -n 20 -s marker -t 5000)" '{"ECONNRESET":20}'
	row "IPv$family: a connection of a friend on one node" "$(tcp friend $family 21)" near
	row "IPv$family: a friend's certificate" "$(hello world "$near" $HTTP good)" "HTTP/1.1 200"
	row "IPv$family: a stranger's" "$(hello world "$near" $HTTP stranger)" "HTTP/1.1 403"
done
both_delete ap friends

# More and less than STRICT.
pa near "{selector: {matchLabels: {version: near}}, mtls: {mode: STRICT}, portLevelMtls: {$HTTP: {mode: PERMISSIVE}}}" | both
pa far "{selector: {matchLabels: {version: far}}, mtls: {mode: DISABLE}}" | both
tap $HTTP $TCP
row "a port that is PERMISSIVE, in clear" "$(in_clear world 4 near)" "200 0"
row "a port that is PERMISSIVE" "$(ask caller 4 11)" "near 200"
ap | both
row "a port that is PERMISSIVE, in clear, with a policy" "$(in_clear world 4 near)" "403 0"
row "a port that is PERMISSIVE, with a policy" "$(ask caller 4 11)" "RBAC: access denied 403"
both_delete ap friends
row "another port of the pod, from the other node" "$(tcp caller 4 21)" near
row "another port of the pod, in clear" "$(in_ns world "$APPS/tcp-load" "$(addr 4 near)" $TCP -s marker | jq -r 'keys[]')" ECONNRESET
row "a pod with DISABLE" "$(ask client 4 10)" "far 200"
row "a pod with DISABLE, a connection" "$(tcp client 4 20)" far
row "ports that are not STRICT: in clear" "$(tapped | jq -c '.[1] > 0')" true
both_delete pa near far
rule web-far "mode: DISABLE" | both
row "DISABLE against STRICT" "$(ask client 4 10 | grep -o ' [0-9]*$')" " 503"
both_delete dr web-far

# A node that dies, and comes back.
tap $HTTP $TCP
stop_two
row "the other node has no weft" "$(ask client 4 10 | grep -o ' [0-9]*$')" " 503"
row "the other node has no weft: a connection" "$(tcp client 4 20)" ECONNRESET
start_two
is_back() { [ "$(ask client 4 10)" = "far 200" ]; }
wait_until 30 is_back
works "a node that was restarted"
row "on the wire meanwhile: something, what is in clear, marked" "$(tapped)" "[true,0,0]"

# An endpoint that is somebody else's, or that speaks no TLS.
stop_two
in_ns world "$OUT/weftd" --detach --state-dir "$TMP/state2" --run-dir "$TMP/run2" --bpffs "$TMP/bpf/weft2" --cgroup "$CGROUP"
ns_kill far
tap $HTTP
# imposter CERT AUTHORITY IDENTITY [DAYS]
imposter() {
	cert "$@"
	start_in far /usr/bin/python3 "$ROOT/selftests/net/tls-server.py" http $HTTP "$1" "$PKI/$1.crt" "$PKI/$1.key" "$PKI/root.crt" >"$TMP/imposter"
	wait_until 10 grep -q listening "$TMP/imposter"
	ask client 4 10 | grep -o ' [0-9]*$'
	kill "$STARTED"
}
row "an endpoint of another workload's" "$(imposter a root "spiffe://$trust/ns/default/sa/friend")" " 503"
row "an endpoint of another authority's" "$(imposter b other "spiffe://$trust/ns/default/sa/default")" " 503"
row "an endpoint whose certificate has expired" "$(imposter c root "spiffe://$trust/ns/default/sa/default" -1)" " 503"
row "an endpoint with the right one" "$(imposter d root "spiffe://$trust/ns/default/sa/default")" " 200"
http_echo_start far $HTTP far
row "an endpoint that speaks no TLS" "$(ask client 4 10 | grep -o ' [0-9]*$')" " 503"
row "on the wire meanwhile: something, what is in clear, marked" "$(tapped | jq -c '.[0, 2]' | tr -d '\n')" true0
stat() { stat_of "cluster.outbound|$HTTP||web-far.default.svc.cluster.local.$1"; }
expect_between "names that were wrong, as weft has counted" "$(stat ssl.fail_verify_san)" 1 100
expect_between "certificates that were not believed" "$(stat ssl.fail_verify_error)" 2 100
echo_start far $TCP far

start_two
rules_far_near | both
pa default "{mtls: {mode: STRICT}}" istio-system | both
wait_until 30 is_back

# Where a rule asks for it, and nothing else.
both_delete pa default -n istio-system
rule web-far "mode: ISTIO_MUTUAL" | both
rule tcp-far "mode: ISTIO_MUTUAL" | both
tap $HTTP $TCP
row "ISTIO_MUTUAL: a request" "$(ask client 4 10)" "far 200"
row "ISTIO_MUTUAL: a connection" "$(tcp client 4 20)" far
row "on the wire, ISTIO_MUTUAL: something, what is in clear, marked" "$(tapped)" "[true,0,0]"
row "in clear, where both are taken" "$(in_clear client 4 far)" "200 0"
both_delete dr web-far tcp-far
row "without a rule" "$(ask client 4 10)" "far 200"
rows_end
