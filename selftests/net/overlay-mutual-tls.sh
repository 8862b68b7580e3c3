#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Mutual TLS between two nodes whose pods reach each other by an overlay alone, of whatever the kernel has; weft finds the device itself.
# By it goes nothing but TLS, and what comes in clear is refused by a STRICT pod.
. "${0%/*}/lib.sh"

HTTP=80 TCP=9000
NICS='auto,overlay*' # tun is taken for nobody's overlay by itself

rules() {
	rules_far_near
	rules_strict
	cat <<-END
	---
	apiVersion: security.istio.io/v1
	kind: AuthorizationPolicy
	metadata: {name: friends, namespace: default}
	spec:
	  selector: {matchLabels: {app: web}}
	  action: ALLOW
	  rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/friend]}}]}]
	END
}

# ask FROM ADDRESS: what a request comes to, and curl
ask() {
	in_ns "$1" curl -sS -g --max-time $((10 * SLOWER)) -w ' %{http_code} %{exitcode}' "http://$(hostport "$2" $HTTP)/marker" 2>/dev/null | tr '\n' ' ' | sed 's/  / /' || true
}

# tcp FROM FAMILY NUMBER: what a line over TCP comes to
tcp() { load "$1" "$(vip "$2" "$3")" "$TCP" -n 1 -s marker -t $((5000 * SLOWER)) | jq -r 'keys | join(" ")'; }

# tap: listens on the overlay; tapped: whether there was something, how much in clear
tap() {
	start_in node "$ROOT/selftests/net/wire.py" "$1" $HTTP $TCP >"$TMP/tap-$1"
	TAPS+=("$STARTED:$TMP/tap-$1")
	wait_until 10 grep -q listening "$TMP/tap-$1"
}
tapped() {
	local each
	for each in "${TAPS[@]}"; do
		kill -TERM "${each%%:*}"
		wait_until 10 grep -q directions "${each#*:}"
		tail -1 "${each#*:}"
	done | jq -sc '[(map(.directions) | add) > 0, (map(.clear) | add)]'
}

# overlay_up KIND: on both nodes, and taps on it
overlay_up() {
	overlay_add node 1 2 245 "$1"
	overlay_add world 2 1 244 "$1"
	TAPS=()
	tap overlay0
	[ "$1" != ipip ] || tap overlay6
	wait_until 5 has_overlay weft
	wait_until 5 has_overlay weft2
}
has_overlay() { (($("$1" status -o json | jq .nics) > 1)); }

node_up
node2_up
mkdir "$TMP/pki"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/pki/root.key" -out "$TMP/pki/root.crt" -subj /O=root -days 30 2>/dev/null
ACCOUNT[friend]=friend ACCOUNT[caller]=friend
pod_add stranger 1
pod_add near 3 app=web,version=near
pod_add friend 2
pod2_add far 11 app=web,version=far
pod2_add caller 12
for pod in near far; do
	http_echo_start $pod $HTTP $pod
	echo_start $pod $TCP $pod
done
kinds=$(overlay_kinds)
say "overlays: $(xargs <<<"$kinds")"
weftd_start --node-name one --ca-cert "$TMP/pki/root.crt" --ca-key "$TMP/pki/root.key"
weftd2_start --ca-cert "$TMP/pki/root.crt" --ca-key "$TMP/pki/root.key" --nic "$NICS"
rules | both

for kind in $kinds; do
	overlay_up "$kind"
	for family in 4 6; do
		what="$kind, IPv$family"
		row "$what: a request to the other node" "$(ask friend "$(vip $family 10)")" "far 200 0"
		row "$what: a request from there" "$(ask caller "$(vip $family 11)")" "near 200 0"
		row "$what: a request of a stranger" "$(ask stranger "$(vip $family 10)" | sed 's/.* \(.* .*\)/\1/')" "403 0"
		row "$what: a connection to the other node" "$(tcp friend $family 20)" far
		row "$what: a connection from there" "$(tcp caller $family 21)" near
		row "$what: a connection of a stranger" "$(tcp stranger $family 20)" ECONNRESET
	done
	row "$kind: by the overlay: something, what is in clear" "$(tapped)" "[true,0]"
	for family in 4 6; do
		row "$kind, IPv$family: in clear, from the other node" "$(ask world "$(addr $family near)")" " 000 56"
	done
	overlay_del node
	overlay_del world
done
rows_end
