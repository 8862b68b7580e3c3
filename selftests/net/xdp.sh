#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A caller from outside whose endpoint is on another node is forwarded by XDP on the NIC, natively or generically, there and back,
# and sees nothing of it: also when XDP comes or goes under an open connection, and for what XDP leaves to tc. A NIC that can't is
# refused. What is taken away comes back; --detach leaves nothing.
. "${0%/*}/lib.sh"

lb() { if [ "$1" = 4 ]; then echo "192.0.2.$2"; else echo "2001:db8::$2"; fi; }

# balanced NAME NUMBER PORTS SELECTOR: a Service behind a load balancer
balanced() {
	rules_service "$1" "$2" "$3" "$4" "type: LoadBalancer"
	printf 'status: {loadBalancer: {ingress: [{ip: %s}, {ip: "%s"}]}}\n' "$(lb 4 "$2")" "$(lb 6 "$2")"
}

node_up
pod_add one 2 app=one
remote_add far 3 app=far
outside_add other 5
echo_start one 9000 one
echo_start far 9000 far
http_echo_start far 8080 far
# A veth takes what XDP sends to it if it has a native program of its own.
xdp_verdict world eth0 pass

rules() {
	rules_pods
	balanced far 10 9000 app=far
	balanced one 11 9000 app=one
	PROTOCOL=http rules_service web 12 80:8080 app=far
	PROTOCOL=http rules_gateway door 80
	PROTOCOL=http rules_routes "*" "- {route: [{destination: {host: web}}], headers: {response: {set: {x-by: door}}}}" door
}

LARGE=$(rounds 1000000 100000) # bytes
status_is() { [ "$(weft status | sed -n 's/^XDP *//p')" = "$1" ]; }
# jumbo_refused: what auto says of a veth with jumbo frames. Before 6.3 kernels don't tell whether a veth can send, and it is not tried.
jumbo_refused() { if [[ $(uname -r) =~ ^6\.[12]\. ]]; then echo "auto: nic0 off (the kernel does not tell whether a veth can send)"; else echo "auto: nic0 off (the driver refuses it with an MTU of 9000)"; fi; }
forwarded() { stat_of weft.xdp.forwarded.packets; }
words() { load other "$1" 9000 -n 20 -c 5 -s hello -t $((3000 * SLOWER)); }
kind_on_nic() { # as the kernel has it
	case $(in_ns node ip -j link show nic0 | jq -r '.[0].xdp.mode // 0') in
	0) echo off ;;
	1) echo native ;;
	2) echo generic ;;
	*) echo another ;;
	esac
}

loaded() { if [ -e "$TMP/bpf/weft/prog/from_wire" ]; then echo yes; else echo no; fi; }

# works MODE WHETHER: with --xdp MODE; WHETHER packets are forwarded by XDP: yes, no, or hardly: a kernel finishes the checksums of
# its answers in the name of sockets that are gone
works() {
	local family before after
	for family in 4 6; do
		before=$(forwarded)
		row "IPv$family: $1: an endpoint on another node" "$(words "$(lb $family 10)")" '{"far":20}'
		row "IPv$family: $1: large lines come back whole" "$(load other "$(lb $family 10)" 9000 -n 5 -c 5 --bytes "$LARGE" -e half -t $((5000 * SLOWER)))" '{"far":5}'
		after=$(forwarded)
		case $2 in
		yes) row "IPv$family: $1: forwarded by XDP" $((after > before)) 1 ;;
		no) row "IPv$family: $1: forwarded by XDP" $((after - before)) 0 ;;
		*) row "IPv$family: $1: hardly any are forwarded by XDP" $((after - before < 20)) 1 ;;
		esac
		row "IPv$family: $1: an endpoint on this node" "$(words "$(lb $family 11)")" '{"one":20}'
		row "IPv$family: $1: a Gateway's HTTP" "$(http_load other "$(addr $family node)" 80 -n 20 -c 2 --count x-by | jq -c .words)" '{"door":20}'
		row "IPv$family: $1: nothing of these is XDP's" $(($(forwarded) - after)) 0
	done
}

