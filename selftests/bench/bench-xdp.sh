#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a packet costs that a caller from outside sends to this node and whose endpoint is on another one: forwarded by XDP, natively and
# generically, by tc, and by iptables (DNAT and masquerade). Each way has a node of its own with one connection; a frame of it is sent
# again and again by one core, which does all of the forwarding as well, and is dropped behind the node. Then the same frame
# is from a source that is not wanted: dropped by a ConnectionPolicy, or in iptables' raw table by an ipset. Rounds of the ways
# alternate, medians. Writes RESULTS-XDP.md beside this file.
#
#   BENCH_ROUNDS   rounds (9)      BENCH_PACKETS   frames of one measurement (300000)      BENCH_CPU   the core (0)
#   BENCH_RESULTS  the file to write instead                   BENCH_DENIED    networks that are not wanted (1000)
. "${0%/*}/lib.sh"

ROUNDS=${BENCH_ROUNDS:-9}
PACKETS=${BENCH_PACKETS:-300000}
CPU=${BENCH_CPU:-0}
DENIED=${BENCH_DENIED:-1000}
RESULTS=${BENCH_RESULTS:-$ROOT/selftests/bench/RESULTS-XDP.md}
REPLAY=$OUT/bench/frame-replay
WAYS="drop native generic tc iptables"
ADDRESS=192.0.2.10

WAY=
declare -A DAEMON # process ids, by way
OTHERS=$(seq 0 $(($(nproc) - 1)) | grep -vx "$CPU" | paste -sd,) || true
OTHERS=${OTHERS:-$CPU}

# use WAY: the node that the functions of the net tests work on from now on
use() {
	WAY=$1
	ID=wt-$$-$1
	WEFTD=${DAEMON[$1]:-}
}

steers() { case $WAY in native | generic | tc) ;; *) return 1 ;; esac }
weft() { "$OUT/weft" --run-dir "$TMP/$WAY/run" "$@"; }
weftd_options() {
	echo --state-dir "$TMP/$WAY/state" --run-dir "$TMP/$WAY/run" --bpffs "$TMP/bpf/$WAY" --cgroup "$CGROUP/$WAY" --nic nic0
}

service() {
	rules_service far 10 9000 app=far "type: LoadBalancer"
	echo "status: {loadBalancer: {ingress: [{ip: $ADDRESS}]}}"
}

steered_node() {
	local mode=$WAY
	[ "$mode" != tc ] || mode=off
	mkdir -p "$CGROUP/$WAY" "$TMP/$WAY"/{run,state}
	# shellcheck disable=SC2046 # words are meant
	(in_ns_exec node taskset -c "$OTHERS" "$OUT/weftd" $(weftd_options) --xdp "$mode") 2>>"$TMP/weftd.log" &
	DAEMON[$WAY]=$!
	JOBS_+=("$!")
	wait_until 30 weft status --wait
	{ rules_pods; service; } | apply
}

iptables_node() {
	in_ns node iptables -w -t nat -A PREROUTING -d $ADDRESS -p tcp --dport 9000 -j DNAT --to-destination "$(addr 4 far):9000"
	in_ns node iptables -w -t nat -A POSTROUTING -d "$(addr 4 far)" -j MASQUERADE
}

# A node with a connection through it, and a frame of that in $TMP/WAY.frame; nothing comes back from now on.
node_with_connection() {
	local held capture
	PODS=() REMOTES=()
	node_up
	remote_add far 3 app=far
	outside_add other 5
	echo_start far 9000 far
	checksums_finished world eth0
	xdp_verdict world eth0 pass
	if steers; then steered_node; else iptables_node; fi
	load_start other "$TMP/$WAY.held" $ADDRESS 9000 -s hello -e hold --every 50 --ready "$TMP/$WAY.ready"
	held=$STARTED
	wait_until 5 test -e "$TMP/$WAY.ready"
	start_in world "$REPLAY" capture eth0 9000 "$TMP/$WAY.frame"
	capture=$STARTED
	wait "$capture"
	kill -STOP "$held"
	# The next hop answers nothing any more.
	in_ns node ip neighbour replace "$(addr 4 world)" dev nic0 nud permanent \
		lladdr "$(in_ns world ip -j link show eth0 | jq -r '.[0].address')"
	xdp_verdict world eth0 drop
	[ "$WAY" != drop ] || xdp_verdict node nic0 drop
}

# What has gone on since the node was made.
forwarded() {
	case $WAY in
	native | generic) stat_of weft.xdp.forwarded.packets ;;
	*) in_ns node ip -j -s link show nic0 | jq '.[0].stats64.tx.packets' ;;
	esac
}

measure() {
	local before after cost
	before=$(forwarded)
	cost=$(in_ns world taskset -c "$CPU" "$REPLAY" send eth0 "$TMP/$WAY.frame" "$PACKETS")
	after=$(forwarded)
	[ "$WAY" = drop ] || (($after - before > PACKETS * 99 / 100)) || fail "$WAY: $((after - before)) of $PACKETS were forwarded"
	echo "$cost" >>"$TMP/$WAY.cost"
}

