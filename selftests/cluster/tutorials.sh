#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tutorials.sh [none|beside]...: Istio's tutorials on a cluster of two nodes, step by step, from `weft manifest apply` to uninstall; without
# kube-proxy (none), and beside it (nftables on one node, iptables on the other). Checked is what a user sees: from a pod by
# `kubectl exec`, from outside through either node's NodePort. In between a node is rebooted; in the end nothing is left.
. "${0%/*}/lib.sh"
[ $# -gt 0 ] || set -- none beside
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
	(($(count one "$2") + $(count two "$2") == $3 + $4)) || fail "$MODE, $1: tcp-echo: expected $(($3 + $4)) answers: $2"
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

# gateway_pages WHAT: through the NodePort of each node. The routes of the gateway alone count there, and those of the mesh
# further in.
gateway_pages() {
	local node
	for node in "${NODES[@]}"; do
		WORLD="NodePort of $node, $1"
		WORLD_URL=http://$(node_addr "$node"):31380
		world_page jason "black stars"
		world_page visitor "no stars"
		expect_eq "$MODE, $WORLD: /details/0" \
			"$(in_ns world curl -sS -o /dev/null -w '%{http_code}' "$WORLD_URL/details/0")" 404
	done
	WORLD=
}

# As one makes them by hand for a load balancer that wants to see endpoints.
ingress_endpoints() {
	kubectl apply -f - >/dev/null <<-END
	apiVersion: discovery.k8s.io/v1
	kind: EndpointSlice
	metadata: {name: agents, namespace: istio-system, labels: {kubernetes.io/service-name: istio-ingressgateway}}
	addressType: IPv4
	ports: [{name: http2, port: 80}]
	endpoints:
	- {addresses: [$(node_addr node-a)], nodeName: node-a, conditions: {ready: true}}
	- {addresses: [$(node_addr node-b)], nodeName: node-b, conditions: {ready: true}}
	END
	live
}
kube_proxy_translates() {
	on "$1" sh -c 'nft list ruleset 2>/dev/null; iptables-save' | grep -E '10\.77\.0\.11( \. |:)80( |$)' >/dev/null
}

ingress_gateway() {
	local node
	rules bookinfo/destination-rule-all bookinfo/bookinfo-gateway bookinfo/virtual-service-all-v1 bookinfo/virtual-service-reviews-test-v2
	gateway_pages "no endpoint"
	[ "$MODE" = beside ] || return 0
	ingress_endpoints
	for node in "${NODES[@]}"; do
		wait_until 10 kube_proxy_translates "$node"
	done
	gateway_pages "endpoints at the nodes"
	kubectl -n istio-system delete endpointslice agents >/dev/null
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
	counted=$(agent node-a stats "$name" | awk '{ print $2 }')
	result=$(exec_in sleep http-load 10.96.0.41 8000 -n 100 -c 3 -p /get)
	refused=$(json '.statuses."503"' "$result")
	expect_between "$MODE, 3 clients: 503s" "$refused" 1 99
	expect_eq "$MODE, 3 clients: answered" "$(($(json '.statuses."200"' "$result") + refused))" 100
	expect_eq "$MODE: upstream_rq_pending_overflow" \
		"$(($(agent node-a stats "$name" | awk '{ print $2 }') - ${counted:-0}))" "$refused"
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

# ---- NetworkPolicies ----

pod_of() { kubectl get pods -l "$1" -o "jsonpath={.items[0].$2}"; }

# network_policy APP CLIENT: pods of APP take connections from pods of CLIENT alone
network_policy() {
	kubectl apply -f - >/dev/null <<-END
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: {name: $1-from-$2}
	spec:
	  podSelector: {matchLabels: {app: $1}}
	  ingress: [{from: [{podSelector: {matchLabels: {app: $2}}}]}]
	END
}

# cni add|delete: what a CNI that carries out tcp-echo-from-far-sleep would do against sleep, which is all that calls
cni() {
	local version node rule
	for version in node-a:v1 node-b:v2; do
		node=${version%:*}
		rule="ip saddr $(pod_of app=sleep status.podIP) ip daddr $(pod_of "app=tcp-echo,version=${version#*:}" status.podIP) reject with tcp reset"
		case $1 in
		add) on "$node" nft "table inet cni { chain forward { type filter hook forward priority filter; meta l4proto tcp $rule; }; }" ;;
		delete) on "$node" nft delete table inet cni ;;
		esac
	done
}

# explained FROM TO WORDS: what is said of it on node-a
explained() {
	expect_match "$MODE: weft explain --from $1 --to $2" "$(agent node-a explain --from "$1" --to "$2" "${@:4}")" "$3"
}

# The CNI has a say in every connection of a pod's, since it goes to where the endpoint is.
tcp_policy() {
	network_policy tcp-echo far-sleep
	cni add
	live
	expect_eq "$MODE: TCP that a policy forbids" \
		"$(count ECONNREFUSED "$(exec_in sleep tcp-load 10.96.0.51 9000 -n 10 -s hello)")" 10
	tcp_share "a client that it lets in" "$(exec_in far-sleep tcp-load 10.96.0.51 9000 -n 10 -s hello)" 8 2
	explained "$(pod_of app=sleep metadata.name)" tcp-echo:9000 'NetworkPolicy default/tcp-echo-from-far-sleep .*lets no connection'
	cni delete
	kubectl delete networkpolicy --all >/dev/null
	live
	tcp_share "without the policy" "$(exec_in sleep tcp-load 10.96.0.51 9000 -n 10 -s hello)" 8 2
}

reviews_say() { exec_in sleep curl -sS -o /dev/null -w '%{http_code}' http://reviews:9080/reviews/0; }

# Requests are weft's to refuse: the CNI does not see who sends them. There are endpoints on both nodes.
http_policy() {
	network_policy reviews productpage
	live
	expect_eq "$MODE: a request that a policy forbids" "$(reviews_say)" 503
	page visitor "no stars"
	explained "$(pod_of app=sleep metadata.name)" reviews:9080 'NetworkPolicy default/reviews-from-productpage .*lets no connection' \
		--path /reviews/0
	kubectl delete networkpolicy --all >/dev/null
	live
	expect_eq "$MODE: without the policy" "$(reviews_say)" 200
}

# ---- a node that is rebooted ----

pods_of_node() { kubectl get pods --field-selector "spec.nodeName=$1" -o name | wc -l; }
# A pod has its own task and one that holds its namespaces; the agent has the latter.
pods_run() { [ "$(on "$1" ctr -n k8s.io tasks ls | grep -c RUNNING)" = $((2 * $2 + 1)) ]; }

# Its pods are at work before its agent can start, for want of the image. From when that says that it is ready they are
# in the mesh, all of them.
reboot() {
	local count
	rules tcp-echo/gateway tcp-echo/20-v2
	count=$(pods_of_node node-b)
	on node-b ctr -n k8s.io images rm weft.test/weft:1 >/dev/null
	node_stop node-b
	node_net node-b
	IMAGES=$APP_IMAGES node_start node-b
	node_ready node-b
	wait_until 120 pods_run node-b "$count"
	expect_eq "$MODE, rebooted: what is there of weft before its agent" "$(left_on node-b | xargs)" directories
	on node-b ctr -n k8s.io images import "$IMAGES/weft-1.tar" >/dev/null
	wait_until 120 on node-b curl -fs http://127.0.0.1:15022/readyz
	expect_eq "$MODE, rebooted: pods in the mesh" "$(on node-b "$OUT/weft" status -o json | jq -c '[.pods, .pods_enrolled]')" "[$count,$count]"
	tcp_share "rebooted, far-sleep" "$(exec_in far-sleep tcp-load 10.96.0.51 9000 -n 100 -s hello)" 80 20
	kubectl -n weft-system rollout status daemonset/weft --timeout=60s >/dev/null
	kubectl wait --for=condition=Available deployment --all --timeout=60s >/dev/null
	tcp_shares 80 20
}

# ---- all of it ----

# of_node NODE: what weft might have changed there, beside what left_on looks for
of_node() {
	on "$1" sh -c 'ip rule; ip -6 rule; ip route show table all; ip -6 route show table all; nft list tables
		sysctl -a -r "^net\.(core|ipv4|ipv6|netfilter)\."' 2>/dev/null |
		grep -Ev 'veth|cni0|10\.244\.|_count|_entries|fe80|table ip6? (nat|filter|mangle)|kube-proxy'
}

# In the API: kinds, their objects, and what is in namespaces.
of_cluster() {
	kubectl get namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,roles,rolebindings,leases,daemonsets,services,pods,endpointslices,serviceaccounts,controllerrevisions \
		-A --no-headers 2>/dev/null | grep -E 'weft|istio' || true
}

# programs_on: what the nodes' interfaces have is what programs_off asks for; it is not loaded any more when it is on none
programs_on() {
	local node name
	PROGRAMS=()
	for node in "${NODES[@]}"; do
		for name in from_pod to_pod from_nic; do
			PROGRAMS+=("$(on "$node" bpftool -j prog show pinned "/sys/fs/bpf/weft/prog/$name" | jq .id)")
		done
	done
	expect_eq "$MODE: programs" "${#PROGRAMS[@]}" 6
}
programs_off() {
	local id
	for id in "${PROGRAMS[@]}"; do
		wait_until 5 program_gone "$id"
	done
}
program_gone() { ! bpftool prog show id "$1"; }

declare -A BEFORE=()
before() {
	local node
	for node in "${NODES[@]}"; do
		BEFORE[$node]=$(of_node "$node")
	done
}

# installed and uninstalled: on every node, and in the API
installed() {
	local node
	for node in "${NODES[@]}"; do
		expect_eq "$MODE, $node: with weft" "$(left_on "$node" | xargs)" "$LEFT_ALL"
	done
	programs_on
}
uninstalled() {
	local node
	for node in "${NODES[@]}"; do
		expect_eq "$MODE, $node: left of weft" "$(left_on "$node" | xargs)" ""
		expect_eq "$MODE, $node: what is not as it was" "$(diff <(echo "${BEFORE[$node]}") <(of_node "$node") || true)" ""
	done
	programs_off
	expect_eq "$MODE: left in the API" "$(of_cluster)" ""
}

# Without kube-proxy: agents have capabilities, and no more; they are told where the API server is.
none() {
	before
	weft_install "${WEFT_ALONE[@]}" securityContext=capabilities
	kubectl label namespace default istio-injection=enabled >/dev/null
	apps_up
	say "== the applications are ready: $SECONDS s"
	live
	api_from_pods
	tcp_traffic_shifting
	tcp_policy
	request_routing
	http_policy
	fault_injection
	traffic_shifting
	request_timeouts
	httpbin
	ingress_gateway
	reboot
	installed
	weft_admin uninstall --cluster --yes
	uninstalled
}

# Beside kube-proxy, the API server's Service is there before weft; pods that are there are in the mesh when their namespace is.
beside() {
	[ -n "$(kubectl get deployments -o name)" ] || apps_up
	kube_proxy_start node-a=nftables node-b=iptables
	wait_until 20 exec_in far-sleep curl -fsS -m 2 http://productpage:9080/health
	before
	kubectl label namespace default istio-injection- >/dev/null
	weft_install
	kubectl label namespace default istio-injection=enabled >/dev/null
	live
	api_from_pods
	tcp_traffic_shifting
	tcp_policy
	request_routing
	http_policy
	ingress_gateway
	installed
	weft_manifest generate | kubectl delete -f - >/dev/null
	uninstalled
	kube_proxy_stop
}

main() {
	local start
	weft_images 1
	cluster_up
	say "== two nodes are ready: $SECONDS s"
	for MODE; do
		start=$SECONDS
		WORLD=
		"$MODE"
		say "== $MODE: $((SECONDS - start)) s"
	done
}
main "$@"
exit