# A device that finishes checksums has not finished those of a veth: such packets go up.
weftd_start --xdp native
rules | apply
row "status" "$(weft status | sed -n 's/^XDP *//p')" "native: nic0 native"
works "native, checksums left to the device" hardly
wait_until 30 no_conns

checksums_finished world eth0
for mode in off generic native; do
	weftd_stop
	weftd_start --xdp $mode
	case $mode in
	off) status=off kind=off yes=no ;;
	*) status="$mode: nic0 $mode" kind=$mode yes=yes ;;
	esac
	row "$mode: status" "$(weft status | sed -n 's/^XDP *//p')" "$status"
	row "$mode: in JSON" "$(weft status -o json | jq -r .xdp)" "$status"
	row "$mode: on the interface" "$(kind_on_nic)" $kind
	row "$mode: loaded" "$(loaded)" $yes
	works $mode $yes
done
wait_until 30 no_conns

# A router further on that says how much is too much speaks to the node: it is the caller that must hear it.
weftd_stop
weftd_start --xdp native
link_narrow far 1300
for family in 4 6; do
	before=$(forwarded)
	row "IPv$family: native, a narrow link behind: large lines" "$(load other "$(lb $family 10)" 9000 -n 2 -c 2 --bytes 300000 -e half -t $((5000 * SLOWER)))" '{"far":2}'
	row "IPv$family: native, a narrow link behind: forwarded by XDP" $(($(forwarded) > before)) 1
done
link_wide far
wait_until 30 no_conns

# Jumbo frames: the kernel's own receive path hands them over in one piece. A driver that can't refuses, and auto and native leave
# them to tc; native is back once they are gone.
jumbo() { # MTU
	local at
	for at in node:nic0 world:eth0 world:far3 far:eth0 world:far5 other:eth0; do
		ip -n "$(netns "${at%:*}")" link set "${at#*:}" mtu "$1"
	done
	for at in far other; do # what they have learnt of the narrow link
		in_ns $at ip -4 route flush cache
		in_ns $at ip -6 route flush cache
	done
}
in_ns world ip link set dev eth0 xdpdrv off
gro_on world eth0
weftd_stop
weftd_start --xdp off # a veth with a program in its driver takes no such MTU
weftd_stop
jumbo 9000
for mode in generic auto native; do
	weftd_start --xdp $mode
	case $mode in
	generic) status="generic: nic0 generic" ;;
	auto)
		status=$(jumbo_refused)
		wait_until 5 status_is "$status"
		;;
	native) status="native: nic0 off (the driver refuses it with an MTU of 9000)" ;;
	esac
	row "$mode, jumbo frames: status" "$(weft status | sed -n 's/^XDP *//p')" "$status"
	for family in 4 6; do
		packets=$(forwarded)
		bytes=$(stat_of weft.xdp.forwarded.bytes)
		row "IPv$family: $mode, jumbo frames: large lines" "$(load other "$(lb $family 10)" 9000 -n 5 -c 5 --bytes "$LARGE" -e half -t $((5000 * SLOWER)))" '{"far":5}'
		packets=$(($(forwarded) - packets))
		bytes=$(($(stat_of weft.xdp.forwarded.bytes) - bytes))
		if [ $mode != generic ]; then
			row "IPv$family: $mode, jumbo frames: forwarded by XDP" $packets 0
		else
			say "IPv$family: $mode, jumbo frames: $packets forwarded by XDP, of $bytes bytes"
			row "IPv$family: $mode, jumbo frames: forwarded by XDP, more than 1500 bytes in each" $((packets && bytes / packets > 1500)) 1
		fi
	done
	[ $mode = native ] || weftd_stop
done
jumbo 1500
xdp_verdict world eth0 pass
wait_until 5 status_is "native: nic0 native"
before=$(forwarded)
row "native, no jumbo frames any more" "$(words "$(lb 4 10)")" '{"far":20}'
row "native, no jumbo frames any more: forwarded by XDP" $(($(forwarded) > before)) 1
wait_until 30 no_conns

# The node's firewall follows connections whose packets it does not see, and drops what it takes for invalid.
drop_invalid() { both_tables "$1" FORWARD -m conntrack --ctstate INVALID -j DROP; }
drop_invalid -A
both_tables -A FORWARD -m conntrack --ctstate ESTABLISHED,NEW -j ACCEPT
works "native, beside connection tracking" yes
both_tables -F FORWARD
wait_until 30 no_conns