# ---- dropped ----

# The networks that are not wanted, the caller's among them.
denied() {
	echo "$(addr 4 other)/32"
	awk -v most="$DENIED" 'BEGIN { for (i = 1; i < most; i++) printf "100.%d.%d.0/24\n", 64 + int(i / 256), i % 256 }'
}

deny() {
	denied >"$TMP/denied"
	if steers; then
		PINS=$TMP/bpf/$WAY
		policy_sources deny <"$TMP/denied"
		policy $ON
	elif [ "$WAY" = iptables ]; then
		in_ns node ipset create denied hash:net
		sed 's/^/add denied /' "$TMP/denied" | in_ns node ipset restore
		in_ns node iptables -w -t raw -A PREROUTING -m set --match-set denied src -j DROP
	fi
}

# What has been dropped since.
dropped() {
	case $WAY in
	iptables) in_ns node iptables -w -t raw -nvxL PREROUTING | awk '/match-set denied/ { print $1 }' ;;
	*) PINS=$TMP/bpf/$WAY protected denied ;;
	esac
}

measure_drop() {
	local before=0 cost
	[ "$WAY" = drop ] || before=$(dropped)
	cost=$(in_ns world taskset -c "$CPU" "$REPLAY" send eth0 "$TMP/$WAY.frame" "$PACKETS")
	[ "$WAY" = drop ] || (($(dropped) - before > PACKETS * 99 / 100)) || fail "$WAY: of $PACKETS $(($(dropped) - before)) were dropped"
	echo "$cost" >>"$TMP/$WAY.dropped.cost"
}

# ---- told ----

# less_drop WAY[.dropped]: what the node itself takes for a packet: without what sending it takes, in the same round
less_drop() {
	local base=drop
	[[ $1 != *.dropped ]] || base=drop.dropped
	paste "$TMP/$1.cost" "$TMP/$base.cost" | awk '{ print $1 - $2 }'
}

row_of() { # WAY[.dropped] WORDS
	local iptables=iptables
	[[ $1 != *.dropped ]] || iptables=iptables.dropped
	less_drop "$1" >"$TMP/$1.net"
	less_drop $iptables >"$TMP/$iptables.net"
	printf '| %s | %.0f | %.2f | %.0f | %s |\n' "$2" "$(median <"$TMP/$1.cost")" "$(median <"$TMP/$1.cost" | awk '{ print 1000 / $1 }')" \
		"$(median <"$TMP/$1.net")" "$(ratio_of "$TMP/$iptables.net" "$TMP/$1.net")"
}

report() {
	cat <<-END
	# XDP: what a packet costs

	Written by \`make bench-xdp\` on $(date +%F) at $(revision).
	$(machine "$(clang --version | head -1)")

	Frames of $(stat -c %s "$TMP/tc.frame") bytes of one connection, IPv4, from a caller outside to an endpoint on another node, in and out by the same NIC, a
	veth; core $CPU sends them and does all the rest; medians of $ROUNDS rounds of $PACKETS frames, the ways taking turns. *The node's
	own*: less what it takes to send a frame that the NIC's driver drops at once (XDP_DROP: $(printf %.0f "$(median <"$TMP/drop.cost")") ns), in the same round. *iptables*: DNAT and
	masquerade of a connection that is tracked. The last column is how many packets one core forwards in the time that it takes iptables for one.

	| | ns per packet | million packets per second | the node's own, ns | iptables / this |
	|---|---|---|---|---|
	$(row_of native "\`--xdp native\`")
	$(row_of generic "\`--xdp generic\`")
	$(row_of tc "\`--xdp off\`: tc")
	$(row_of iptables iptables)

	## Dropped

	The same frame from a source that a ConnectionPolicy denies, among $DENIED networks; *iptables*: its raw table drops what an ipset of these
	networks has, before connection tracking.

	| | ns per packet | million packets per second | the node's own, ns | iptables / this |
	|---|---|---|---|---|
	$(row_of native.dropped "\`--xdp native\`")
	$(row_of generic.dropped "\`--xdp generic\`")
	$(row_of tc.dropped "\`--xdp off\`: tc")
	$(row_of iptables.dropped "iptables, ipset")

	A network card's driver needs no copy for XDP, which a veth makes of each frame.
	END
}

for way in $WAYS; do
	use "$way"
	node_with_connection
done
for _ in $(seq "$ROUNDS"); do
	for way in $WAYS; do
		use "$way"
		measure
	done
done
for way in $WAYS; do
	use "$way"
	deny
done
for _ in $(seq "$ROUNDS"); do
	for way in $WAYS; do
		use "$way"
		measure_drop
	done
done
report >"$TMP/results"
cp "$TMP/results" "$RESULTS"
cat "$RESULTS"
