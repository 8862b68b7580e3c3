# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What every net test stands on. A test sources this file, builds a node with pods, and checks what a user would notice:
#
#   . "${0%/*}/lib.sh"
#   node_up; pod_add client 1; pod_add one 2; echo_start one 9000 one; weftd_start
#   rules_pods | weft apply -f -
#   for family in 4 6; do ... load client "$(vip $family 10)" 9000 -s hello ...; done
#
# The node is a network namespace with a NIC (`nic0`) towards another one, `world`. Pods hang on it as a point-to-point CNI
# does it: a veth each, host routes on the node, a default route by a link-local gateway in the pod. Everything
# is dual-stack, is named after the test's process id, and is gone when the test ends, whichever way it does.
#
#   pod N        10.244.0.N   fd00:244::N          node   10.1.0.1   fd00:1::1
#   service N    10.96.0.N    fd00:96::N           world  10.1.0.2   fd00:1::2

set -Eeuo pipefail
shopt -s inherit_errexit

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
OUT=${WEFT_OUT:-$ROOT/.output}
APPS=$OUT/apps
PATH=$PATH:/usr/sbin:/sbin
ID=wt-$$
TMP=
CGROUP= # the test's own cgroup: whose processes weft steers at connect()
declare -A NUMBER LABELS NET4 NET6
declare -A ACCOUNT # of pods that have one of their own
declare -A NO_RST # namespaces where tcp-raw can be used
PODS=()   # name:namespace, in the order of pod_add
REMOTES=() # those of other nodes
WEFTD=    # process id of the running weftd
NICS=nic0 # for weftd's --nic; empty: as it finds them
FAILED=0  # rows that did not hold
PAUSE=50  # ms that wait_until pauses at most: more where what it runs takes long itself
WAY=inside # of callers: see there
SLOWER=${WEFT_EMULATED:+4} # how much longer things may take here
SLOWER=${SLOWER:-1}

# ---- how a check is told ----

say() { printf '%s\n' "$*"; }

fail() {
	printf 'FAIL: %s\n' "$*" >&2
	exit 1
}

on_error() {
	printf 'FAIL: line %s: %s\n' "$1" "$2" >&2
}
trap 'on_error "$LINENO" "$BASH_COMMAND"' ERR

# expect_eq WHAT GOT WANT
expect_eq() {
	[ "$2" = "$3" ] || fail "$1: expected $3, got '$2'"
	say "ok: $1: $2"
}

# expect_between WHAT GOT LEAST MOST
expect_between() {
	[[ $2 =~ ^-?[0-9]+$ ]] && (($2 >= $3 && $2 <= $4)) || fail "$1: expected $3 to $4, got '$2'"
	say "ok: $1: $2"
}

milliseconds() { echo $((${EPOCHREALTIME/./} / 1000)); }

# slowdown: how many times as long as on a machine of its own a process takes at present
slowdown() {
	local i TIMEFORMAT='%R %U %S'
	{ time for ((i = 0; i < 50000; i++)); do :; done; } 2>&1 | awk '{ n = int($1 / ($2 + $3) + 0.8); print n < 1 ? 1 : n }'
}

# expect_took WHAT MS LEAST MOST: MOST is for a machine that has nothing else to do: a busy one may take as many times longer than LEAST
expect_took() {
	local more=$((($4 - $3) * SLOWER))
	(($2 <= $3 + more)) || more=$((more * $(slowdown)))
	expect_between "$1, ms" "$2" "$3" $(($3 + more))
}

# expect_match WHAT TEXT PATTERN (extended regular expression)
expect_match() {
	grep -Eq -- "$3" <<<"$2" || fail "$1: expected something like '$3', got '$2'"
	say "ok: $1"
}

# row WHAT GOT WANT: as expect_eq, for a test that is a table: it goes on after a row that does not hold, and rows_end fails then
row() {
	if [ "$2" = "$3" ]; then
		say "ok: $1: $2"
	else
		say "FAIL: $1: expected $3, got '$2'"
		FAILED=$((FAILED + 1))
	fi
}

rows_end() { [ "$FAILED" = 0 ] || fail "$FAILED rows do not hold"; }

# wait_until SECONDS COMMAND...: succeeds as soon as COMMAND does. A busy machine may take as many times longer. COMMAND is run 50 ms
# after it has failed, and then less and less often, to $PAUSE ms.
wait_until() {
	local begin=$SECONDS seconds=$(($1 * SLOWER)) most=$(($1 * SLOWER)) pause=50
	shift
	until "$@" >/dev/null 2>&1; do
		if ((SECONDS - begin > most)); then
			[ $most -gt $seconds ] || most=$((seconds * $(slowdown)))
			((SECONDS - begin <= most)) || fail "not within $most s: $*"
		fi
		sleep "$(printf %d.%03d $((pause / 1000)) $((pause % 1000)))"
		((pause >= PAUSE)) || pause=$((pause + 25))
	done
}

# rounds N FEW: N, or FEW where WEFT_ROUNDS=few asks for a quick run (emulated machines).
rounds() {
	if [ "${WEFT_ROUNDS:-}" = few ]; then echo "$2"; else echo "$1"; fi
}

