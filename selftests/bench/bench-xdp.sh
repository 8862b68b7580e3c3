#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a packet costs that a caller from outside sends to this node and whose endpoint is on another one: forwarded by XDP, natively and
# generically, by tc, and by iptables (DNAT and masquerade). Each way has a node of its own with one connection; a frame of it is sent
# again and again by one core, which does all of the forwarding as well, and is dropped behind the node. Then the same frame, and
# a SYN, is from a source that is not wanted: dropped by a ConnectionPolicy, or in iptables' raw table by an ipset. Rounds of the ways
# alternate, medians. Writes RESULTS-XDP.md beside this file.
#
#   BENCH_ROUNDS   rounds (7)      BENCH_PACKETS   frames of one measurement (300000)      BENCH_CPU   the core (0)
#   BENCH_RESULTS  the file to write instead                   BENCH_DENIED    networks that are not wanted (1000)
. "${0%/*}/lib.sh"

ROUNDS=${BENCH_ROUNDS:-7}
PACKETS=${BENCH_PACKETS:-300000}
CPU=${BENCH_CPU:-0}
DENIED=${BENCH_DENIED:-1000}
RESULTS=${BENCH_RESULTS:-$ROOT/selftests/bench/RESULTS-XDP.md}
REPLAY=$OUT/bench/frame-replay
RUN=$OUT/bench/frame-run
STEERED="native generic tc"
WAYS="drop $STEERED iptables"
HOOKS="drop-generic drop-tc" # nodes that drop each frame at once, where the hook is; `drop`: in the driver
ADDRESS=192.0.2.10

# Nothing else that runs on the core counts.
MEASURED=(taskset -c "$CPU" chrt -f 1)

OTHERS=$(other_cpus "$CPU")

steers() { case $WAY in native | generic | tc) ;; *) return 1 ;; esac }

service() {
	rules_service far 10 9000 app=far "type: LoadBalancer"
	echo "status: {loadBalancer: {ingress: [{ip: $ADDRESS}]}}"
}

steered_node() {
	local mode=$WAY
	[ "$mode" != tc ] || mode=off
	weft_up "$OTHERS" --xdp "$mode"
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
	case $WAY in
	drop) xdp_verdict node nic0 drop ;;
	drop-generic) xdp_verdict node nic0 drop xdpgeneric ;;
	drop-tc) tc_drops node nic0 ;;
	esac
}

# tc_drops NAMESPACE DEVICE: a program at tc that drops every frame (TC_ACT_SHOT)
tc_drops() {
	/usr/bin/python3 -c 'import ctypes, struct, sys
bpf, sched_cls, shot = ctypes.CDLL("libbpf.so.1"), 3, 2
insns = struct.pack("<BBhi", 0xb7, 0, 0, shot) + struct.pack("<BBhi", 0x95, 0, 0, 0)
fd = bpf.bpf_prog_load(sched_cls, b"shot", b"GPL", insns, ctypes.c_size_t(2), None)
sys.exit(fd < 0 or bpf.bpf_obj_pin(fd, sys.argv[1].encode()) != 0)' "$TMP/bpf/shot"
	in_ns "$1" tc qdisc add dev "$2" clsact
	in_ns "$1" tc filter add dev "$2" ingress bpf direct-action object-pinned "$TMP/bpf/shot"
	rm "$TMP/bpf/shot"
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
	cost=$(in_ns world "${MEASURED[@]}" "$REPLAY" send eth0 "$TMP/$WAY.frame" "$PACKETS")
	after=$(forwarded)
	[ "$WAY" = drop ] || (($after - before > PACKETS * 99 / 100)) || fail "$WAY: $((after - before)) of $PACKETS were forwarded"
	echo "$cost" >>"$TMP/$WAY.cost"
}

# ---- dropped ----

# The networks that are not wanted, the caller's among them.
denied() {
	echo "$(addr 4 other)/32"
	awk -v most="$DENIED" 'BEGIN { for (i = 1; i < most; i++) printf "10.%d.%d.0/24\n", 247 + int(i / 256), i % 256 }'
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

# The frame with the flags of a SYN alone.
syn_of() {
	head -c 47 "$1"
	printf '\002'
	tail -c +49 "$1"
}

# load card|card-syn|stack: the frame as a network card's driver has it, likewise a SYN, or as a node at the veth's other end sends it
load() {
	local how=("$RUN" flood)
	local frame=$TMP/$WAY.frame
	[ "$1" != stack ] || how=("$REPLAY" send)
	[ "$1" != card-syn ] || frame=$TMP/$WAY.syn
	in_ns world "${MEASURED[@]}" "${how[@]}" eth0 "$frame" "$PACKETS"
}

measure_drop() {
	local before=0 cost
	case $WAY in drop*) ;; *) before=$(dropped) ;; esac
	cost=$(load "$1")
	case $WAY in drop*) ;; *) (($(dropped) - before > PACKETS * 99 / 100)) || fail "$WAY: of $PACKETS $(($(dropped) - before)) were dropped" ;; esac
	echo "$cost" >>"$TMP/$WAY.$1.cost"
}

