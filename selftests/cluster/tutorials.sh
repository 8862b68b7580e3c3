#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tutorials.sh [none|nftables|iptables]...: Istio's tutorials by kubectl, step by step, on a cluster of two nodes; beside kube-proxy in
# each of these modes and without it. Checked is what a user sees: from a pod by `kubectl exec`, and from outside through
# either node's NodePort.
. "${0%/*}/lib.sh"
[ $# -gt 0 ] || set -- none nftables iptables
WORLD_URL=http://10.77.0.10:31380

# ---- callers ----

# page WHO SEES [LEAST MOST]: what a user's page shows of the reviews, WHO being jason or a visitor; in so many milliseconds
page() {
	local text
	text=$(exec_in sleep curl -sS -m 20 -b "session=$1" -w '\n%{http_code} %{time_total}' http://productpage:9080/productpage)
	page_seen "$@"
}

# world_page WHO SEES: the same from outside
world_page() {
	local text
	text=$(in_ns world curl -sS -m 20 -b "session=$1" -w '\n%{http_code} %{time_total}' "$WORLD_URL/productpage")
	page_seen "$@"
}

# page_seen: of page and world_page, whose page is in $text
page_seen() {
	local last=${text##*$'\n'} what="$MODE, ${WORLD:-pod}, $1" sees
	expect_eq "$what: status" "${last% *}" 200
	case $text in
	*"Error fetching product reviews!"*) sees="no reviews" ;;
	*"Ratings service is currently unavailable"*) sees="no ratings" ;;
	*'<font color="black">'*) sees="black stars" ;;
	*'<font color="red">'*) sees="red stars" ;;
	*"Reviews served by"*) sees="no stars" ;;
	*) sees=${text:0:300} ;;
	esac
	expect_eq "$what sees" "$sees" "$2"
	[ -z "${3:-}" ] || expect_between "$what: ms" "$(awk -v s="${last#* }" 'BEGIN { printf "%d", s * 1000 }')" "$3" "$4"
}

# pages N BLACK RED: of N pages, how many have which stars, to within one
pages() {
	local text
	text=$(exec_in sleep curl -sS "http://productpage:9080/productpage?[1-$1]")
	expect_eq "$MODE: pages" "$(grep -c 'Reviews served by' <<<"$text")" "$1"
	expect_between "$MODE: black stars" "$(grep -c 'color="black">★★★★★<' <<<"$text" || true)" $(($2 - ($2 > 0))) $(($2 + ($2 > 0)))
	expect_between "$MODE: red stars" "$(grep -c 'color="red">★★★★★<' <<<"$text" || true)" $(($3 - ($3 > 0))) $(($3 + ($3 > 0)))
}

# ---- TCP traffic shifting ----

# tcp_share WHAT RESULT ONE TWO: to within one, since others' connections take part in the same sequence
tcp_share() {
	expect_eq "$MODE, $1: tcp-echo" $(($(count one "$2") + $(count two "$2"))) $(($3 + $4))
	expect_between "$MODE, $1: tcp-echo v2" "$(count two "$2")" $(($4 - ($4 > 0))) $(($4 + ($4 > 0)))
}

# tcp_shares ONE TWO: of a hundred connections, from a pod of each node and from outside by the NodePort of each
tcp_shares() {
	local caller node
	for caller in sleep far-sleep; do
		tcp_share "$caller" "$(exec_in "$caller" tcp-load 10.96.0.51 9000 -n 100 -s hello)" "$@"
	done
	for node in "${NODES[@]}"; do
		tcp_share "NodePort of $node" "$(in_ns world "$APPS/tcp-load" "$(node_addr "$node")" 30514 -n 100 -s hello)" "$@"
	done
}

tcp_traffic_shifting() {
	rules tcp-echo/gateway tcp-echo/all-v1
	tcp_shares 100 0
	rules tcp-echo/20-v2
	tcp_shares 80 20
}

# ---- Bookinfo ----

request_routing() {
	rules bookinfo/destination-rule-all bookinfo/virtual-service-all-v1
	page visitor "no stars"
	page jason "no stars"
	rules bookinfo/virtual-service-reviews-test-v2
	page jason "black stars"
	page visitor "no stars"
}

fault_injection() {
	rules bookinfo/virtual-service-ratings-test-delay
	page jason "no reviews" 6000 8000
	page visitor "no stars" 0 3000
	rules bookinfo/virtual-service-ratings-test-abort
	page jason "no ratings" 0 3000
	page visitor "no stars" 0 3000
}

traffic_shifting() {
	rules bookinfo/virtual-service-all-v1
	pages 20 0 0
	rules bookinfo/virtual-service-reviews-50-v3
	pages 100 0 50
	rules bookinfo/virtual-service-reviews-v3
	pages 20 0 20
}