# count WORD JSON: how many connections had that result, in tcp-load's counts.
count() {
	if [[ $2 =~ \"$1\":\ *([0-9]+) ]]; then echo "${BASH_REMATCH[1]}"; else echo 0; fi
}

# ---- namespaces ----

netns() { echo "$ID-$1"; }

# in_ns NAME COMMAND...
in_ns() { nsenter --net="/run/netns/$ID-$1" "${@:2}"; }

# in_ns_exec NAME COMMAND...: the same in place of this (sub)shell, so that $! is the command itself.
in_ns_exec() { exec nsenter --net="/run/netns/$ID-$1" "${@:2}"; }

# sysctl_in NAME SETTING=VALUE...: as far as this kernel has them
sysctl_in() {
	local ns=$1
	shift
	in_ns "$ns" sh -c 'for set; do echo "${set#*=}" >"/proc/sys/${set%%=*}"; done' sh "$@" 2>/dev/null || true
}

# ns_add NAME [SETTING=VALUE...]
ns_add() {
	ip netns add "$(netns "$1")"
	sysctl_in "$1" net/ipv6/conf/all/disable_ipv6=0 net/ipv6/conf/default/disable_ipv6=0 \
		net/ipv6/conf/default/accept_dad=0 net/ipv6/conf/all/accept_dad=0 net/ipv6/conf/default/accept_ra=0 \
		net/ipv4/tcp_max_syn_backlog=16384 net/core/somaxconn=16384 "${@:2}"
}

# ip_in NAME: runs the ip commands of stdin
ip_in() { ip -n "$(netns "$1")" -batch -; }

# Ends what runs in a namespace, by process id.
ns_kill() {
	local pid
	for pid in $(ip netns pids "$(netns "$1")" 2>/dev/null); do
		kill -9 "$pid" 2>/dev/null || true
	done
}

ns_del() {
	ns_kill "$1"
	ip netns del "$(netns "$1")"
}

addr() { # FAMILY POD|node|world
	case $2 in
	node) [ "$1" = 4 ] && echo 10.1.0.1 || echo fd00:1::1 ;;
	world) [ "$1" = 4 ] && echo 10.1.0.2 || echo fd00:1::2 ;;
	*) [ "$1" = 4 ] && echo "${NET4[$2]:-10.244.0}.${NUMBER[$2]}" || echo "${NET6[$2]:-fd00:244:}:${NUMBER[$2]}" ;;
	esac
}

vip() { # FAMILY NUMBER
	if [ "$1" = 4 ]; then echo "10.96.0.$2"; else echo "fd00:96::$2"; fi
}

hostport() { # ADDRESS PORT
	case $1 in
	*:*) echo "[$1]:$2" ;;
	*) echo "$1:$2" ;;
	esac
}

# ---- the node ----

cleanup() {
	local status=$? pid name
	trap - EXIT ERR
	set +eu
	ID=wt-$$
	if [ "$status" -ne 0 ] && [ -s "$TMP/weftd.log" ]; then
		echo "---- weftd ----" >&2
		tail -40 "$TMP/weftd.log" >&2
		[ ! -s "$TMP/weftd2.log" ] || sed 's/^/two: /' "$TMP/weftd2.log" | tail -40 >&2
	fi
	exec 2>/dev/null # the shell's own remarks about what is killed below
	[ -z "$CGROUP" ] || echo "$BASHPID" >"${CGROUP%/*}/cgroup.procs"
	# Those of its own that still run: the number of one that has ended may be another process's by now.
	for pid in $(jobs -rp; jobs -sp); do
		kill -9 "$pid"
	done
	for name in $(ip netns list | awk '{print $1}' | grep "^$ID-"); do
		ns_kill "${name#"$ID-"}"
		ip netns del "$name"
	done
	# What is in no list: with the cgroup and those below it, or at the end of what it watches.
	[ -z "$CGROUP" ] || echo 1 >"$CGROUP/cgroup.kill"
	[ -z "$TMP" ] || rm -rf "$TMP/run"
	wait 2>/dev/null
	if [ -n "$CGROUP" ]; then
		for _ in $(seq 50); do
			find "$CGROUP" -depth -type d -exec rmdir {} + && break
			sleep 0.02
		done
	fi
	if [ -n "$TMP" ]; then
		umount "$TMP/same" # of a test that has the pins in a second place
		umount "$TMP/bpf"
		rm -rf --one-file-system "$TMP"
	fi
	exit "$status"
}

# callers inside|outside: whether weft sees the connect() of what is started from now on, or only its packets
callers() {
	WAY=$1
	case $1 in
	inside) echo $$ >"$CGROUP/cgroup.procs" ;;
	*) echo $$ >"${CGROUP%/*}/cgroup.procs" ;;
	esac
}

# ways: where callers can be
ways() { if [ "${WEFT_CALLERS:-}" = outside ]; then echo outside; else echo inside outside; fi; }

# A cgroup for the test and all that it starts, unless WEFT_CALLERS=outside: then no hook sees their connect(), and what weft
# does, it does to packets.
cgroup_up() {
	CGROUP=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/wt-$$
	mkdir "$CGROUP"
	[ "${WEFT_CALLERS:-}" = outside ] || echo $$ >"$CGROUP/cgroup.procs"
}

# outside COMMAND...: runs it in no cgroup of weft's; what weft does, it does to its packets
outside() (
	echo "$BASHPID" >"${CGROUP%/*}/cgroup.procs"
	"$@"
)

tmp_up() {
	[ -z "$TMP" ] || return 0
	TMP=$(mktemp -d /tmp/weft-test.XXXXXX)
	trap cleanup EXIT
	trap 'exit 143' TERM INT HUP
	chmod 755 "$TMP"
	mkdir "$TMP/bpf" "$TMP/run" "$TMP/state"
	mount -t bpf bpf "$TMP/bpf"
	cgroup_up
}

node_up() {
	tmp_up
	ns_add world "${CLIENT_SETTINGS[@]}" net/ipv4/icmp_ratelimit=0 net/ipv6/icmp/ratelimit=0
	ns_add node net/ipv4/icmp_ratelimit=0 net/ipv6/icmp/ratelimit=0 net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1 net/ipv6/conf/default/forwarding=1 \
		net/ipv4/conf/all/rp_filter=0 net/ipv4/conf/default/rp_filter="${NODE_RP_FILTER:-2}"
	ip_in node <<-END
	link set lo up
	link add nic0 type veth peer name eth0 netns $(netns world)
	address add 10.1.0.1/24 dev nic0
	address add fd00:1::1/64 dev nic0 nodad
	link set nic0 up
	END
	ip_in world <<-END
	link set lo up
	address add 10.1.0.2/24 dev eth0
	address add fd00:1::2/64 dev eth0 nodad
	link set eth0 up
	route add default via 10.1.0.1
	route add ::/0 via fd00:1::1
	END
	ip_in node <<-END
	route add default via 10.1.0.2
	route add ::/0 via fd00:1::2
	END
}

# Room for many connections in a short time.
# Tests that choose a source port take one below 10000.
CLIENT_SETTINGS=(net/ipv4/ip_local_port_range="10000 65535" net/ipv4/tcp_tw_reuse=1)

