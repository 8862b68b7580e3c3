#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What weftd costs a node, and the API server, in a cluster of 1,000 services and 10,000 pods: how soon it is ready, its memory, the
# processor's time while things change, requests and bytes; then the same server with many nodes' informers, and what that comes to
# for 5,000 nodes. A real API server is alone with it: no kubelet and no controller. Writes RESULTS-KUBE.md beside this file.
#
#   BENCH_SERVICES, BENCH_PODS   1000, 10000
#   BENCH_NODES    informers beside weftd (20)       BENCH_SECONDS  of each kind of change (20)
#   BENCH_STARTS   starts that are measured (3)      BENCH_QUIET    seconds without a change (300)
#   BENCH_RESULTS  the file to write instead         TESTKUBE       the binary (.output/cluster/testkube)
ROOT=$(cd "${0%/*}/../.." && pwd)
export TESTKUBE=${TESTKUBE:-$ROOT/.output/cluster/testkube}
. "$ROOT/selftests/kube/node.sh"
. "$ROOT/selftests/bench/lib.sh"

SERVICES=${BENCH_SERVICES:-1000}
ALL_PODS=${BENCH_PODS:-10000}
NODES=${BENCH_NODES:-20}
SECONDS_EACH=${BENCH_SECONDS:-20}
STARTS=${BENCH_STARTS:-3}
QUIET=${BENCH_QUIET:-300}
RULES=100
RATE=10
RESULTS=${BENCH_RESULTS:-$ROOT/selftests/bench/RESULTS-KUBE.md}
HEALTH=127.0.0.1:15022

load() { in_ns node "$ROOT/selftests/bench/kube-load.py" "$KUBE" "$API_PORT" "$ETCD_PORT" "$@"; }

# ---- what is read ----

