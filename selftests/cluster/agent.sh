#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# agent.sh: the agent as a DaemonSet of the image that `make image` makes. It is killed and replaced by other images, and by one with a
# list of capabilities in place of all of them, while requests go through weft-proxy: none fails, and none meets another weft-proxy
# unless the image has another one, to which connections go over. When the DaemonSet is deleted nothing of weft stays on the nodes.
. "${0%/*}/lib.sh"

UPGRADES=$(rounds 10 3)

# agents TAG SECURITY: one on each node, replaced at the same time; ready when it returns. What kubectl has set of them since is taken over.
agents() {
	weft_manifest generate "${WEFT_ALONE[@]}" "image=weft.test/weft:$1" "securityContext=$2" updateStrategy.maxUnavailable=100% |
		kubectl apply --server-side --force-conflicts -f - >/dev/null
	agents_ready
}
agents_ready() { kubectl -n weft-system rollout status daemonset/weft --timeout=90s >/dev/null; }

# proxies: the process ids of weft-proxy, by node
proxies() {
	local node
	for node in "${NODES[@]}"; do
		on "$node" pgrep -x weft-proxy || echo none
	done | xargs
}

restarts() { kubectl -n weft-system get pods -l app=weft -o 'jsonpath={.items[*].status.containerStatuses[0].restartCount}'; }

# An HTTP service with an endpoint on either node, behind a rule that is seen in each answer.
web() {
	app_deployment node-a web-a web a 9080 http-echo 9080 a
	app_deployment node-b web-b web b 9080 http-echo 9080 b
	app_deployment node-a caller caller v1 '' sleep 100000
	app_service web 61 80:9080
}
web_up() {
	kubectl label namespace default istio-injection=enabled >/dev/null
	wait_until 20 kubectl get serviceaccount default
	web | kubectl apply -f - >/dev/null
	kubectl apply -f - >/dev/null <<-END
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: web}
	spec:
	  hosts: [web]
	  http:
	  - headers: {response: {set: {x-weft: "yes"}}}
	    route: [{destination: {host: web}}]
	END
	kubectl wait --for=condition=Available deployment --all --timeout=120s >/dev/null
}

load_of() { exec_in caller http-load 10.96.0.61 80 -H 'Host: web' --count x-weft "$@"; }
ruled() { [ "$(count yes "$(load_of -n 1)")" = 1 ]; }

# under_load WHAT COMMAND...: while it runs, and for a moment before and after, no request fails
under_load() {
	local what=$1 before load result
	shift
	before=$(proxies)
	load_of -d 600 -r 100 -c 10 >"$TMP/load" 2>"$TMP/load.err" &
	load=$!
	sleep 1
	"$@"
	sleep 1
	# Ends with what it has sent so far.
	exec_in caller sh -c 'kill -TERM $(pidof http-load)'
	wait $load || true
	result=$(<"$TMP/load")
	[ -n "$result" ] || fail "$what: the load has said nothing: $(<"$TMP/load.err")"
	say "$what: $result"
	expect_eq "$what: failed requests" "$(jq -c '[.errors, .requests - .answered, .reopened, .idle_lost]' <<<"$result")" '[{},0,0,0]'
	expect_eq "$what: answers by the rule" "$(jq '.words.yes == .answered and .answered > 50' <<<"$result")" true
	[ -n "${OTHER_PROXY:-}" ] || expect_eq "$what: weft-proxy" "$(proxies)" "$before"
}

kill_agents() {
	local node
	for node in "${NODES[@]}"; do
		on "$node" pkill -9 -x weftd
	done
	wait_until 60 restarted
	agents_ready
}
restarted() { [ "$(restarts)" = "1 1" ]; }

upgrade() {
	local n
	for ((n = 0; n < UPGRADES; n++)); do
		kubectl -n weft-system set image daemonset/weft "weft=weft.test/weft:$((2 - n % 2))" >/dev/null
		agents_ready
	done
}

upgrade_proxy() {
	local n
	for ((n = 0; n < UPGRADES; n++)); do
		kubectl -n weft-system set image daemonset/weft "weft=weft.test/weft:$((3 - 2 * (n % 2)))" >/dev/null
		agents_ready
	done
	agents 2 privileged
	wait_until 60 one_proxy_each
}
one_proxy_each() { [ "$(proxies | wc -w)" = ${#NODES[@]} ]; }

# deleted WHAT COMMAND...: of weft-system, after which the nodes are as they were
deleted() {
	local node
	for node in "${NODES[@]}"; do
		expect_eq "$node, before $1" "$(left_on "$node" | xargs)" "$LEFT_ALL"
	done
	"${@:2}" >/dev/null
	wait_until 60 no_agents
	for node in "${NODES[@]}"; do
		expect_eq "$node, after $1" "$(left_on "$node" | xargs)" ""
	done
}
no_agents() { [ -z "$(kubectl -n weft-system get pods -o name 2>/dev/null)" ]; }

# everything: as `kubectl delete -f` takes it away, the namespace first
everything() { weft_manifest generate | kubectl delete -f -; }

weft_images 1 2
image_with_other_proxy
cluster_up
agents 1 privileged
web_up
wait_until 30 ruled
for node in "${NODES[@]}"; do
	expect_eq "$node: the container lacks" "$(agent "$node" status | grep '^lacks' || true)" ""
	expect_eq "$node: cgroups of weft-proxy" \
		"$(on "$node" cut -d: -f3 "/proc/$(on "$node" pgrep -x weft-proxy)/cgroup" | sort -u)" /weft-proxy
done
under_load "kill -9 of weftd" kill_agents
under_load "$UPGRADES upgrades" upgrade
before=$(proxies)
OTHER_PROXY=yes under_load "$UPGRADES upgrades to another weft-proxy" upgrade_proxy
[ "$(proxies)" != "$before" ] || fail "weft-proxy is the same"
under_load "a list of capabilities" agents 2 capabilities
deleted "kubectl delete daemonset" kubectl -n weft-system delete daemonset weft
agents 1 capabilities # weft-proxy is started by such an agent, too
wait_until 30 ruled
deleted "kubectl delete -f" everything
exit