pod_mac() { printf '0a:58:00:00:02:%02x' "${NUMBER[$1]}"; }

# pod_on NODE NAME NUMBER NET4 NET6: a network namespace with the addresses NET4.NUMBER and NET6:NUMBER, on that node
pod_on() {
	local on=$1 name=$2 number=$3 host
	host=$(printf '0a:58:00:00:01:%02x' "$number")
	NUMBER[$name]=$number
	ns_add "$name" "${CLIENT_SETTINGS[@]}"
	ip_in "$on" <<-END
	link add veth$number address $host type veth peer name eth0 address $(pod_mac "$name") netns $(netns "$name")
	link set veth$number up
	route add $4.$number/32 dev veth$number
	route add $5:$number/128 dev veth$number
	END
	ip_in "$name" <<-END
	link set lo up
	link set eth0 up
	address add $4.$number/32 dev eth0
	address add $5:$number/128 dev eth0 nodad
	route add 169.254.1.1 dev eth0 scope link
	neighbour add 169.254.1.1 lladdr $host dev eth0 nud permanent
	route add default via 169.254.1.1 dev eth0
	neighbour add fe80::1 lladdr $host dev eth0 nud permanent
	route add ::/0 via fe80::1 dev eth0
	END
}

# pod_add NAME NUMBER [LABELS]: labels as k=v,k=v (app=NAME unless given). Namespace of the pod: $NS.
pod_add() {
	LABELS[$1]=${3:-app=$1}
	PODS+=("$1:${NS:-default}")
	pod_on node "$1" "$2" 10.244.0 fd00:244:
	[ -z "$WEFTD" ] || wait_until 5 pods_attached "$1"
}

# A bridge in the node, as of a bridge CNI.
bridge_up() {
	ip_in node <<-END
	link add br0 type bridge
	link set br0 up
	address add 10.244.0.254/24 dev br0
	address add fd00:244::fe/64 dev br0 nodad
	END
}

# onto_bridge POD: from a point-to-point pod to one of the bridge's
onto_bridge() {
	local number=${NUMBER[$1]}
	ip_in node <<-END
	route del 10.244.0.$number/32 dev veth$number
	route del fd00:244::$number/128 dev veth$number
	link set veth$number master br0
	END
	ip_in "$1" <<-END
	address flush dev eth0 scope global
	route flush dev eth0
	neighbour flush dev eth0 nud permanent
	address add 10.244.0.$number/24 dev eth0
	address add fd00:244::$number/64 dev eth0 nodad
	route replace default via 10.244.0.254
	route replace ::/0 via fd00:244::fe
	END
}

# remote_add NAME NUMBER [LABELS]: a pod on another node, 10.245.0.NUMBER and fd00:245::NUMBER, behind `world`, which routes
remote_add() {
	LABELS[$1]=${3:-app=$1}
	REMOTES+=("$1:${NS:-default}")
	behind_world "$1" "$2" 10.245.0 fd00:245:
}

# ---- a second node ----

# node2_up: `world` is a node, too, with a weftd of its own. Of each pod rules_pods tells from then on which node it is on.
node2_up() {
	NODE2=1
	mkdir "$TMP/run2" "$TMP/state2"
	sysctl_in world net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1
}

# pod2_add NAME NUMBER [LABELS]: as pod_add, a pod of it, 10.245.0.NUMBER and fd00:245::NUMBER
pod2_add() {
	LABELS[$1]=${3:-app=$1}
	REMOTES+=("$1:${NS:-default}")
	NET4[$1]=10.245.0 NET6[$1]=fd00:245:
	pod_on world "$1" "$2" 10.245.0 fd00:245:
}

weft2() { "$OUT/weft" --run-dir "$TMP/run2" "$@"; }

# weftd2_start [OPTION...]: likewise of `world`; $WEFTD2
weftd2_start() {
	(in_ns_exec world "$OUT/weftd" --state-dir "$TMP/state2" --run-dir "$TMP/run2" --bpffs "$TMP/bpf/weft2" --cgroup "$CGROUP" --nic eth0 \
		--node-name two "$@") 2>>"$TMP/weftd2.log" &
	WEFTD2=$!
	wait_until 30 weft2 status --wait
}

