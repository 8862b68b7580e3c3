#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What mutual TLS between two nodes costs: requests on connections that are kept, one connection's flow and round trips, and
# short connections; weft under a STRICT PeerAuthentication, against two HAProxies with TLS 1.3 and client certificates, and against
# weft without mutual TLS, which leaves all of it to the kernel. Both nodes' proxies have one core, client and server the other; rounds of
# the ways alternated, medians. Writes RESULTS-MTLS.md beside this file.
#
#   BENCH_ROUNDS      rounds (11)                         BENCH_SECONDS   length of one measurement (0.5)
#   BENCH_LOAD_CPU    client's and server's core (0)      BENCH_PROXY_CPU the proxies' (1)
#   BENCH_BODIES      bytes (64 10240 1048576)            BENCH_CONNS     connections (1 32)
#   BENCH_WAYS        plain haproxy weft
. "${0%/*}/lib.sh"

ROUNDS=${BENCH_ROUNDS:-11}
SECONDS_EACH=${BENCH_SECONDS:-0.5}
LOAD_CPU=${BENCH_LOAD_CPU:-0}
PROXY_CPU=${BENCH_PROXY_CPU:-1}
BODIES=${BENCH_BODIES:-64 10240 1048576}
CONNS=${BENCH_CONNS:-1 32}
WAYS=${BENCH_WAYS:-plain haproxy weft}
BENCH=$ROOT/selftests/bench
RESULTS=${BENCH_RESULTS:-$BENCH/RESULTS-MTLS.md}
HTTP=8000
TCP=9000
SPIFFE=spiffe://cluster.local/ns/default/sa
# What a browser sends, more or less.
HEADERS=(-H "Host: web:$HTTP" -H "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0)" -H "Accept: text/html,*/*"
	-H "Accept-Language: en" -H "Accept-Encoding: gzip, deflate" -H "Cookie: session=0123456789abcdef0123456789abcdef")
declare -A PROXIES # way: process ids of both nodes' proxies; plain: there are none

# ---- certificates: those of HAProxy are what weft's CA would sign ----

leaf() { # NAME ACCOUNT
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TLS_DIR/$1.key" -out "$TLS_DIR/$1.csr" -subj / 2>/dev/null
	openssl x509 -req -in "$TLS_DIR/$1.csr" -CA "$TLS_DIR/ca.crt" -CAkey "$TLS_DIR/ca.key" -CAcreateserial -out "$TLS_DIR/$1.crt" -days 1 \
		-extfile <(printf 'subjectAltName=critical,URI:%s\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n' \
			"$SPIFFE/$2") 2>/dev/null
	cat "$TLS_DIR/$1.crt" "$TLS_DIR/$1.key" >"$TLS_DIR/$1.pem"
}

certificates() {
	export TLS_DIR=$TMP/tls
	mkdir -p "$TLS_DIR"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TLS_DIR/ca.key" -out "$TLS_DIR/ca.crt" -subj /O=mesh -days 2 \
		-addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
	leaf client client
	leaf server web
}

# ---- two nodes for each way: `node` with the pod `client`, `world` with the pod `server`, 10.244.1.2 ----

server_add() {
	NUMBER[server]=2
	NET4[server]=10.244.1
	NET6[server]=fd00:2441:
	LABELS[server]=app=web
	ns_add server "${CLIENT_SETTINGS[@]}"
	ip_in world <<-END
	link add veth2 address 0a:58:00:00:01:02 type veth peer name eth0 address 0a:58:00:00:02:02 netns $(netns server)
	link set veth2 up
	route add 10.244.1.2/32 dev veth2
	route add fd00:2441::2/128 dev veth2
	END
	ip_in server <<-END
	link set lo up
	link set eth0 up
	address add 10.244.1.2/32 dev eth0
	address add fd00:2441::2/128 dev eth0 nodad
	route add 169.254.1.1 dev eth0 scope link
	neighbour add 169.254.1.1 lladdr 0a:58:00:00:01:02 dev eth0 nud permanent
	route add default via 169.254.1.1 dev eth0
	neighbour add fe80::1 lladdr 0a:58:00:00:01:02 dev eth0 nud permanent
	route add ::/0 via fe80::1 dev eth0
	END
}