# The program alone, on a frame that it drops.
measure_program() {
	local program=from_wire said
	[ "$WAY" != tc ] || program=from_nic
	said=$(in_ns node "${MEASURED[@]}" "$RUN" alone "$TMP/bpf/$WAY/prog/$program" nic0 "$TMP/$WAY.$1" 1000000)
	case $WAY:${said% *} in tc:2 | *:1) ;; *) fail "$WAY: the program alone says ${said% *}" ;; esac
	echo "${said#* }" >>"$TMP/$WAY.$1.alone"
}

# ---- told ----

# less WAY.LOAD BASE.LOAD: what the node itself takes for a packet, without what it takes where BASE drops it, in the same round
less() { paste "$TMP/$1.cost" "$TMP/$2.cost" | awk '{ print $1 - $2 }'; }

# costs_of WAY[.LOAD] BASE[.LOAD]: ns per packet, millions per second, and ns without the base's
costs_of() {
	printf '%.0f | %.2f | %.0f' "$(median <"$TMP/$1.cost")" "$(median <"$TMP/$1.cost" | awk '{ print 1000 / $1 }')" "$(less "$1" "$2" | median)"
}

# times_of LOAD WAY: how many packets it treats in the time that it takes iptables for one, by the nodes' own
times_of() {
	less "iptables$1" "drop$1" >"$TMP/iptables.net"
	less "$2$1" "drop$1" >"$TMP/way.net"
	ratio_of "$TMP/iptables.net" "$TMP/way.net"
}

row_of() { # WAY WORDS
	echo "| $2 | $(costs_of "$1" drop) | $(times_of "" "$1") |"
}

drop_row_of() { # LOAD WAY HOOK WORDS
	echo "| $4 | $(costs_of "$2.$1" "drop.$1") | $(times_of ".$1" "$2") | $(less "$2.$1" "$3.$1" | median | awk '{ printf "%.0f", $1 }') |"
}

drop_rows() { # LOAD
	drop_row_of "$1" native drop "\`--xdp native\`"
	drop_row_of "$1" generic drop-generic "\`--xdp generic\`"
	drop_row_of "$1" tc drop-tc "\`--xdp off\`: tc"
	drop_row_of "$1" iptables drop-tc "iptables, ipset"
}

alone_of() { median <"$TMP/$1.alone"; }

report() {
	local head
	head='| | ns per packet | million packets per second | the node'"'"'s own, ns | iptables / this | beyond its hook, ns |
|---|---|---|---|---|---|'
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

	A frame of such a connection from a source that a ConnectionPolicy denies, a /32 among $DENIED networks; *iptables*: its raw table drops what an
	ipset of these networks has, before connection tracking. *The node's own*: less what it takes where the NIC's driver drops each frame at once;
	*iptables / this* is of that. *Beyond its hook*: less what it takes where the hook drops each frame at once, in the driver for native XDP
	($(cost_at drop.card) ns), in generic XDP ($(cost_at drop-generic.card) ns), or at tc ($(cost_at drop-tc.card) ns), which is also what iptables is compared with:
	what the stack does from there on belongs to its way of dropping.

	**As a network card's driver has them**: frames in pages, which XDP sees without a copy and of which the driver makes a packet of the stack's
	only where it lets them through, by way of GRO (BPF_F_TEST_XDP_LIVE_FRAMES sends them to the veth).

	$head
	$(drop_rows card)

	A SYN of the same source:

	$head
	$(drop_rows card-syn)

	**As a veth has them** from the stack at its other end, which made packets of them already: for native XDP each is copied into a page.
	Where each frame is dropped at once: $(cost_at drop.stack), $(cost_at drop-generic.stack) and $(cost_at drop-tc.stack) ns.

	$head
	$(drop_rows stack)

	The programs alone (BPF_PROG_TEST_RUN, with its loop's own about 20 ns): XDP's takes $(alone_of native.frame) ns for such a frame and $(alone_of native.syn) ns for the SYN, tc's
	$(alone_of tc.frame) and $(alone_of tc.syn) ns.
	END
}

cost_at() { printf %.0f "$(median <"$TMP/$1.cost")"; }

for way in $WAYS $HOOKS; do
	use "$way"
	node_with_connection
	syn_of "$TMP/$way.frame" >"$TMP/$way.syn"
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
	for way in $WAYS $HOOKS; do
		use "$way"
		measure_drop stack
	done
done
# What comes as from a card's driver comes through NAPI.
for way in $STEERED iptables $HOOKS; do
	use "$way"
	[ "$way" = native ] || gro_on node nic0
done
for _ in $(seq "$ROUNDS"); do
	for way in $WAYS $HOOKS; do
		use "$way"
		measure_drop card
		measure_drop card-syn
	done
	for way in $STEERED; do
		use "$way"
		measure_program frame
		measure_program syn
	done
done
report >"$TMP/results"
cp "$TMP/results" "$RESULTS"
cat "$RESULTS"