# both [FILE...]: the rules of these, or of stdin, on both nodes
both() {
	if [ $# = 0 ]; then
		tee >(weft apply -f - >/dev/null) | weft2 apply -f - >/dev/null
	else
		weft apply "${@/#/-f}" >/dev/null
		weft2 apply "${@/#/-f}" >/dev/null
	fi
}

# rules_far_near: pods, and Services web-far (10), web-near (11), tcp-far (20), tcp-near (21) of those with these versions, at $HTTP and $TCP
rules_far_near() {
	rules_pods
	PROTOCOL=http rules_service web-far 10 "$HTTP" version=far
	PROTOCOL=http rules_service web-near 11 "$HTTP" version=near
	rules_service tcp-far 20 "$TCP" version=far
	rules_service tcp-near 21 "$TCP" version=near
}

# rules_strict: plaintext is refused throughout the mesh
rules_strict() {
	cat <<-END
	---
	apiVersion: security.istio.io/v1
	kind: PeerAuthentication
	metadata: {name: default, namespace: istio-system}
	spec: {mtls: {mode: STRICT}}
	END
}

# node_of POD: a line of its spec; none where there is one node
node_of() {
	[ -n "${NODE2:-}" ] || return 0
	if [ -n "${NET4[$1]:-}" ]; then echo "nodeName: two"; else echo "nodeName: one"; fi
}

# behind_world NAME NUMBER NET4 NET6: something with the address NET4.NUMBER and NET6:NUMBER behind `world`, which routes
behind_world() {
	local name=$1 number=$2 way4=10.246.$2 way6=fd00:246:$2
	NUMBER[$name]=$number
	NET4[$name]=$3
	NET6[$name]=$4
	ns_add "$name" "${CLIENT_SETTINGS[@]}"
	sysctl_in world net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1
	ip_in world <<-END
	link add far$number type veth peer name eth0 netns $(netns "$name")
	link set far$number up
	address add $way4.1/24 dev far$number
	address add $way6::1/64 dev far$number nodad
	END
	ip_in "$name" <<-END
	link set lo up
	link set eth0 up
	address add $way4.2/24 dev eth0
	address add $way6::2/64 dev eth0 nodad
	address add $3.$number/32 dev lo
	address add $4:$number/128 dev lo nodad
	route add default via $way4.1 src $3.$number
	route add ::/0 via $way6::1 src $4:$number
	END
	ip_in world <<-END
	route add $3.$number/32 via $way4.2
	route add $4:$number/128 via $way6::2
	END
}

# overlay_node_up [KIND]: the pod `far`, 10.245.0.9 and fd00:245::9, on another node, whose pod network is known here by an overlay
# (VXLAN unless given) only, and ours there, as flannel has it
overlay_node_up() {
	ns_add far
	LABELS[far]=app=far
	NUMBER[far]=9
	NET4[far]=10.245.0
	NET6[far]=fd00:245:
	REMOTES+=(far:default)
	sysctl_in world net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1
	ip_in world <<-END
	link add far9 type veth peer name eth0 netns $(netns far)
	link set far9 up
	address add 10.245.0.1/24 dev far9
	address add fd00:245::1/64 dev far9 nodad
	END
	ip_in far <<-END
	link set lo up
	link set eth0 up
	address add 10.245.0.9/24 dev eth0
	address add fd00:245::9/64 dev eth0 nodad
	route add default via 10.245.0.1
	route add ::/0 via fd00:245::1
	END
	overlay_add node 1 2 245 "${1:-vxlan}"
	overlay_add world 2 1 244 "${1:-vxlan}"
}

# overlay_kinds: what an overlay may be made of here, a word each: Ethernet frames inside (vxlan geneve), bare IP packets (the others)
overlay_kinds() {
	local kind
	ns_add probe
	for kind in vxlan geneve ipip gre wireguard; do
		! overlay_device probe 1 2 "$kind" 2>/dev/null || echo "$kind"
		overlay_del probe
	done
	echo tun
	ns_del probe
}

# overlay_device NAMESPACE SELF OTHER KIND: overlay0, and for IPIP, which carries IPv4 alone, overlay6
overlay_device() {
	local ends="local 10.1.0.$2 remote 10.1.0.$3"
	case $4 in
	vxlan) ip_in "$1" <<<"link add overlay0 type vxlan id 42 $ends dstport 8472" ;;
	geneve) ip_in "$1" <<<"link add overlay0 type geneve id 42 remote 10.1.0.$3 dstport 6081" ;;
	gre) ip_in "$1" <<<"link add overlay0 type gre $ends" ;;
	ipip)
		ip_in "$1" <<-END
		link add overlay0 type ipip $ends
		link add overlay6 type sit $ends
		END
		;;
	wireguard)
		type -P wg >/dev/null && ip_in "$1" <<<"link add overlay0 type wireguard" || return 1
		[ -e "$TMP/wg$2" ] || wg genkey >"$TMP/wg$2"
		[ -e "$TMP/wg$3" ] || wg genkey >"$TMP/wg$3"
		in_ns "$1" wg set overlay0 listen-port 51820 private-key "$TMP/wg$2" peer "$(wg pubkey <"$TMP/wg$3")" \
			allowed-ips 0.0.0.0/0,::/0 endpoint "10.1.0.$3:51820"
		;;
	tun)
		start_in "$1" "$ROOT/selftests/net/tun-link.py" overlay0 "10.1.0.$2" "10.1.0.$3" >"$TMP/tun-$1"
		wait_until 10 grep -q ready "$TMP/tun-$1"
		;;
	esac
}

# overlay_add NAMESPACE SELF OTHER NET KIND: a route to the other's pods by such a device
overlay_add() {
	local six=overlay0
	overlay_device "$1" "$2" "$3" "$5"
	[ "$5" != ipip ] || six=overlay6
	ip_in "$1" <<-END
	address add 10.245.9.$2/30 dev overlay0
	link set overlay0 up
	address add fd00:2459::$2/126 dev $six nodad
	link set $six up
	route add 10.$4.0.0/24 via 10.245.9.$3 dev overlay0
	route add fd00:$4::/64 via fd00:2459::$3 dev $six
	END
}

# overlay_del NAMESPACE: and its routes
overlay_del() {
	local device
	for device in overlay0 overlay6; do
		ip -n "$(netns "$1")" link del "$device" 2>/dev/null || true
	done
}

# outside_add NAME NUMBER: a host outside of the cluster, 10.247.0.NUMBER and fd00:247::NUMBER
outside_add() { behind_world "$1" "$2" 10.247.0 fd00:247:; }

# link_narrow NAME MTU: the link between `world` and NAME gets an MTU that NAME knows and does not tell the others
link_narrow() {
	local way=${NUMBER[$1]}
	ip -n "$(netns world)" link set "far$way" mtu "$2"
	ip_in "$1" <<-END
	route change default via 10.246.$way.1 src $(addr 4 "$1") mtu $2 advmss 1460
	route change ::/0 via fd00:246:$way::1 src $(addr 6 "$1") mtu $2 advmss 1440
	END
}

# link_wide NAME: the contrary
link_wide() {
	local way=${NUMBER[$1]}
	ip -n "$(netns world)" link set "far$way" mtu 1500
	ip_in "$1" <<-END
	route change default via 10.246.$way.1 src $(addr 4 "$1")
	route change ::/0 via fd00:246:$way::1 src $(addr 6 "$1")
	END
}

# both_tables RULE...: an iptables rule for IPv4 and IPv6
both_tables() {
	in_ns node iptables -w "$@"
	in_ns node ip6tables -w "$@"
}

# node_masquerades: pods' addresses mean nothing beyond the cluster (10.244 and 10.245), so the node lends them its own
node_masquerades() {
	in_ns node iptables -w -t nat -A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/15 -j MASQUERADE
	in_ns node ip6tables -w -t nat -A POSTROUTING -s fd00:244::/32 ! -d fd00:244::/31 -j MASQUERADE
}

# pod_del NAME: as when a node kills a pod: processes first, then the namespace with its interface.
pod_del() {
	rules_forget "$1"
	ns_del "$1"
}