nodes_up() {
	local log where
	PODS=()
	node_up
	sysctl_in world net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1 net/ipv4/conf/all/rp_filter=0
	pod_add client 1
	server_add
	log=$(mktemp "$TMP/serve.XXXXXX")
	start_in server taskset -c "$LOAD_CPU" "$APPS/http-echo" 8080 server >"$log"
	wait_until 5 grep -q listening "$log"
	start_in server taskset -c "$LOAD_CPU" "$OUT/bench/tcp-bench" serve "$TCP"
	for where in node world client server; do
		in_ns "$where" sysctl -qw net.ipv4.tcp_congestion_control=reno
	done
}

# ---- the ways ----

# weft_at NODE: the command line of that node's weftd
weft_at() { "$OUT/weft" --run-dir "$TMP/$ID/$1/run" "${@:2}"; }

# Its proxy inherits the core. A node's weftd watches the connect()s of its own pods.
weftd_at() { # NODE NIC [OPTION...]
	local dir=$TMP/$ID/$1 node=$1 nic=$2
	shift 2
	mkdir -p "$dir/run" "$dir/state" "$CGROUP/$ID-$node"
	(in_ns_exec "$node" taskset -c "$PROXY_CPU" "$OUT/weftd" --state-dir "$dir/state" --run-dir "$dir/run" --bpffs "$TMP/bpf/$ID-$node" \
		--cgroup "$CGROUP/$ID-$node" --nic "$nic" --node-name "$node" --workers 1 "$@") 2>>"$TMP/weftd.log" &
	wait_until 30 weft_at "$node" status --wait
}

pod_of() { # NAME NODE ACCOUNT
	cat <<-END
	---
	apiVersion: v1
	kind: Pod
	metadata: {name: $1, namespace: default, labels: {${LABELS[$1]/=/: }}}
	spec: {nodeName: $2, serviceAccountName: $3, containers: [{name: main, image: none}]}
	status:
	  phase: Running
	  podIP: $(addr 4 "$1")
	  podIPs: [{ip: $(addr 4 "$1")}, {ip: "$(addr 6 "$1")"}]
	  conditions: [{type: Ready, status: "True"}]
	END
}

weft_rules() {
	pod_of client node client
	pod_of server world web
	cat <<-END
	---
	apiVersion: v1
	kind: Service
	metadata: {name: web, namespace: default}
	spec:
	  clusterIP: $(vip 4 10)
	  selector: {app: web}
	  ports:
	  - {name: http, port: $HTTP, targetPort: 8080}
	  - {name: tcp, port: $TCP, targetPort: $TCP}
	END
}

strict() {
	cat <<-END
	---
	apiVersion: security.istio.io/v1
	kind: PeerAuthentication
	metadata: {name: default, namespace: istio-system}
	spec: {mtls: {mode: STRICT}}
	END
}

start_plain() {
	weftd_at node nic0
	weftd_at world eth0
	weft_rules | tee >(weft_at node apply -f - >/dev/null) | weft_at world apply -f - >/dev/null
	wait_until 5 answers
}

start_weft() {
	local ca=(--ca-cert "$TLS_DIR/ca.crt" --ca-key "$TLS_DIR/ca.key") node
	weftd_at node nic0 "${ca[@]}"
	weftd_at world eth0 "${ca[@]}"
	for node in world node; do
		{ weft_rules; strict; } | weft_at "$node" apply -f - >/dev/null
	done
	wait_until 10 answers
	PROXIES[weft]="$(weft_at node status -o json | jq .proxy.pid) $(weft_at world status -o json | jq .proxy.pid)"
}

start_haproxy() {
	start_in node taskset -c "$PROXY_CPU" haproxy -q -db -f "$BENCH/haproxy-mtls-client.cfg"
	PROXIES[haproxy]=$STARTED
	start_in world taskset -c "$PROXY_CPU" haproxy -q -db -f "$BENCH/haproxy-mtls-server.cfg"
	PROXIES[haproxy]+=" $STARTED"
	wait_until 5 answers
}

# Where the client of the way in use finds the server.
target() {
	case $ID in
	*-haproxy) addr 4 node ;;
	*) vip 4 10 ;;
	esac
}

