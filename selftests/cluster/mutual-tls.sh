#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# mutual-tls.sh: mutual TLS in a cluster of two nodes as a user has it: the manifest, Istio's Bookinfo rules for it, and the commands of its
# tutorials by kubectl. The agents have made the CA and the certificates. Between the nodes there is nothing but TLS; a pod outside
# of the mesh is refused; principals say who calls, across nodes; and the agents are replaced by ones with another weft-proxy, one after
# the other, while requests go from node to node: none fails.
. "${0%/*}/lib.sh"

# ---- applications ----

# account NAME...: ServiceAccounts
account() {
	local name
	for name; do
		kubectl create serviceaccount "$name" >/dev/null
	done
}

# Each calls the next on the other node: sleep, details; productpage, reviews; reviews, ratings.
mesh_apps() {
	ACCOUNT="sleep" app_deployment node-a sleep sleep v1 '' sleep 100000
	ACCOUNT=far-sleep app_deployment node-b far-sleep far-sleep v1 '' sleep 100000
	ACCOUNT=bookinfo-productpage bookinfo node-a productpage-v1 productpage v1 productpage
	ACCOUNT=bookinfo-details bookinfo node-b details-v1 details v1 details
	ACCOUNT=bookinfo-reviews bookinfo node-b reviews-v2 reviews v2 reviews-v2
	ACCOUNT=bookinfo-ratings bookinfo node-a ratings-v1 ratings v1 ratings
	app_deployment node-a tcp-echo-v1 tcp-echo v1 9000 tcp-echo 9000 one
	app_deployment node-b tcp-echo-v2 tcp-echo v2 9000 tcp-echo 9000 two
	app_service productpage 21 9080
	app_service details 22 9080
	app_service reviews 23 9080
	app_service ratings 24 9080
	PROTOCOL=tcp app_service tcp-echo 51 9000
}
bookinfo() { app_deployment "$1" "$2" "$3" "$4" 9080 python3 /usr/local/bin/bookinfo.py "$5"; }

mesh_up() {
	wait_until 20 kubectl get serviceaccount default
	kubectl label namespace default istio-injection=enabled >/dev/null
	account sleep far-sleep bookinfo-{productpage,details,reviews,ratings}
	mesh_apps | kubectl apply -f - >/dev/null
	kubectl create namespace legacy >/dev/null
	wait_until 20 kubectl -n legacy get serviceaccount default
	app_deployment node-a sleep sleep v1 '' sleep 100000 | kubectl -n legacy apply -f - >/dev/null
	kubectl -n legacy wait --for=condition=Available deployment --all --timeout=120s >/dev/null
	kubectl wait --for=condition=Available deployment --all --timeout=120s >/dev/null
}

# ---- callers ----

# status FROM[.NAMESPACE] TO PATH: as the tutorials show it: the HTTP status, and curl's own
status() {
	local from=${1%.*} namespace=default
	[ "$from" = "$1" ] || namespace=${1#*.}
	kubectl -n "$namespace" exec "deploy/$from" -- \
		curl -s -m 10 -H 'x-who: marker' -o /dev/null -w '%{http_code} %{exitcode}' "http://$2:9080$3" 2>/dev/null || true
}
is_status() { [ "$(status "${@:2}")" = "$1" ]; }

# page FROM: what a page of that pod's says of the reviews, which are on the other node, and theirs on this one
page() {
	local text
	text=$(exec_in "$1" curl -sS -m 10 http://productpage:9080/productpage 2>&1) || true
	case $text in
	*'<font color="black">'*) echo "black stars" ;;
	*"Reviews served by"*) echo "no stars" ;;
	*) echo "${text:0:200}" ;;
	esac
}
is_page() { [ "$(page sleep)" = "black stars" ]; }

# echoed FROM: of twenty connections, who has answered
echoed() { exec_in "$1" tcp-load 10.96.0.51 9000 -n 20 -s marker | jq -cS 'map_values(. > 0)'; }

# ---- the wire ----

# tap: listens between the nodes; tapped: whether there was something, how much of it in clear, how much with known words
tap() {
	start_in node-a "$ROOT/selftests/net/wire.py" eth0 9080 9000 >"$TMP/tap"
	TAP=$STARTED
	wait_until 10 grep -q listening "$TMP/tap"
}
tapped() {
	kill -TERM "$TAP"
	wait_until 10 grep -q directions "$TMP/tap"
	jq -c '[.directions > 0, .clear, .marked]' <<<"$(tail -1 "$TMP/tap")"
}

# ---- policies ----

# peers MODE: of the namespace, as Istio's documentation has it
peers() {
	kubectl apply -f - >/dev/null <<-END
	apiVersion: security.istio.io/v1
	kind: PeerAuthentication
	metadata: {name: default, namespace: default}
	spec:
	  mtls: {mode: $1}
	END
	live
}

# viewer APP ACCOUNT: calls of APP by GET, by that account alone, as in the tutorial of Bookinfo
viewer() {
	cat <<-END
	---
	apiVersion: security.istio.io/v1
	kind: AuthorizationPolicy
	metadata: {name: $1-viewer, namespace: default}
	spec:
	  selector: {matchLabels: {app: $1}}
	  action: ALLOW
	  rules:
	  - from:
	    - source: {principals: ["cluster.local/ns/default/sa/$2"]}
	    to:
	    - operation: {methods: [GET]}
	END
}