# ---- a connection lives through all of them ----

# Connection tracking has not seen what XDP has forwarded, and must not mind.
sysctl_in node net/netfilter/nf_conntrack_tcp_be_liberal=1
drop_invalid -A
holders=()
for family in 4 6; do
	load_start other "$TMP/held.$family" "$(lb $family 10)" 9000 -n 10 -c 10 -s hello -e hold --every $((50 * SLOWER)) \
		-t $((5000 * SLOWER)) --ready "$TMP/ready.$family"
	holders+=("$STARTED")
	wait_until 5 test -e "$TMP/ready.$family"
done
for mode in native off generic off native; do
	weftd_stop
	weftd_start --xdp $mode
	before=$(forwarded)
	sleep $((1 * SLOWER))
	want=1
	[ $mode != off ] || want=0
	row "open connections, $mode: forwarded by XDP" $(($(forwarded) > before)) $want
done
row "open connections, as weft has them" "$(conns_left)" 20
kill "${holders[@]}"
for pid in "${holders[@]}"; do wait "$pid" || true; done
for family in 4 6; do
	row "IPv$family: open connections, as their clients saw them" "$(cat "$TMP/held.$family")" '{"far":10}'
done
wait_until 30 no_conns
say "ok: they are over for weft, too"
drop_invalid -D

# ---- taken away ----

nic=$(in_ns node ip -j link show nic0 | jq '.[0].ifindex')
is_back() { [ "$(kind_on_nic)" = native ] && weft status >/dev/null && [ "$(stat_of weft.guard.interfaces.restored)" -gt "$before" ]; }
for way in detached unpinned; do
	before=$(stat_of weft.guard.interfaces.restored)
	case $way in
	detached) bpftool link detach pinned "$TMP/bpf/weft/xdp/$nic" ;;
	*) rm "$TMP/bpf/weft/xdp/$nic" ;;
	esac
	wait_until 10 is_back
	say "ok: $way, it is back"
done

# A weftd that is killed leaves it at work.
weftd_kill9
row "without weftd: on the interface" "$(kind_on_nic)" native
row "without weftd" "$(words "$(lb 4 10)")" '{"far":20}'

# ---- what can't be ----

in_ns node ip link add br9 type bridge
in_ns node ip link set br9 up
# refused WHAT PATTERN OPTION...: weftd does not start
refused() {
	local status=0 what=$1 pattern=$2
	shift 2
	# shellcheck disable=SC2046 # words are meant
	in_ns node timeout $((60 * SLOWER)) "$OUT/weftd" $(weftd_options) "$@" 2>"$TMP/said" || status=$?
	expect_eq "$what: exit status" $status 1
	expect_match "$what" "$(<"$TMP/said")" "$pattern"
}
NICS=nic0,br9 refused "a driver without XDP" "xdp native: br9: the driver has no XDP" --xdp native
in_ns node "$OUT/weftd" --detach --run-dir "$TMP/run" --bpffs "$TMP/bpf/weft"
row "detached: on the interface" "$(kind_on_nic)" off
row "detached: pinned" "$(pinned)" ""

weftd_start --xdp native
id=$(bpftool -j prog show pinned "$TMP/bpf/weft/prog/from_wire" | jq .id)
bpftool prog pin id "$id" "$TMP/bpf/foreign"
weftd_stop
in_ns node "$OUT/weftd" --detach --run-dir "$TMP/run" --bpffs "$TMP/bpf/weft"
in_ns node ip link set dev nic0 xdpdrv pinned "$TMP/bpf/foreign"
refused "beside another's program" "xdp native: nic0: another XDP program is there" --xdp native
weftd_start --xdp off
row "another's program is left alone" "$(kind_on_nic)" native
in_ns node "$OUT/weftd" --detach --run-dir "$TMP/run" --bpffs "$TMP/bpf/weft"
wait "$WEFTD" || true
WEFTD=
row "also by --detach" "$(kind_on_nic)" native
in_ns node ip link set dev nic0 xdpdrv off
rows_end