# as_client COMMAND...: in the pod, among the processes whose connect() the node's weftd sees
as_client() (
	mkdir -p "$CGROUP/$ID-node"
	echo "$BASHPID" >"$CGROUP/$ID-node/cgroup.procs"
	taskset -c "$LOAD_CPU" nsenter --net="/run/netns/$(netns client)" "$@"
)

answers() { as_client "$APPS/http-load" "$(target)" "$HTTP" "${HEADERS[@]}" --print; }

# ---- is it what it says it is? ----

# records_seen FILE: what the wire between the nodes has carried, as TLS has it: `tls`, or `clear`
wire_watch() { # FILE
	start_in world timeout 20 tcpdump -i eth0 --immediate-mode -U -w "$1" "tcp and (net 10.244.0.0/24 or net 10.1.0.0/24)" 2>/dev/null
	wait_until 5 test -s "$1"
}

# A word that is asked for must not be on the wire, unless nothing is encrypted.
check_wire() { # WAY
	local file=$TMP/wire.$1 seen=no want=no
	[ "$1" != plain ] || want=yes
	wire_watch "$file"
	as_client "$APPS/http-load" "$(target)" "$HTTP" -H "Host: web:$HTTP" -H "x-word: open-sesame" -p /bytes/64 -n 20 >/dev/null
	sleep 0.3
	kill "$STARTED" 2>/dev/null || true
	wait "$STARTED" 2>/dev/null || true
	if grep -aq open-sesame "$file"; then seen=yes; fi
	[ "$(stat -c %s "$file")" -gt 1000 ] || fail "$1: nothing was on the wire"
	expect_eq "$1: a request's words on the wire in clear" "$seen" "$want"
}

# ---- measurements ----

# ns of processor time that the processes have had
cpu_ns() { # PID...
	# CLOCK_PROCESS_CPUTIME_ID of another process, as clock_getcpuclockid() has it.
	/usr/bin/python3 -c 'import sys, time; print(sum(int(time.clock_gettime((~int(p) << 3) | 2) * 1e9) for p in sys.argv[1:]))' "$@"
}

proxies_ns() { # WAY
	# shellcheck disable=SC2086 # words are meant
	cpu_ns ${PROXIES[$1]:-}
}

# What both cores would idle away goes to two processes of the lowest kind: their share is known to the nanosecond.
idlers_start() {
	local cpu
	IDLERS=()
	for cpu in "$LOAD_CPU" "$PROXY_CPU"; do
		taskset -c "$cpu" chrt -i 0 sh -c 'while :; do :; done' &
		IDLERS+=("$!")
	done
	sleep 0.05
}

idlers_end() {
	kill -9 "${IDLERS[@]}"
	wait "${IDLERS[@]}" 2>/dev/null || true
}

# note FILE RESULT: the CPU time per request
note() { jq '.cpu_us / .answered' <<<"$2" >>"$TMP/$1"; }

# per FILE NS-BEFORE NS-AFTER COUNT: one more value, µs
per() { awk -v a="$2" -v b="$3" -v n="$4" 'BEGIN { print (b - a) / 1000 / n }' >>"$TMP/$1"; }

requests() { # WAY BODY CONNS [OPTION...]
	local result
	use "$1"
	result=$(as_client "$APPS/http-load" "$(target)" "$HTTP" "${HEADERS[@]}" -p "/bytes/$2" -c "$3" --warm -d "$SECONDS_EACH" -t 60000 "${@:4}")
	[ "$(jq -r '(.errors | length) == 0 and (.statuses | keys) == ["200"]' <<<"$result")" = true ] ||
		fail "$1: not all requests were answered: $result"
	echo "$result"
}

# of_proxies WAY: the options that ask for their CPU time
of_proxies() {
	local pid
	for pid in ${PROXIES[$1]:-}; do echo --cpu-of "$pid"; done
}

full_load() { # WAY BODY CONNS
	local result
	# shellcheck disable=SC2046 # words are meant
	result=$(requests "$@" $(of_proxies "$1"))
	jq .rate <<<"$result" >>"$TMP/rate.$1.$2.$3"
	[ "$1" = plain ] || note "cpu.$1.$2.$3" "$result"
}

# Requests per second: half of what the slowest does.
half_rate() { # BODY CONNS
	local way
	for way in $WAYS; do
		[ ! -e "$TMP/rate.$way.$1.$2" ] || median <"$TMP/rate.$way.$1.$2"
	done | sort -g | awk 'NR == 1 { printf "%d\n", $1 / 2 }'
}