# ethtool_set NAMESPACE DEVICE COMMAND VALUE: one of the kernel's ETHTOOL_S*
ethtool_set() {
	in_ns "$1" /usr/bin/python3 -c 'import ctypes, fcntl, socket, struct, sys
SIOCETHTOOL = 0x8946
value = ctypes.create_string_buffer(struct.pack("II", int(sys.argv[2], 0), int(sys.argv[3])))
fcntl.ioctl(socket.socket(), SIOCETHTOOL, struct.pack("16sP16x", sys.argv[1].encode(), ctypes.addressof(value)))' "${@:2}"
}

# checksums_finished NAMESPACE DEVICE: what it sends has its checksum, as on a wire, though it is a veth
checksums_finished() { ethtool_set "$1" "$2" 0x17 0; }

# gro_on NAMESPACE DEVICE: a veth then takes what XDP sends to it, as it does with a native program of its own
gro_on() { ethtool_set "$1" "$2" 0x2c 1; }

# xdp_verdict NAMESPACE DEVICE pass|drop [xdpgeneric]: an XDP program, native or generic, that says this of every frame
xdp_verdict() {
	/usr/bin/python3 -c 'import ctypes, struct, sys
bpf, xdp, verdict = ctypes.CDLL("libbpf.so.1"), 6, {"drop": 1, "pass": 2}[sys.argv[2]]
insns = struct.pack("<BBhi", 0xb7, 0, 0, verdict) + struct.pack("<BBhi", 0x95, 0, 0, 0)
fd = bpf.bpf_prog_load(xdp, b"verdict", b"GPL", insns, ctypes.c_size_t(2), None)
sys.exit(fd < 0 or bpf.bpf_obj_pin(fd, sys.argv[1].encode()) != 0)' "$TMP/bpf/verdict" "$3"
	in_ns "$1" ip -force link set dev "$2" "${4:-xdpdrv}" pinned "$TMP/bpf/verdict"
	rm "$TMP/bpf/verdict"
}

# pods_attached [POD...]: all of these, or all that were made with pod_add
pods_attached() {
	local known pod
	[ $# -gt 0 ] || set -- "${PODS[@]%%:*}"
	known=$(map_dump pods)
	for pod; do
		[[ $known = *"\"veth${NUMBER[$pod]}\""* ]] || return
	done
}

# Runs COMMAND in the pod until the test ends; its process id is in $STARTED.
start_in() {
	local ns=$1
	shift
	(in_ns_exec "$ns" "$@") &
	STARTED=$!
}

# echo_start POD PORT[,PORT...] PREFIX [OPTION]
echo_start() {
	local log
	log=$(mktemp "$TMP/echo.XXXXXX")
	start_in "$1" "$APPS/tcp-echo" "${@:4}" "$2" "$3" >"$log"
	wait_until 5 grep -q listening "$log"
}

# hosts NAME=ADDRESS...: what these names mean from now on to what app_start and call run
hosts() {
	local pair
	for pair; do
		echo "${pair#*=} ${pair%%=*}"
	done >"$TMP/hosts"
}

# in_pod_exec POD COMMAND...: in place of this (sub)shell, with the names of `hosts` as its /etc/hosts
in_pod_exec() {
	# shellcheck disable=SC2016 # the inner shell expands it
	in_ns_exec "$1" unshare --mount sh -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$TMP/hosts" "${@:2}"
}

# app_start POD COMMAND...: a server that says when it is listening, which apps_ready waits for; what it says is in $TMP/POD.log
app_start() {
	: >"$TMP/$1.log" # at once: apps_ready must not see what an earlier one has said
	(in_pod_exec "$@") >>"$TMP/$1.log" 2>&1 &
}

# apps_ready POD...: several at a time, since an emulated machine needs long to start one
apps_ready() {
	local pod
	for pod; do
		wait_until 60 grep -qi listening "$TMP/$pod.log"
	done
}

# bookinfo_start POD ROLE [PORT]
bookinfo_start() { app_start "$1" /usr/bin/python3 "$ROOT/selftests/apps/bookinfo.py" "${@:2}"; }

# bookinfo_up [POD...]: the pods of the Bookinfo application, whose services call each other by the names that bookinfo_hosts gives; these
# on the second node
BOOKINFO=$ROOT/yaml-rules/bookinfo
bookinfo_up() {
	local name role add
	hosts
	for name in productpage-v1:21 details-v1:22 ratings-v1:24 reviews-v1:31 reviews-v2:32 reviews-v3:33; do
		role=${name%-v*}
		add=pod_add
		[[ " $* " != *" ${name%:*} "* ]] || add=pod2_add
		$add "${name%:*}" "${name#*:}" "app=$role,version=v${name:${#role}+2:1}"
		[ $role != reviews ] || role=${name%:*}
		bookinfo_start "${name%:*}" "$role"
	done
	apps_ready productpage-v1 details-v1 ratings-v1 reviews-v1 reviews-v2 reviews-v3
}

# bookinfo_hosts FAMILY
bookinfo_hosts() { hosts productpage="$(vip "$1" 21)" details="$(vip "$1" 22)" reviews="$(vip "$1" 23)" ratings="$(vip "$1" 24)"; }

# bookinfo_rules: its objects, and its Gateway at port 80, which is NodePort 31380, too
bookinfo_rules() {
	weft apply -f "$BOOKINFO/bookinfo.yaml" -f "$BOOKINFO/destination-rule-all.yaml" -f "$BOOKINFO/bookinfo-gateway.yaml"
	apply <<-END
		apiVersion: v1
		kind: Service
		metadata: {name: istio-ingressgateway, namespace: istio-system, labels: {istio: ingressgateway}}
		spec:
		  type: NodePort
		  clusterIP: $(vip 4 2)
		  clusterIPs: ["$(vip 4 2)", "$(vip 6 2)"]
		  selector: {istio: ingressgateway}
		  ports:
		  - {name: http2, port: 80, targetPort: 80, nodePort: 31380}
	END
}

# bookinfo_seen FILE: what the page in it shows of the reviews
bookinfo_seen() {
	case $(<"$1") in
	*"Error fetching product reviews!"*"Sorry, product reviews are currently unavailable for this book."*) echo "no reviews" ;;
	*"Ratings service is currently unavailable"*) echo "no ratings" ;;
	*'<font color="black">'*) echo "black stars" ;;
	*'<font color="red">'*) echo "red stars" ;;
	*"Reviews served by"*) echo "no stars" ;;
	*) head -c 300 "$1" ;;
	esac
}