request_timeouts() {
	local text
	rules bookinfo/virtual-service-all-v1 bookinfo/request-timeout-1-reviews-v2
	page visitor "black stars" 0 3000
	rules bookinfo/request-timeout-2-ratings-delay
	page visitor "black stars" 2000 5000
	rules bookinfo/request-timeout-3-reviews-timeout
	page visitor "no reviews" 1000 3000
	text=$(exec_in sleep curl -sS -w ' %{http_code}' http://reviews:9080/reviews/0)
	expect_eq "$MODE: a bare client" "$text" "upstream request timeout 504"
}

# The routes of the gateway alone count at the gateway, and those of the mesh further in.
ingress_gateway() {
	local node
	ingress 80:31380
	rules bookinfo/bookinfo-gateway bookinfo/virtual-service-all-v1 bookinfo/virtual-service-reviews-test-v2
	for node in "${NODES[@]}"; do
		WORLD="NodePort of $node"
		WORLD_URL=http://$(node_addr "$node"):31380
		world_page jason "black stars"
		world_page visitor "no stars"
		expect_eq "$MODE, $WORLD: /details/0" \
			"$(in_ns world curl -sS -o /dev/null -w '%{http_code}' "$WORLD_URL/details/0")" 404
	done
	WORLD=
}

bookinfo() {
	request_routing
	fault_injection
	traffic_shifting
	request_timeouts
	ingress_gateway
}

# ---- httpbin ----

# logged VERSION TEXT: how many lines of that version's log have it
logged() { kubectl logs "deploy/httpbin-$1" | grep -cF -- "$2" || true; }
logged_once() { [ "$(logged "$1" "$2")" = 1 ]; }

mirroring() {
	rules httpbin/destination-rule httpbin/all-v1
	exec_in sleep curl -sS -o /dev/null "http://httpbin:8000/headers?alone-$MODE"
	rules httpbin/mirror
	exec_in sleep curl -sS -o /dev/null "http://httpbin:8000/headers?both-$MODE"
	wait_until 10 logged_once v2 "both-$MODE host=httpbin-shadow"
	expect_eq "$MODE: v1 is asked, too" "$(logged v1 "both-$MODE host=httpbin:8000")" 1
	expect_eq "$MODE: without a mirror, v2 sees" "$(logged v2 "alone-$MODE")" 0
}

# One connection, one request that waits for it: two callers get all their answers, or nearly; of three, some are refused.
circuit_breaking() {
	local result refused counted name='cluster.outbound|8000||httpbin.default.svc.cluster.local.upstream_rq_pending_overflow'
	rules_delete virtualservices,destinationrules
	rules httpbin/circuit-breaker
	counted=$(weft_on node-a stats "$name" | awk '{ print $2 }')
	result=$(exec_in sleep http-load 10.96.0.41 8000 -n 100 -c 3 -p /get)
	refused=$(json '.statuses."503"' "$result")
	expect_between "$MODE, 3 clients: 503s" "$refused" 1 99
	expect_eq "$MODE, 3 clients: answered" "$(($(json '.statuses."200"' "$result") + refused))" 100
	expect_eq "$MODE: upstream_rq_pending_overflow" \
		"$(($(weft_on node-a stats "$name" | awk '{ print $2 }') - ${counted:-0}))" "$refused"
}

httpbin() {
	mirroring
	circuit_breaking
}

# ---- what pods need without kube-proxy ----

api_from_pods() {
	local caller
	for caller in sleep far-sleep; do
		expect_match "$MODE, $caller: the API server by its Service" "$(exec_in "$caller" sh -c '
			cd /var/run/secrets/kubernetes.io/serviceaccount
			curl -sS -m 5 --cacert ca.crt -H "Authorization: Bearer $(cat token)" https://10.96.0.1/version' 2>&1)" gitVersion
	done
}

# ---- a NetworkPolicy of a CNI's that filters what is forwarded ----

pod_ip() { kubectl get pods -l "$1" -o 'jsonpath={.items[0].status.podIP}'; }

# policy -I|-D: what is sent from the pod sleep to tcp-echo, where it is forwarded to a pod
policy() {
	local from
	from=$(pod_ip app=sleep)
	on node-a iptables -w "$1" FORWARD -s "$from" -d "$(pod_ip app=tcp-echo,version=v1)" -p tcp -j REJECT
	on node-b iptables -w "$1" FORWARD -s "$from" -d "$(pod_ip app=tcp-echo,version=v2)" -p tcp -j REJECT
}

policy_holds() {
	policy -I
	expect_eq "$MODE: a connection that a policy forbids" \
		"$(count ECONNREFUSED "$(exec_in sleep tcp-load 10.96.0.51 9000 -n 10 -s hello)")" 10
	tcp_share "a client that it does not speak of" "$(exec_in far-sleep tcp-load 10.96.0.51 9000 -n 10 -s hello)" 8 2
	policy -D
}

# ---- all of it ----

nothing_left() {
	local node
	for node in "${NODES[@]}"; do
		expect_eq "$MODE, $node: pins left" "$(on "$node" find /sys/fs/bpf -mindepth 1 ! -name '*.debug')" ""
		expect_eq "$MODE, $node: rules of routing left" "$(on "$node" ip rule | grep -c 0x570000 || true)" 0
		expect_eq "$MODE, $node: nftables left" "$(on "$node" nft list tables | grep -c 'inet weft' || true)" 0
		expect_eq "$MODE, $node: programs on the cgroup left" "$(on "$node" bpftool cgroup tree "$(on "$node" \
			awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)" | grep -c weft || true)" 0
	done
}

tutorial() {
	local start=$SECONDS
	MODE=$1
	WORLD=
	[ "$MODE" = none ] || kube_proxy_start "$MODE"
	weft_start
	sync_rules
	api_from_pods
	tcp_traffic_shifting
	policy_holds
	bookinfo
	httpbin
	rules_delete virtualservices,destinationrules,gateways
	weft_leave
	[ "$MODE" = none ] || kube_proxy_stop
	nothing_left
	say "== kube-proxy: $MODE: $((SECONDS - start)) s"
}

cluster_up
say "== two nodes are ready: $SECONDS s"
apps_up
say "== the applications are ready: $SECONDS s"
for mode; do
	tutorial "$mode"
done