half_load() { # WAY BODY CONNS
	local result
	# shellcheck disable=SC2046 # words are meant
	result=$(requests "$@" -r "$(half_rate "$2" "$3")" $(of_proxies "$1"))
	[ "$1" = plain ] || note "half.$1.$2.$3" "$result"
	jq .latency_us.p50 <<<"$result" >>"$TMP/p50.$1.$2.$3"
	jq .latency_us.p99 <<<"$result" >>"$TMP/p99.$1.$2.$3"
}

all_load() { # WAY BODY CONNS
	local result
	idlers_start
	result=$(requests "$@" -r "$(half_rate "$2" "$3")" --cpu-of "${IDLERS[0]}" --cpu-of "${IDLERS[1]}")
	idlers_end
	jq '(2e6 * .seconds - .cpu_us) / .answered' <<<"$result" >>"$TMP/all.$1.$2.$3"
}

tcp_bench() { as_client "$OUT/bench/tcp-bench" "$1" "$(target)" "$TCP" "$SECONDS_EACH"; }

# Bytes in one direction: Gbit/s, and µs of the proxies' time per MiB.
flow() { # WAY
	local before rate
	use "$1"
	before=$(proxies_ns "$1")
	rate=$(tcp_bench flow)
	echo "$rate" >>"$TMP/flow.$1"
	[ "$1" = plain ] || per "flowcpu.$1" "$before" "$(proxies_ns "$1")" "$(awk -v r="$rate" -v s="$SECONDS_EACH" 'BEGIN { print r * 1e9 / 8 * s / 1048576 }')"
}

round_trip() { # WAY
	use "$1"
	tcp_bench rtt >>"$TMP/rtt.$1"
}

# Each with a handshake of its own, resumed or not as the proxies do it.
short_connections() { # WAY
	local before rate
	use "$1"
	before=$(proxies_ns "$1")
	rate=$(tcp_bench conn)
	echo "$rate" >>"$TMP/conn.$1"
	[ "$1" = plain ] || per "conncpu.$1" "$before" "$(proxies_ns "$1")" "$(awk -v r="$rate" -v s="$SECONDS_EACH" 'BEGIN { print r * s }')"
}

rounds_of() { # MEASURE LIST...: each way takes its turn
	local measure=$1 round what way
	shift
	[ $# -gt 0 ] || set -- ""
	for round in $(seq "$ROUNDS"); do
		for what; do
			for way in $WAYS; do
				# shellcheck disable=SC2086 # words are meant
				"$measure" "$way" $what
			done
		done
		echo "$measure, round $round of $ROUNDS" >&2
	done
}

loads() {
	local body conns
	for body in $BODIES; do
		for conns in $CONNS; do
			printf '%s %s\n' "$body" "$conns"
		done
	done
}

# ---- the report ----

of() {
	if [ -e "$TMP/$1" ]; then median <"$TMP/$1"; else echo -; fi
}

number() { if [ "$2" = - ]; then echo -; else printf "$1" "$2"; fi; }

size() {
	case $1 in
	*[!0-9]* | ? | ?? | ???) echo "$1 B" ;;
	*) if (($1 >= 1048576)); then echo "$(($1 / 1048576)) MiB"; else echo "$(($1 / 1024)) KiB"; fi ;;
	esac
}

# compared FILE FORMAT KEY WAY...: the ways' medians, and weft's beside HAProxy's
compared() {
	local file=$1 format=$2 key=$3 way
	shift 3
	for way; do
		printf ' %s |' "$(number "$format" "$(of "$file.$way$key")")"
	done
	printf ' %s |\n' "$(ratio_of "$TMP/$file.weft$key" "$TMP/$file.haproxy$key")"
}

request_rows() { # FILE FORMAT WAY...
	local body conns
	while read -r body conns; do
		printf '| %s | %s |' "$(size "$body")" "$conns"
		case $1 in half | all) printf ' %s |' "$(half_rate "$body" "$conns")" ;; esac
		compared "$1" "$2" ".$body.$conns" "${@:3}"
	done < <(loads)
}