# cpu_ms PID: what its threads have run
cpu_ms() { cat "/proc/$1/task"/*/schedstat | awk '{ ns += $1 } END { printf "%.1f\n", ns / 1e6 }'; }
memory_kib() { awk -v what="$1:" '$1 == what { print $2 }' "/proc/$2/status"; }
mib() { awk -v n="$1" 'BEGIN { printf "%.1f", n / 1024 }'; }
calc() { awk "BEGIN { printf \"$1\", $2 }"; }
seconds_since() { calc %.2f "$EPOCHREALTIME - $1"; }

# What the informer has been told: bytes behind TLS and HTTP/2.
told() { kube_status "[.resources[].$1] | add"; }
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
server_cpu_ms() { cpu_ms "${KUBE_PIDS[api]}"; }
requests() { server apiserver_request_total; }

# ---- a start ----

ready() { in_ns node curl -fs -o /dev/null "http://$HEALTH/readyz"; }

# Goes on from nothing: without the state directory's copy of the cluster.
start() {
	local begin server asked bytes
	rm -rf "$TMP/state"
	mkdir "$TMP/state"
	asked=$(requests)
	bytes=$(bytes_in)
	server=$(server_cpu_ms)
	begin=$EPOCHREALTIME
	# shellcheck disable=SC2046 # words are meant
	(in_ns_exec node "$OUT/weftd" $(weftd_options) $(kube_options)) 2>>"$TMP/weftd.log" &
	WEFTD=$!
	until ready; do
		kill -0 "$WEFTD" || fail "weftd has ended"
		sleep 0.02
	done
	seconds_since "$begin" >>"$TMP/ready"
	cpu_ms "$WEFTD" >>"$TMP/ready.cpu"
	calc '%.0f\n' "$(server_cpu_ms) - $server" >>"$TMP/ready.server"
	sleep 3 # what it has needed goes back
	memory_kib VmRSS "$WEFTD" >>"$TMP/rss"
	memory_kib RssFile "$WEFTD" >>"$TMP/rss.file"
	memory_kib VmHWM "$WEFTD" >>"$TMP/rss.most"
	calc '%.0f\n' "$(bytes_in) - $bytes" >>"$TMP/ready.bytes"
	# One of them is the question itself.
	calc '%d\n' "$(requests) - $asked - 1" >>"$TMP/ready.requests"
}

starts() {
	local i
	for ((i = 1; i <= STARTS; i++)); do
		start
		echo "start $i of $STARTS" >&2
		[ "$i" = "$STARTS" ] || weftd_stop
	done
}

# From the state directory's copy, while the server is away: what a node has after it has been rebooted.
start_cached() {
	local begin
	weftd_stop
	begin=$EPOCHREALTIME
	weftd_kube
	CACHED=$(seconds_since "$begin")
	wait_until 60 eval '[ "$(kube_status .phase)" = synced ]'
}

# ---- changes ----

# changes WHAT: a row of the table
changes() {
	local made cpu bytes told generations begin
	cpu=$(cpu_ms "$WEFTD")
	bytes=$(bytes_in)
	told=$(told events)
	generations=$(generation)
	begin=$EPOCHREALTIME
	made=$(load change "$1" $RATE "$SECONDS_EACH")
	sleep 1
	awk -v what="$2" -v made="$made" -v s="$(seconds_since "$begin")" -v cpu="$(calc %f "$(cpu_ms "$WEFTD") - $cpu")" \
		-v bytes="$(calc %f "$(bytes_in) - $bytes")" -v told="$(($(told events) - told))" -v generations="$(($(generation) - generations))" \
		'BEGIN { printf "| %s | %d | %d | %d | %.1f | %.2f %% | %.1f |\n", what, made, told, generations, cpu / made, cpu / s / 10, bytes / made / 1000 }'
	echo "changes of $1" >&2
}

# ---- many nodes ----

# The kinds as kubernetes_kinds.c asks for them; the fields do not matter to the server.
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
	(in_ns_exec node "$APPS/informer-copy" -q -f metadata.name "$KUBE/config" $(node_kinds)) <>"$pipe" >"$pipe.log" 2>&1 &
	JOBS_+=("$!")
}

all_synced() { [ "$(grep -l '^synced$' "$TMP"/node.*.log | wc -l)" = "$NODES" ]; }

nodes_begin() {
	local i cpu
	cpu=$(server_cpu_ms)
	SERVER_BEFORE=$(memory_kib VmRSS "${KUBE_PIDS[api]}")
	for ((i = 0; i < NODES; i++)); do
		node_begin $i
	done
	wait_until 240 all_synced
	NODE_START_MS=$(calc %.0f "($(server_cpu_ms) - $cpu) / $NODES")
	echo "$NODES nodes" >&2
}

SENT='apiserver_watch_events_total'
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
	local sent begin
	sent=$(server $SENT)
	begin=$EPOCHREALTIME
	MANY_BUSY=$(server_rate slices)
	SENT_RATE=$(calc %.1f "($(server $SENT) - $sent) / ($EPOCHREALTIME - $begin)")
	SERVER_AFTER=$(memory_kib VmRSS "${KUBE_PIDS[api]}")
	EACH_EVENT_US=$(calc %.0f "($MANY_BUSY - $ALONE_BUSY) * 1000 / ($RATE * $NODES)")
	LONG_RUNNING=$(server 'apiserver_longrunning_requests{verb="WATCH"}')
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
	QUIET_REQUESTS=$(calc %d "$(requests) - $asked - 1")
}

# ---- the report ----

m() { median <"$TMP/$1"; }

# What cluster of 5,000 nodes is meant, in events a second of the whole cluster.
PAPER_NODES=5000
PAPER_EVENTS=30

paper() {
	local watches=13
	cat <<-END
	| of a cluster of $PAPER_NODES nodes, each with 30 pods | |
	|---|---|
	| watches that are open, per node and in sum | $watches, $((watches * PAPER_NODES)) |
	| requests a second, in sum (each watch is renewed after 5 to 10 minutes) | $(calc %.0f "$watches * $PAPER_NODES / 450") |
	| bytes a second to a node, with $PAPER_EVENTS events a second of $EVENT_BYTES bytes | $(calc %.0f "$PAPER_EVENTS * $EVENT_BYTES / 1000") KB |
	| bytes a second, in sum | $(calc %.1f "$PAPER_EVENTS * $EVENT_BYTES * $PAPER_NODES / 1e9") GB |
	| the server's processor, at $EACH_EVENT_US µs an event and node | $(calc %.1f "$PAPER_EVENTS * $EACH_EVENT_US * $PAPER_NODES / 1e6") cores |
	| the first list of a node, 150,000 pods | $(calc %.0f "$(m ready.bytes) * 15 / 1e6") MB, $(calc %.0f "$NODE_START_MS * 15 / 1000") s of the server's processor |
	END
}