# httpbin_start POD: the real one, on port 80
httpbin_start() {
	app_start "$1" gunicorn --bind '[::]:80' --threads 16 --keep-alive 60 --access-logfile - \
		--access-logformat '%(h)s "%(r)s" %(s)s %(B)s host=%({host}i)s' httpbin:app
}

# call FROM curl's arguments...
call() { (in_pod_exec "$1" curl -sS --max-time $((30 * SLOWER)) "${@:2}"); }

# load FROM tcp-load's arguments...
load() { in_ns "$1" "$APPS/tcp-load" "${@:2}"; }

# load_start FROM FILE arguments...: in the background, results in FILE; process id in $STARTED.
load_start() {
	local from=$1 file=$2
	shift 2
	start_in "$from" "$APPS/tcp-load" "$@" >"$file"
}

# http_echo_start POD PORT[,PORT...] NAME [OPTION...]
http_echo_start() {
	local log
	log=$(mktemp "$TMP/echo.XXXXXX")
	start_in "$1" "$APPS/http-echo" "${@:4}" "$2" "$3" >"$log"
	wait_until 5 grep -q listening "$log"
}

# http_echo_ask POD PORT PATH: asks a pod's own http-echo; /_set and /_stats are for this
http_echo_ask() { in_ns "$1" "$APPS/http-load" 127.0.0.1 "$2" -p "$3" --print | tail -1; }

# http_load FROM http-load's arguments...
http_load() { in_ns "$1" "$APPS/http-load" "${@:2}"; }

# http_load_start FROM FILE arguments...: in the background, results in FILE; process id in $STARTED
http_load_start() {
	local from=$1 file=$2
	shift 2
	start_in "$from" "$APPS/http-load" "$@" >"$file"
}

# json PATH TEXT: a number or word of a JSON text, 0 if it isn't there: json '.statuses."200"' "$result"
json() { jq -r "$1 // 0" <<<"$2"; }

# no_rst NAMESPACE: its kernel sends none; tcp-raw does
no_rst() {
	local tables
	[ -z "${NO_RST[$1]:-}" ] || return 0
	NO_RST[$1]=1
	for tables in iptables ip6tables; do
		in_ns "$1" $tables -w -A OUTPUT -p tcp --tcp-flags RST RST -m mark ! --mark 7 -j DROP
	done
}

# raw FROM ADDRESS SPORT PORT STEP...: tcp-raw towards ADDRESS, in the name of $RAW_SOURCE; the kernel does not interfere
raw() {
	local from=$1 to=$2 sport=$3 port=$4 family=4
	shift 4
	case $to in *:*) family=6 ;; esac
	no_rst "$from"
	in_ns "$from" "$APPS/tcp-raw" "${RAW_SOURCE:-$(addr $family "$from")}" "$sport" "$to" "$port" "$@"
}

# ---- weft ----

weft() { "$OUT/weft" --run-dir "$TMP/run" "$@"; }

weftd_options() {
	echo --state-dir "$TMP/state" --run-dir "$TMP/run" --bpffs "$TMP/bpf/weft" --cgroup "$CGROUP" ${NICS:+--nic "$NICS"}
}