latency_rows() {
	local body conns way
	while read -r body conns; do
		printf '| %s | %s |' "$(size "$body")" "$conns"
		for way in plain haproxy weft; do
			printf ' %s / %s |' "$(number %.0f "$(of "p50.$way.$body.$conns")")" "$(number %.0f "$(of "p99.$way.$body.$conns")")"
		done
		echo
	done < <(loads)
}

# µs per MiB are ms per GiB, all but 2.4 %: 1024 MiB of 1000 µs.
gib_row() {
	local way
	for way in haproxy weft; do
		[ ! -e "$TMP/flowcpu.$way" ] || awk '{ print $1 * 1024 / 1000 }' "$TMP/flowcpu.$way" >"$TMP/gib.$way"
	done
	printf '| CPU time of both proxies, ms per GiB | - |'
	compared gib %.0f "" haproxy weft
}

tcp_rows() {
	printf '| one connection, Gbit/s |'
	compared flow %.2f "" plain haproxy weft
	gib_row
	printf '| round trip of one byte, µs |'
	compared rtt %.0f "" plain haproxy weft
	printf '| short connections per second, one after the other |'
	compared conn %.0f "" plain haproxy weft
	printf '| CPU time of both proxies, µs per connection | - |'
	compared conncpu %.0f "" haproxy weft
}

write_report() {
	cat <<-END
	# Mutual TLS from node to node

	Written by \`make bench-mtls\` on $(date -u +%F) at $(revision).
	$(machine "HAProxy $(haproxy -v | awk '{ print $3; exit }')" "$(openssl version | cut -d' ' -f1,2), of both")

	A pod of one node calls a pod of another: two network namespaces of one machine, joined by a veth. *plain*: weft without mutual TLS, which leaves all
	of it to the kernel. *HAProxy*: one on each node, TLS 1.3 between them, each with a certificate that the other verifies (\`haproxy-mtls-client.cfg\`,
	\`haproxy-mtls-server.cfg\`); the client calls the one of its node. *weft*: the same under a STRICT PeerAuthentication, with a CA of \`--ca-cert\`; the client calls
	the Service. Certificates are P-256 by the same CA, the suite is TLS_AES_128_GCM_SHA256, the key exchange X25519. No access log. The proxies of both nodes are on core $PROXY_CPU, client and server on
	core $LOAD_CPU; medians of $ROUNDS rounds of $SECONDS_EACH s each, the ways taking turns. Ratios are medians of each round's. TCP's congestion control is Reno in all.
	ztunnel is not in it: it is built from crates that this does not fetch.

	## CPU time of both proxies, µs per request

	On connections that are kept, at the same rate for all, half of what the slowest does:

	| body | connections | requests per second | HAProxy | weft | weft / HAProxy |
	|---|---|---|---|---|---|
	$(request_rows half %.1f haproxy weft)

	Each as fast as it can:

	| body | connections | HAProxy | weft | weft / HAProxy |
	|---|---|---|---|---|
	$(request_rows cpu %.1f haproxy weft)

	## CPU time of everything, µs per request

	Client, server, proxies and the kernel, at the same rate for all: what neither core has idled away.

	| body | connections | requests per second | plain | HAProxy | weft | weft / HAProxy |
	|---|---|---|---|---|---|---|
	$(request_rows all %.1f plain haproxy weft)

	## Requests per second

	| body | connections | plain | HAProxy | weft | weft / HAProxy |
	|---|---|---|---|---|---|
	$(request_rows rate %.0f plain haproxy weft)

	## Latency, µs, p50 / p99

	At the same rate for all, that of the first table; counted from when a request should have been sent.

	| body | connections | plain | HAProxy | weft |
	|---|---|---|---|---|
	$(latency_rows)

	## TCP without requests

	| | plain | HAProxy | weft | weft / HAProxy |
	|---|---|---|---|---|
	$(tcp_rows)
	END
}

for way in $WAYS; do
	use "$way"
	nodes_up
	[ -n "${TLS_DIR:-}" ] || certificates
	"start_$way"
	check_wire "$way"
done
mapfile -t LOADS < <(loads)
rounds_of full_load "${LOADS[@]}"
rounds_of half_load "${LOADS[@]}"
rounds_of all_load "${LOADS[@]}"
rounds_of flow
rounds_of round_trip
rounds_of short_connections
write_report >"$TMP/results"
cp "$TMP/results" "$RESULTS"
cat "$RESULTS"
