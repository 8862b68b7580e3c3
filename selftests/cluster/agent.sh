#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# agent.sh: the agent as a DaemonSet of the image that `make image` makes. It is killed and replaced by other images, and by one with a
# list of capabilities in place of all of them, while requests go through weft-proxy: none fails, and none meets another weft-proxy
# unless the image has another one, to which connections go over. When the DaemonSet is deleted nothing of weft stays on the nodes.
. "${0%/*}/lib.sh"

CAPABILITIES='{capabilities: {drop: [ALL], add: [SYS_ADMIN, NET_ADMIN, NET_RAW, NET_BROADCAST, SYS_PTRACE, KILL, SETUID, SETGID, SETPCAP, SYS_CHROOT]}}'
UPGRADES=$(rounds 10 3)

# images_with_agents: those of the other tests, and the agent's, under two names
images_with_agents() {
	local of=$IMAGES tag
	IMAGES=$OUT/cluster/agent-images
	rm -rf "$IMAGES"
	mkdir -p "$IMAGES"
	ln -s "$of"/*.tar "$IMAGES/"
	for tag in 1 2; do
		IMAGE_NAME=weft.test/weft "$ROOT/packaging/image" "$OUT" $tag "$IMAGES/weft-$tag.tar" >/dev/null
	done
	# One whose weft-proxy has bytes of its own.
	mkdir "$IMAGES/other"
	cp "$OUT/weftd" "$OUT/weft" "$OUT/weft-proxy" "$IMAGES/other/"
	printf 'other' >>"$IMAGES/other/weft-proxy"
	IMAGE_NAME=weft.test/weft "$ROOT/packaging/image" "$IMAGES/other" 3 "$IMAGES/weft-3.tar" >/dev/null
	rm -r "$IMAGES/other"
}

# agents TAG SECURITY: one on each node; ready when it returns
agents() {
	sed "s|IMAGE\$|weft.test/weft:$1|; s|SECURITY\$|$2|" "$HERE/agent.yaml" | kubectl apply -f - >/dev/null
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

agent_on() { kubectl -n weft-system get pods -l app=weft --field-selector "spec.nodeName=$1" -o 'jsonpath={.items[0].metadata.name}'; }
agent_status() { kubectl -n weft-system exec "$(agent_on "$1")" -- weft status; }
restarts() { kubectl -n weft-system get pods -l app=weft -o 'jsonpath={.items[*].status.containerStatuses[0].restartCount}'; }

# An HTTP service with an endpoint on either node, behind a rule that is seen in each answer.
web() {
	app_deployment node-a web-a web a 9080 http-echo 9080 a
	app_deployment node-b web-b web b 9080 http-echo 9080 b
	app_deployment node-a caller caller v1 '' sleep 100000
	app_service web 61 80:9080
}
web_up() {
	"$ROOT/selftests/kube/crds.sh" | kubectl create -f - >/dev/null
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
	agents 2 '{privileged: true}'
	wait_until 60 one_proxy_each
}
one_proxy_each() { [ "$(proxies | wc -w)" = ${#NODES[@]} ]; }

# left_on NODE: what of weft is there
left_on() {
	local cgroup
	cgroup=$(on "$1" awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ ! -e "/proc/${NODE_PID[$1]}/root/sys/fs/bpf/weft" ] || echo pins
	[ -z "$(on "$1" bpftool cgroup show "$cgroup")" ] || echo cgroup-programs
	! on "$1" tc qdisc show | grep clsact >/dev/null || echo qdiscs # links at interfaces end with their pins
	! on "$1" ip rule | grep 0x570000 >/dev/null || echo rules
	! on "$1" nft list tables | grep 'inet weft' >/dev/null || echo nftables
	! on "$1" pgrep weft >/dev/null || echo processes
	! on "$1" find /sys/fs/cgroup -maxdepth 2 -name weft-proxy | grep . >/dev/null || echo cgroups
}
nothing_left() {
	local node
	for node in "${NODES[@]}"; do
		[ -z "$(left_on "$node")" ] || return 1
	done
}

# deleted WHAT COMMAND...: of weft-system, after which the nodes are as they were
deleted() {
	local node
	for node in "${NODES[@]}"; do
		expect_eq "$node, before $1" "$(left_on "$node" | xargs)" "pins cgroup-programs rules nftables processes cgroups"
	done
	"${@:2}" >/dev/null
	wait_until 60 no_agents
	for node in "${NODES[@]}"; do
		expect_eq "$node, after $1" "$(left_on "$node" | xargs)" ""
	done
}
no_agents() { [ -z "$(kubectl -n weft-system get pods -o name 2>/dev/null)" ]; }

images_with_agents
cluster_up
web_up
agents 1 '{privileged: true}'
wait_until 30 ruled
for node in "${NODES[@]}"; do
	expect_eq "$node: the container lacks" "$(agent_status "$node" | grep '^lacks' || true)" ""
	expect_eq "$node: cgroups of weft-proxy" \
		"$(on "$node" cut -d: -f3 "/proc/$(on "$node" pgrep -x weft-proxy)/cgroup" | sort -u)" /weft-proxy
done
under_load "kill -9 of weftd" kill_agents
under_load "$UPGRADES upgrades" upgrade
before=$(proxies)
OTHER_PROXY=yes under_load "$UPGRADES upgrades to another weft-proxy" upgrade_proxy
[ "$(proxies)" != "$before" ] || fail "weft-proxy is the same"
under_load "a list of capabilities" agents 2 "$CAPABILITIES"
deleted "kubectl delete daemonset" kubectl -n weft-system delete daemonset weft
agents 1 "$CAPABILITIES" # weft-proxy is started by such an agent, too
wait_until 30 ruled
deleted "kubectl delete -f" kubectl delete -f "$HERE/agent.yaml"
exit
