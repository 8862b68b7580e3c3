#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What weftd costs a node, and the API server, in a cluster of 1,000 services and 10,000 pods: how soon it is ready, its memory, the
# processor's time while things change, requests and bytes; then the same server with many nodes' informers, and what that comes to
# for 5,000 nodes. A real API server is alone with it: no kubelet and no controller. Writes RESULTS-KUBE.md beside this file.
#
#   BENCH_SERVICES, BENCH_PODS   1000, 10000
#   BENCH_NODES    informers beside weftd (20)       BENCH_SECONDS  of each kind of change (15)
#   BENCH_STARTS   starts that are measured (3)      BENCH_QUIET    seconds without a change (300)
#   BENCH_RESULTS  the file to write instead         TESTKUBE       the binary (.output/cluster/testkube-optimised)
ROOT=$(cd "${0%/*}/../.." && pwd)
export TESTKUBE=${TESTKUBE:-${WEFT_OUT:-$ROOT/.output}/cluster/testkube-optimised}
. "$ROOT/selftests/kube/node.sh"
. "$ROOT/selftests/bench/lib.sh"

SERVICES=${BENCH_SERVICES:-1000}
ALL_PODS=${BENCH_PODS:-10000}
NODES=${BENCH_NODES:-20}
SECONDS_EACH=${BENCH_SECONDS:-15}
STARTS=${BENCH_STARTS:-3}
QUIET=${BENCH_QUIET:-300}
RULES=100
RATE=10
RESULTS=${BENCH_RESULTS:-$ROOT/selftests/bench/RESULTS-KUBE.md}
HEALTH=127.0.0.1:15022

load() { in_ns node "$ROOT/selftests/bench/kube-load.py" "$KUBE_DIR" "$API_PORT" "$ETCD_PORT" "$@"; }

# ---- what is read ----