weftd_start() {
	# shellcheck disable=SC2046 # words are meant
	(in_ns_exec node "$OUT/weftd" $(weftd_options) "$@") 2>>"$TMP/weftd.log" &
	WEFTD=$!
	wait_until 30 weft status --wait
	[ ${#PODS[@]} = 0 ] || wait_until 5 pods_attached
}

weftd_stop() {
	kill -TERM "$WEFTD"
	wait "$WEFTD" || fail "weftd ended with status $?"
	WEFTD=
}

weftd_kill9() {
	kill -9 "$WEFTD"
	wait "$WEFTD" 2>/dev/null || true
	WEFTD=
}

# stop_process PID: none of its threads runs any more. The signal alone stops them only once one of them has come to a processor.
stop_process() {
	kill -STOP "$1"
	wait_until 10 is_stopped "$1"
}
is_stopped() { ! grep -hs '^State:' "/proc/$1/task"/*/status | grep -qv 'T (stopped)'; }

# proxy_pid: of the weft-proxy that weftd runs now
proxy_pid() { weft status -o json | jq .proxy.pid; }

# apply: rules from stdin
apply() { weft apply -f - >/dev/null; }

# stat NAME: the value of one counter, 0 if there is none
stat_of() {
	local stats
	stats=$(weft stats "$1") || return # 0 would be an answer
	awk -v name="$1:" '$1 == name { print $2; found = 1 } END { if (!found) print 0 }' <<<"$stats"
}

# cluster_stat SUBSET|'' COUNTER [SERVICE] [PORT]
cluster_stat() { stat_of "cluster.outbound|${4:-9000}|$1|${3:-echo}.default.svc.cluster.local.$2"; }

conns_left() {
	local conns
	conns=$(weft conns -o json) || return
	grep -c '"endpoint":' <<<"$conns" || true
}

no_conns() { [ "$(conns_left)" = 0 ]; }

# map_dump NAME: a pinned map as JSON
map_dump() { bpftool -j map dump pinned "$TMP/bpf/weft/$1"; }

# dumped MAP NAME FIELD: what bpftool says of a row; it need not go on to the end of 4,095 of them
dumped() {
	{ bpftool map dump pinned "$TMP/bpf/weft/$1" 2>/dev/null || true; } |
		awk -v name="\"name\": \"$2\"" -v field="\"$3\":" \
			'index($0, name) { found = 1 } found && $1 == field { print $2 + 0; exit }'
}

# programs_note: what weft steers with now is what programs_gone asks for
programs_note() {
	local name id
	PROGRAMS=()
	for name in from_pod to_pod connect4; do
		id=$(bpftool -j prog show pinned "$TMP/bpf/weft/prog/$name" | jq .id)
		bpftool prog show id "$id" >/dev/null
		PROGRAMS+=("$id")
	done
	[ -n "$(bpftool cgroup show "$CGROUP")" ] || fail "nothing is on the cgroup"
}

# programs_gone: they are on no interface any more, in whichever way they were, or they would still be loaded; nor is anything on the cgroup
programs_gone() {
	local id
	for id in "${PROGRAMS[@]}"; do
		wait_until 5 program_gone "$id"
	done
	expect_eq "programs on the cgroup" "$(bpftool cgroup show "$CGROUP")" ""
}
program_gone() { [[ $(bpftool prog show id "$1" 2>&1) = *"No such file"* ]]; }

# pinned: what is left under the bpffs directory
pinned() { find "$TMP/bpf" -mindepth 1 ! -name '*.debug'; }

# ---- rules ----

rules_labels() { # k=v,k=v
	local pair
	for pair in ${1//,/ }; do
		printf '%s%s: "%s"\n' "$2" "${pair%%=*}" "${pair#*=}"
	done
}

# rules_forget POD: rules_pods leaves it out from now on
rules_forget() {
	local left=() pod
	for pod in "${PODS[@]}"; do
		[ "${pod%%:*}" = "$1" ] || left+=("$pod")
	done
	PODS=("${left[@]}")
}

# rules_pods: a Pod object for every pod there is
rules_pods() {
	local pod name
	for pod in "${PODS[@]}" "${REMOTES[@]}"; do
		name=${pod%%:*}
		cat <<-END
		---
		apiVersion: v1
		kind: Pod
		metadata:
		  name: $name
		  namespace: ${pod#*:}
		  labels:
		$(rules_labels "${LABELS[$name]}" "    ")
		spec:
		  containers: [{name: main, image: none}]
		  ${ACCOUNT[$name]:+serviceAccountName: ${ACCOUNT[$name]}}
		  $(node_of "$name")
		status:
		  phase: Running
		  podIP: $(addr 4 "$name")
		  podIPs: [{ip: $(addr 4 "$name")}, {ip: "$(addr 6 "$name")"}]
		END
	done
}

# rules_service NAME NUMBER [PORTS] [SELECTOR] [MORE]: ports as 9000 or 9000:8080,9001, of protocol $PROTOCOL (tcp); more
# lines for spec from MORE
rules_service() {
	local port
	cat <<-END
	---
	apiVersion: v1
	kind: Service
	metadata: {name: $1, namespace: ${NS:-default}}
	spec:
	  clusterIP: $(vip 4 "$2")
	  clusterIPs: ["$(vip 4 "$2")", "$(vip 6 "$2")"]
	  ipFamilies: [IPv4, IPv6]
	  ipFamilyPolicy: RequireDualStack
	  selector:
	$(rules_labels "${4:-app=$1}" "    ")
	${5:+$(sed 's/^/  /' <<<"$5")}
	  ports:
	END
	for port in $(tr , ' ' <<<"${3:-9000}"); do
		echo "  - {name: ${PROTOCOL:-tcp}-${port%%:*}, port: ${port%%:*}, targetPort: ${port#*:}}"
	done
}

# rules_elsewhere NAME NUMBER TARGET ADDRESS4 ADDRESS6 [PORT]: a Service without selector; it leads to port TARGET of these addresses
rules_elsewhere() {
	local family
	cat <<-END
	---
	apiVersion: v1
	kind: Service
	metadata: {name: $1, namespace: default}
	spec:
	  clusterIP: $(vip 4 "$2")
	  clusterIPs: ["$(vip 4 "$2")", "$(vip 6 "$2")"]
	  ipFamilies: [IPv4, IPv6]
	  ipFamilyPolicy: RequireDualStack
	  ports: [{name: tcp, port: ${6:-9000}, targetPort: $3}]
	END
	for family in 4 6; do
		cat <<-END
		---
		apiVersion: discovery.k8s.io/v1
		kind: EndpointSlice
		metadata: {name: $1-$family, namespace: default, labels: {kubernetes.io/service-name: $1}}
		addressType: IPv$family
		ports: [{name: tcp, port: $3}]
		endpoints: [{addresses: ["$([ $family = 4 ] && echo "$4" || echo "$5")"], conditions: {ready: true}}]
		END
	done
}

# rules_gateway NAME PORT: a Gateway for any host with that port, of $PROTOCOL (tcp)
rules_gateway() {
	local protocol=${PROTOCOL:-tcp}
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: Gateway
	metadata: {name: $1, namespace: ${NS:-default}}
	spec:
	  selector: {istio: ingressgateway}
	  servers:
	  - port: {number: $2, name: $protocol, protocol: ${protocol^^}}
	    hosts: ["*"]
	END
}

# rules_door PORT HOST SERVICE-PORT...: a Gateway's port towards a service each
rules_door() {
	while [ $# -gt 0 ]; do
		rules_gateway "door-$1" "$1"
		rules_routes "*" "- {match: [{port: $1}], route: [{destination: {host: $2, port: {number: $3}}}]}" "door-$1"
		shift 3
	done
}

# rules_tls_door TLS: a Gateway's HTTPS port with these fields of `tls`, for a.example.com, towards port 80 of the service `one`
rules_tls_door() {
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: Gateway
	metadata: {name: door, namespace: default}
	spec:
	  selector: {istio: ingressgateway}
	  servers:
	  - port: {number: 443, name: a, protocol: HTTPS}
	    hosts: [a.example.com]
	    tls: {$1}
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: a, namespace: default}
	spec:
	  hosts: [a.example.com]
	  gateways: [door]
	  http:
	  - route: [{destination: {host: one, port: {number: 80}}}]
	END
}

# rules_ingress NUMBER PORT:NODE-PORT...: the Service of Istio's ingress gateway
rules_ingress() {
	local number=$1 port
	shift
	cat <<-END
	---
	apiVersion: v1
	kind: Service
	metadata: {name: ingress, namespace: istio-system, labels: {istio: ingressgateway}}
	spec:
	  type: NodePort
	  clusterIP: $(vip 4 "$number")
	  clusterIPs: ["$(vip 4 "$number")", "$(vip 6 "$number")"]
	  selector: {istio: ingressgateway}
	  ports:
	END
	for port; do
		echo "  - {name: port-${port%:*}, port: ${port%:*}, targetPort: ${port%:*}, nodePort: ${port#*:}}"
	done
}

# rules_subsets HOST [SUBSETS] [POLICY]: a DestinationRule with a subset per word (by label version), and a trafficPolicy
rules_subsets() {
	local subset
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: DestinationRule
	metadata: {name: $1, namespace: ${NS:-default}}
	spec:
	  host: $1
	END
	[ -z "${3:-}" ] || printf '  trafficPolicy:\n%s\n' "$(sed 's/^/    /' <<<"$3")"
	[ -z "${2:-}" ] || echo "  subsets:"
	for subset in ${2:-}; do
		echo "  - {name: $subset, labels: {version: $subset}}"
	done
}

# rules_routes HOST ROUTES [GATEWAY]: a VirtualService with these routes, a list in YAML, of $PROTOCOL (tcp)
rules_routes() {
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: ${3:-$1}, namespace: ${NS:-default}}
	spec:
	  hosts: ["$1"]
	  ${3:+gateways: [$3]}
	  ${PROTOCOL:-tcp}:
	$(sed 's/^/  /' <<<"$2")
	END
}

# rules_weights HOST SUBSET[=WEIGHT]...: a VirtualService with one route of $PROTOCOL (tcp)
rules_weights() {
	local host=$1 routes="- route:" dest
	shift
	for dest; do
		routes+=$'\n'"  - destination: {host: $host, subset: ${dest%%=*}}"
		[ "$dest" = "${dest%%=*}" ] || routes+=$'\n'"    weight: ${dest#*=}"
	done
	rules_routes "$host" "$routes"
}

# A node that needs both sides of weft: `client` calls `one` (service 10) by HTTP, and `two` (service 20) by TCP.
both_sides_up() {
	node_up
	pod_add client 1
	pod_add one 2
	pod_add two 3
	http_echo_start one 8080 one
	echo_start two 9000 two
}
both_sides_rules() {
	rules_pods
	PROTOCOL=http rules_service one 10 80:8080
	rules_subsets one "" "connectionPool: {http: {maxRetries: 3}}"
	rules_service two 20
}

# http_works FAMILY, tcp_works FAMILY: weft's own words where that traffic is concerned
http_works() {
	local result
	result=$(http_load client "$(vip "$1" 10)" 80 -n 5 -t $((3000 * SLOWER)))
	[ "$(json '.statuses."200"' "$result")" = 5 ]
}
tcp_works() {
	local result
	result=$(load client "$(vip "$1" 20)" 9000 -n 5 -s hello)
	[ "$(count two "$result")" = 5 ]
}

# rules_many COUNT EACH: services many-1, many-2, ... with so many endpoints each, none of which is there
rules_many() {
	awk -v count="$1" -v each="$2" 'BEGIN {
		for (i = 1; i <= count; i++) {
			printf "---\napiVersion: v1\nkind: Service\nmetadata: {name: many-%d}\nspec:\n  clusterIP: 10.%d.%d.%d\n" \
			       "  ports: [{name: tcp, port: 80, targetPort: 8080}]\n", i, 100 + int(i / 65536), int(i / 256) % 256, i % 256
			printf "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: many-%d-x\n" \
			       "  labels: {kubernetes.io/service-name: many-%d}\naddressType: IPv4\n" \
			       "ports: [{name: tcp, port: 8080}]\nendpoints:\n", i, i
			for (e = 0; e < each; e++) {
				n = i * each + e
				printf "- addresses: [10.%d.%d.%d]\n", 128 + int(n / 65536), int(n / 256) % 256, n % 256
			}
		}
	}'
}

# ---- a ConnectionPolicy, put into the maps as weftd does it (weft/protect.h) ----

POLICY_TURN=0
ON=1 LISTED=2 ALWAYS=4 AUTO=8 # its flags

# le BYTES NUMBER...: as the processor has them
le() {
	local bytes=$1 number i
	shift
	for number; do
		for ((i = 0; i < bytes; i++)); do printf '%d ' $((number >> (8 * i) & 255)); done
	done
}

# map_do DO MAP KEY [VALUE]: what bpftool does with a row
map_do() {
	# shellcheck disable=SC2086 # bytes are words
	bpftool -j map "$1" pinned "${PINS:-$TMP/bpf/weft}/$2" key $3 ${4:+value $4}
}

# policy FLAGS [SOURCE-RATE SOURCE-BURST TOTAL-RATE TOTAL-BURST THRESHOLD]
policy() {
	local rest=("${@:2}" 0 0 0 0 0)
	POLICY_TURN=$((POLICY_TURN + 1))
	map_do update protect "$(le 4 $((POLICY_TURN % 2)))" "$(le 4 "$1" "${rest[@]:0:5}" 0) $(printf '0 %.0s' {1..128})" >/dev/null
	map_do update protect_turn "$(le 4 0)" "$(le 8 $POLICY_TURN)" >/dev/null
}

# policy_sources allow|deny|delete: rows for the CIDRs of stdin, or none any more
policy_sources() {
	/usr/bin/python3 -c 'import ipaddress, struct, sys
at, verdict = sys.argv[1], sys.argv[2]
for line in sys.stdin:
    net = ipaddress.ip_network(line.strip())
    mapped = net.version == 4
    key = struct.pack("<I", net.prefixlen + 96 * mapped) + (bytes(10) + b"\xff\xff" if mapped else b"") + net.network_address.packed
    value = [] if verdict == "delete" else ["value", 1 + (verdict == "deny"), 0, 0, 0]
    print("map", "delete" if verdict == "delete" else "update", "pinned", at, "key", *key, *value)' \
		"${PINS:-$TMP/bpf/weft}/protect_sources" "$1" >"$TMP/sources"
	bpftool batch file "$TMP/sources" >/dev/null
}

# protected REASON: packets that were counted so
protected() {
	local reasons="passed_syn denied not_allowed source_rate total_rate malformed spoofed cookie_sent cookie_good cookie_bad unanswered" before
	before=${reasons%%"$1"*}
	# shellcheck disable=SC2086 # words are counted
	set -- $before
	map_do lookup protect_count "$(le 4 $#)" | jq '[.formatted.values[].value] | add'
}