policies() {
	viewer details bookinfo-productpage
	viewer reviews bookinfo-productpage
	viewer ratings bookinfo-reviews
	cat <<-END
	---
	apiVersion: security.istio.io/v1
	kind: AuthorizationPolicy
	metadata: {name: tcp-policy, namespace: default}
	spec:
	  selector: {matchLabels: {app: tcp-echo}}
	  action: ALLOW
	  rules:
	  - from:
	    - source: {principals: ["cluster.local/ns/default/sa/sleep"]}
	    to:
	    - operation: {ports: ["9000"]}
	END
}

# ---- the parts ----

before() {
	wait_until 30 is_status "200 0" sleep details /details/0
	wait_until 30 is_page
	wait_until 30 is_status "200 0" sleep.legacy details /details/0
	row "before: from outside of the mesh" "$(status sleep.legacy details /details/0)" "200 0"
	tap
	row "before: a page" "$(page sleep)" "black stars"
	expect_match "before, on the wire" "$(tapped)" '^\[true,[1-9]'
}

strict() {
	rules bookinfo/destination-rule-all-mtls
	peers STRICT
	wait_until 60 is_page
	wait_until 30 is_status "200 0" sleep details /details/0
	tap
	row "STRICT: a page" "$(page sleep)" "black stars"
	row "STRICT: a page, from the other node" "$(page far-sleep)" "black stars"
	row "STRICT: a request" "$(status sleep details /details/0)" "200 0"
	row "STRICT: connections" "$(echoed sleep)" '{"one":true,"two":true}'
	row "STRICT: connections, from the other node" "$(echoed far-sleep)" '{"one":true,"two":true}'
	row "STRICT, on the wire: something, what is in clear, marked" "$(tapped)" "[true,0,0]"
	# Refused by the kernel as its SYN comes, and where there is weft-proxy to see that it is no TLS.
	row "STRICT: from outside of the mesh, to the same node" "$(status sleep.legacy productpage /productpage)" "000 7"
	row "STRICT: from outside of the mesh, to the other node" "$(status sleep.legacy details /details/0)" "000 56"
}

# What the administrator of a cluster sees of it. Each agent has asked for its own node's pods.
certificates() {
	row "certificates: requests" "$(kubectl get csr -o json |
		jq -c '[.items[] | select(.spec.signerName == "weft.dev/workload")] | [length > 0, all(.[]; .status.certificate != null)]')" "[true,true]"
	row "certificates: the CA" "$(kubectl -n weft-system get secret weft-ca -o json | jq -r '.data | keys | join(" ")')" \
		"ca.crt ca.key root-cert.pem"
	row "certificates: other Secrets" "$(kubectl auth can-i create secrets -n weft-system --as system:serviceaccount:weft-system:weft 2>/dev/null)" no
	identities
}
identities() {
	local node
	for node in "${NODES[@]}"; do
		wait_until 30 have_all "$node"
		say "ok: $node: $(agent "$node" status | grep '^identities')"
	done
}
have_all() { agent "$1" status -o json | jq -e '.identities | .wanted > 0 and .valid == .wanted'; }

authorization() {
	policies | kubectl apply -f - >/dev/null
	live
	row "principals: a page" "$(page sleep)" "black stars"
	row "principals: a request that is for another one" "$(status sleep details /details/0)" "403 0"
	row "principals: likewise, on the same node" "$(status far-sleep details /details/0)" "403 0"
	row "principals: likewise, from the other node" "$(status far-sleep ratings /ratings/0)" "403 0"
	row "principals: connections" "$(echoed sleep)" '{"one":true,"two":true}'
	row "principals: connections of another one" "$(echoed far-sleep)" '{"ECONNRESET":true}'
	kubectl delete authorizationpolicies --all >/dev/null
	live
}

# under_load WHAT COMMAND...: while it runs no request fails that goes from node to node
under_load() {
	local what=$1 load result
	shift
	tap
	exec_in sleep http-load 10.96.0.22 9080 -H 'Host: details' -H 'x-who: marker' -p /details/0 -d 600 -r 100 -c 10 >"$TMP/load" 2>"$TMP/load.err" &
	load=$!
	sleep 1
	"$@"
	sleep 1
	exec_in sleep sh -c 'kill -TERM $(pidof http-load)' # it ends with what it has sent so far
	wait $load || true
	result=$(<"$TMP/load")
	[ -n "$result" ] || fail "$what: the load has said nothing: $(<"$TMP/load.err")"
	say "$what: $result"
	row "$what: failed requests" "$(jq -c '[.errors, .requests - .answered, .reopened, .idle_lost]' <<<"$result")" '[{},0,0,0]'
	row "$what: answers" "$(jq -c '[.statuses | keys, (.["200"] > 50)]' <<<"$result")" '[["200"],true]'
	row "$what, on the wire: something, what is in clear, marked" "$(tapped)" "[true,0,0]"
}

upgrade() {
	kubectl -n weft-system set image daemonset/weft "weft=weft.test/weft:$1" >/dev/null
	kubectl -n weft-system rollout status daemonset/weft --timeout=90s >/dev/null
}

upgrades() {
	under_load "an upgrade to another weft-proxy" upgrade 3
	live
	identities
	row "upgraded: a page" "$(page sleep)" "black stars"
	row "upgraded: connections" "$(echoed sleep)" '{"one":true,"two":true}'
	row "upgraded: from outside of the mesh" "$(status sleep.legacy details /details/0)" "000 56"
}

part() {
	local start=$SECONDS
	"$@"
	say "== $*: $((SECONDS - start)) s"
}

weft_images 1
image_with_other_proxy
part cluster_up
kube_proxy_start node-a=nftables node-b=iptables # for pods outside of the mesh
part weft_install securityContext=capabilities meshConfig.defaultConfig.drainDuration=5s
part mesh_up
live
part before
part strict
part certificates
part authorization
part upgrades
rows_end
exit