# cpu_ms PID: what its threads have run; one may end meanwhile
cpu_ms() { { cat "/proc/$1/task"/*/schedstat 2>/dev/null || true; } | awk '{ ns += $1 } END { printf "%.1f\n", ns / 1e6 }'; }
memory_kib() { awk -v what="$1:" '$1 == what { print $2 }' "/proc/$2/status"; }
mib() { awk -v n="$1" 'BEGIN { printf "%.1f", n / 1024 }'; }
calc() { awk "BEGIN { printf \"$1\", $2 }"; }
seconds_since() { calc %.2f "$EPOCHREALTIME - $1"; }

# What the informer has been told: bytes behind TLS and HTTP/2.
told() { kube_status "[.resources[].$1] | add"; }
# All that it has asked for.
requests() { kube_status '[.resources[].requests, .discoveries] | add'; }
# What has come by TCP, as the kernel counts it.
bytes_in() { in_ns node nft -j list counter inet bench api | jq '.nftables[] | .counter? // empty | .bytes'; }
count_bytes() {
	in_ns node nft -f - <<-END
	table inet bench {
		counter api {}
		chain in { type filter hook input priority 0; tcp sport $API_PORT counter name api; }
	}
	END
}

server() { load metrics "$@"; }
server_cpu_ms() { cpu_ms "${KUBE_PIDS[apiserver]}"; }

# ---- a start ----

# Until /readyz says so. One shell asks: a program started for each question takes a processor from what is measured.
await_ready() {
	# shellcheck disable=SC2016 # of the shell in the node
	in_ns node timeout 60 bash -c 'ready() { printf "GET /readyz HTTP/1.0\r\n\r\n" >&3 && read -r -u 3 _ code _ && [ "$code" = 200 ]; }
		until ready 3<>"/dev/tcp/${1/://}"; do sleep 0.02; done' - "$HEALTH" 2>/dev/null || fail "weftd is not ready"
}

# Goes on from nothing: without the state directory's copy of the cluster.
start() {
	local begin server bytes
	rm -rf "$TMP/state"
	mkdir "$TMP/state"
	bytes=$(bytes_in)
	server=$(server_cpu_ms)
	begin=$EPOCHREALTIME
	# shellcheck disable=SC2046 # words are meant
	(in_ns_exec node "$OUT/weftd" $(weftd_options) $(kube_options)) 2>>"$TMP/weftd.log" &
	WEFTD=$!
	await_ready
	printf '%s\n' "$(seconds_since "$begin")" >>"$TMP/ready"
	cpu_ms "$WEFTD" >>"$TMP/ready.cpu"
	calc '%.0f\n' "$(server_cpu_ms) - $server" >>"$TMP/ready.server"
	sleep 3 # what it has needed goes back
	memory_kib VmRSS "$WEFTD" >>"$TMP/rss"
	memory_kib RssFile "$WEFTD" >>"$TMP/rss.file"
	memory_kib VmHWM "$WEFTD" >>"$TMP/rss.most"
	calc '%.0f\n' "$(bytes_in) - $bytes" >>"$TMP/ready.bytes"
	requests >>"$TMP/ready.requests"
	listed_once
}

# What was listed twice is no measurement.
listed_once() {
	local repeated
	repeated=$(kube_status '[.resources[] | select(.lists > 1) | .resource] | join(", ")')
	[ -z "$repeated" ] || fail "listed more than once: $repeated"
}

starts() {
	local i
	for ((i = 1; i <= STARTS; i++)); do
		start
		echo "start $i of $STARTS" >&2
		[ "$i" = "$STARTS" ] || weftd_stop
	done
}

# From the state directory's copy: what a node has when weftd is restarted.
start_cached() {
	local begin
	weftd_stop
	begin=$EPOCHREALTIME
	weftd_kube_only
	await_ready
	CACHED=$(seconds_since "$begin")
}

# ---- changes ----

# changes WHAT: a row of the table
changes() {
	local made cpu bytes told generations begin
	told=$(told events)
	generations=$(generation)
	bytes=$(bytes_in)
	cpu=$(cpu_ms "$WEFTD")
	begin=$EPOCHREALTIME
	made=$(load change "$1" $RATE "$SECONDS_EACH")
	sleep 1
	awk -v what="$1" -v made="$made" -v s="$(seconds_since "$begin")" -v cpu="$(calc %f "$(cpu_ms "$WEFTD") - $cpu")" \
		-v bytes="$(calc %f "$(bytes_in) - $bytes")" -v told="$(($(told events) - told))" -v generations="$(($(generation) - generations))" \
		'BEGIN { printf "| %s | %d | %d | %d | %.1f | %.2f %% | %.1f |\n", what, made, told, generations, cpu / made, cpu / s / 10, bytes / made / 1000 }'
	echo "changes of $1" >&2
}

# ---- many nodes ----

# The kinds as kubernetes_kinds.c asks for them; that fields are named makes it protobuf, which of them does not matter to the server.
node_kinds() {
	echo /api/v1/{services=v1/Service,pods=v1/Pod,namespaces=v1/Namespace} \
		/apis/discovery.k8s.io/v1/endpointslices=discovery.k8s.io/v1/EndpointSlice \
		/apis/networking.k8s.io/v1/networkpolicies=networking.k8s.io/v1/NetworkPolicy \
		/apis/networking.istio.io/v1/{virtualservices=networking.istio.io/v1/VirtualService,destinationrules=networking.istio.io/v1/DestinationRule,gateways=networking.istio.io/v1/Gateway}
}

# An informer of its own, which keeps nothing.
node_begin() {
	local pipe=$TMP/node.$1
	mkfifo "$pipe"
	# shellcheck disable=SC2046 # words are meant
	(in_ns_exec node "$APPS/informer-copy" -q -f metadata.name "$KUBE_DIR/kubeconfig" $(node_kinds)) <>"$pipe" >"$pipe.log" 2>&1 &
}

all_synced() { [ "$(grep -l '^synced$' "$TMP"/node.*.log | wc -l)" = "$NODES" ]; }

nodes_begin() {
	local i cpu
	cpu=$(server_cpu_ms)
	for ((i = 0; i < NODES; i++)); do
		node_begin $i
	done
	wait_until 600 all_synced
	NODE_START_MS=$(calc %.0f "($(server_cpu_ms) - $cpu) / $NODES")
	echo "$NODES nodes" >&2
}

# The processor's time of the server with WHAT changing, in ms a second.
server_rate() {
	local cpu begin=$EPOCHREALTIME
	cpu=$(server_cpu_ms)
	load change "$1" $RATE "$SECONDS_EACH" >/dev/null
	calc '%.2f' "($(server_cpu_ms) - $cpu) / ($EPOCHREALTIME - $begin)"
}

alone() {
	ALONE_IDLE=$(server_rate none)
	ALONE_BUSY=$(server_rate slices)
}

together() {
	MANY_BUSY=$(server_rate slices)
	EACH_EVENT_US=$(calc %.0f "($MANY_BUSY - $ALONE_BUSY) * 1000 / ($RATE * $NODES)")
	EVENT_BYTES=$(event_bytes resource=pods)
	LONG_RUNNING=$(server 'apiserver_longrunning_requests{verb=WATCH}')
	WATCHES=$(kube_status '[.resources[] | select(.phase == "synced")] | length')
	ABSENT=$(kube_status '[.resources[] | select(.phase == "absent")] | length')
}

# A while without any change: what watching costs.
quiet() {
	local asked cpu weftd bytes
	asked=$(requests)
	cpu=$(server_cpu_ms)
	weftd=$(cpu_ms "$WEFTD")
	bytes=$(bytes_in)
	sleep "$QUIET"
	QUIET_SERVER=$(calc %.2f "($(server_cpu_ms) - $cpu) / $QUIET")
	QUIET_WEFTD=$(calc %.3f "($(cpu_ms "$WEFTD") - $weftd) / $QUIET / 10")
	QUIET_BYTES=$(calc %.0f "($(bytes_in) - $bytes) / $QUIET / ($NODES + 1)")
	QUIET_REQUESTS=$(($(requests) - asked))
}

# ---- the report ----

m() { median <"$TMP/$1"; }

# On paper: a cluster of so many nodes with so many pods each, and how many of its pods begin or end in a second.
PAPER_NODES=5000
PAPER_PODS=30
PAPER_CHURN=20
# What that is to each who watches: the pod, made, running and gone.
EVENTS_EACH=3

# event_bytes WHAT: of the mean event of that kind that the server has sent
event_bytes() { calc %.0f "$(server "apiserver_watch_events_sizes_sum{$1}") / $(server "apiserver_watch_events_sizes_count{$1}")"; }

# paper_row WHAT FORMAT EXPRESSION FORMAT EXPRESSION: of each node, and of all
paper_row() { printf '| %s | %s | %s |\n' "$1" "$(calc "$2" "$3")" "$(calc "$4" "$5")"; }

paper() {
	local events=$((PAPER_CHURN * EVENTS_EACH)) times
	times=$(calc %.1f "$PAPER_NODES * $PAPER_PODS / $ALL_PODS")
	cat <<-END
	| | a node | $PAPER_NODES nodes |
	|---|---|---|
	END
	paper_row "watches that are open" %d "$WATCHES" %d "$WATCHES * $PAPER_NODES"
	paper_row "requests a second: each watch is renewed after 5 to 10 minutes" %.3f "$WATCHES / 450" %.0f "$WATCHES * $PAPER_NODES / 450"
	paper_row "those for the $ABSENT kinds that are not defined, one for all every 16 s" %.3f "($ABSENT > 0) / 16" %.0f "($ABSENT > 0) * $PAPER_NODES / 16"
	paper_row "events a second" %d "$events" %d "$events * $PAPER_NODES"
	paper_row "bytes of them a second" "%.2f MB" "$events * $EVENT_BYTES / 1e6" "%.1f GB" "$events * $EVENT_BYTES * $PAPER_NODES / 1e9"
	paper_row "the API server's processors for that" "%.4f" "$events * $EACH_EVENT_US / 1e6" %.0f "$events * $EACH_EVENT_US * $PAPER_NODES / 1e6"
	paper_row "a start: what is listed ($times times what is measured)" "%.2f GB" "$(m ready.bytes) * $times / 1e9" "%.1f TB" "$(m ready.bytes) * $times * $PAPER_NODES / 1e12"
	paper_row "a start: the API server's processor, in seconds" %.0f "$NODE_START_MS * $times / 1000" %.0f "$NODE_START_MS * $times * $PAPER_NODES / 1000"
	echo "| weftd's memory, if all of its own were for pods | $(calc "%.0f MiB" "(($(m rss) - $(m rss.file)) * $times + $(m rss.file)) / 1024") | |"
}

report() {
	cat <<-END
	# Kubernetes: what weft costs a cluster

	Written by \`make bench-kube\` on $(date -u +%F) at $(revision).
	$(machine "Kubernetes $(kube version -o json | jq -r .serverVersion.gitVersion)")

	$SERVICES services, $ALL_PODS pods as Deployments make them (5.2 KB of JSON each, and as protobuf, which they are asked for as, what
	an event has below) with EndpointSlices, $RULES VirtualServices and DestinationRules; etcd, the API server and weftd on one machine,
	over TLS. The API server is selftests/cluster's, compiled with optimisation as a cluster's own is. Medians of $STARTS starts, in each
	of which everything was listed once.

	## A start

	| | |
	|---|---|
	| ready after, s | $(m ready) |
	| weftd's processor until then, ms | $(m ready.cpu) |
	| the API server's and the time it takes, ms of processor | $(m ready.server) |
	| requests | $(m ready.requests) ($ABSENT kinds are not defined here) |
	| bytes received, MB | $(calc %.1f "$(m ready.bytes) / 1e6") |
	| ready after, s, from what was last known, without the API server's help | $CACHED |
	| weftd's memory, MiB | $(mib "$(m rss)"), of which $(mib "$(m rss.file)") are libraries and programs |
	| at most, in between, MiB | $(mib "$(m rss.most)") |
	| after all of the changes below, MiB | $(mib "$RSS_THEN") |

	## Changes, $RATE a second

	| | made | told of | generations | weftd's processor, ms each | of a core | KB received each |
	|---|---|---|---|---|---|---|
	$(cat "$TMP/changes")

	\`pods\`: each is made, gets its status, and is deleted; a third of the changes is each of these.

	## Nobody changes anything, for $QUIET s

	| | |
	|---|---|
	| weftd, of a core | $QUIET_WEFTD % |
	| bytes a second, to a node | $QUIET_BYTES |
	| requests of weftd | $QUIET_REQUESTS |
	| the API server, ms of processor a second | $QUIET_SERVER |

	## Many nodes

	$NODES more nodes, of each only what asks the API server (the informer), which has $LONG_RUNNING watches open then.

	| | |
	|---|---|
	| a node's start, ms of the API server's processor (all of them at once) | $NODE_START_MS |
	| the API server, idle, with weftd alone, ms a second | $ALONE_IDLE |
	| $RATE changes of EndpointSlices a second, weftd alone | $ALONE_BUSY |
	| the same with all nodes | $MANY_BUSY |
	| an event to a node, µs of the API server's processor | $EACH_EVENT_US |
	| an event, bytes, as the API server counts them | $EVENT_BYTES |

	## $PAPER_NODES nodes, on paper

	Arithmetic from the rows above, not a measurement: $PAPER_PODS pods a node, and $PAPER_CHURN pods of the whole cluster that begin or end in a
	second, each $EVENTS_EACH events to everyone who watches pods and EndpointSlices. Every node is told of every pod: subsets,
	NetworkPolicies and who calls need the labels of all of them.

	$(paper)

	Beside others, by what they have written:

	| | what each node watches | what it is told when a pod begins | who bears it |
	|---|---|---|---|
	| weft | Pods, EndpointSlices, Services, rules | the Pod, 3 times, $(calc %.1f "$EVENT_BYTES / 1000") KB each; its EndpointSlice | the API server |
	| Cilium, CiliumEndpoints | CiliumEndpoints, identities, EndpointSlices, Services; Pods of its own node only | the CiliumEndpoint, 3 times [1]; its EndpointSlice | the API server: 1,000 nodes and 30 pods a second are 90,000 events a second, which would overwhelm 96 processors [1] |
	| Cilium, CiliumEndpointSlices | slices of slim CiliumEndpoints instead, which its operator gathers [2] | a slice, with others that changed | the API server: each update is serialised for each agent [3] |
	| Istio ambient, ztunnel | nothing of the API server's; one stream of istiod's | the Workload, by a delta [4] | istiod, which watches once; ztunnel is meant to be looked at from 100,000 pods or 20,000 services on [5] |
	| kube-proxy | EndpointSlices, Services | its EndpointSlice: 10 KB for each of 5,000 nodes is 50 MB [6] | the API server |

	[1] cilium/cilium#15153. [2] docs.cilium.io, "CiliumEndpointSlice". [3] cilium/design-cfps#88, "Cilium Control Plane at Scale".
	[4] masterthemesh.com, "istiod xDS: ambient". [5] ambientmesh.io, "Production readiness". [6] KEP-752, "Estimation".

	weft's share is the largest of these, for two reasons: a Pod is told of as a whole (what weft keeps of it is 0.7 KB of JSON), and
	to everyone. What kube-proxy is told costs the API server the same either way.
	END
}

node_up
kube_up
kube_crds_up v1
count_bytes
begin=$EPOCHREALTIME
load fill "$SERVICES" "$ALL_PODS" 100
load rules $RULES
echo "filled in $(seconds_since "$begin") s" >&2
starts
: >"$TMP/changes"
for what in slices pods rules; do
	changes $what >>"$TMP/changes"
done
RSS_THEN=$(memory_kib VmRSS "$WEFTD")
alone
nodes_begin
together
quiet
start_cached
report >"$TMP/results"
cp "$TMP/results" "$RESULTS"
cat "$RESULTS"
