#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# weftd --xdp auto: XDP forwards what comes from outside for another node only while a NIC's driver can, and while nothing that the
# node does of its own would be passed by; within seconds of a change, and not without weftd, packets take the node's way. Also
# from one NIC to another. One connection for each family lives through all of it.
. "${0%/*}/lib.sh"

lb() { if [ "$1" = 4 ]; then echo "192.0.2.$2"; else echo "2001:db8::$2"; fi; }

# balanced NAME NUMBER PORTS SELECTOR: a Service behind a load balancer
balanced() {
	rules_service "$1" "$2" "$3" "$4" "type: LoadBalancer"
	printf 'status: {loadBalancer: {ingress: [{ip: %s}, {ip: "%s"}]}}\n' "$(lb 4 "$2")" "$(lb 6 "$2")"
}

node_up
remote_add far 3 app=far
remote_add beyond 4 app=beyond
outside_add other 5
echo_start far 9000 far
echo_start beyond 9000 beyond
checksums_finished world eth0
# A second NIC, towards the same router, by which one of the endpoints is reached.
ip_in node <<-END
link add nic1 type veth peer name eth1 netns $(netns world)
address add 10.2.0.1/24 dev nic1
address add fd00:2::1/64 dev nic1 nodad
link set nic1 up
END
ip_in world <<-END
address add 10.2.0.2/24 dev eth1
address add fd00:2::2/64 dev eth1 nodad
link set eth1 up
END
ip_in node <<-END
route add 10.245.0.4/32 via 10.2.0.2
route add fd00:245::4/128 via fd00:2::2
END
checksums_finished world eth1
NICS=nic0,nic1

rules() {
	rules_pods
	balanced far 10 9000 app=far
	balanced beyond 11 9000 app=beyond
}

# status: what it says of each NIC, in the order of their names
status() { weft status | sed -n 's/^XDP *auto: //p' | sed 's/, /\n/g' | sort | paste -sd,; }
says() { [[ $(status) =~ $1 ]]; }
LARGE=$(rounds 1000000 100000) # bytes
forwarded() { stat_of weft.xdp.forwarded.packets; }
# more SECONDS: how many packets XDP has forwarded in that time
more() {
	local before
	before=$(forwarded)
	sleep "$1"
	echo $(($(forwarded) - before))
}
used() { (($(more 0.3) > 3)); }
unused() { (($(more 0.3) == 0)); }

weftd_start --xdp auto
rules | apply

# ---- whether the driver can ----

# knows_veths: whether this kernel tells what a veth can send (since 6.3)
knows_veths() { [[ $(uname -r) =~ ^([0-9]+)\.([0-9]+) ]] && ((BASH_REMATCH[1] * 1000 + BASH_REMATCH[2] >= 6003)); }
if ! knows_veths; then
	wait_until 5 says '^nic0 off \(the kernel does not tell whether a veth can send\),nic1 off \(the kernel'
	expect_eq "an endpoint on another node" "$(load other "$(lb 4 10)" 9000 -n 5 -s hello)" '{"far":5}'
	expect_eq "forwarded by XDP" "$(forwarded)" 0
	exit 0
fi
wait_until 5 says '^nic0 off \(the veth.s other end has neither XDP nor GRO\),nic1 off'
say "ok: veths that would drop what XDP sends: $(status)"
expect_eq "an endpoint on another node, meanwhile" "$(load other "$(lb 4 10)" 9000 -n 5 -s hello)" '{"far":5}'
expect_eq "forwarded by XDP" "$(forwarded)" 0
xdp_verdict world eth0 pass
wait_until 5 says '^nic0 native,nic1 off \(the veth'
say "ok: one can"
xdp_verdict world eth1 pass
wait_until 5 says '^nic0 native,nic1 native$'
say "ok: both can"
holders=()
for family in 4 6; do
	for to in 10 11; do
		before=$(forwarded)
		want='{"far":5}'
		[ $to = 10 ] || want='{"beyond":5}'
		row "IPv$family: large lines come back whole" "$(load other "$(lb $family $to)" 9000 -n 5 -c 5 --bytes "$LARGE" -e half -t $((5000 * SLOWER)))" "$want"
		row "IPv$family: forwarded by XDP" $(($(forwarded) > before + LARGE / 1000)) 1
		load_start other "$TMP/held.$family.$to" "$(lb $family $to)" 9000 -n 1 -s hello -e hold --every 20 \
			-t $((5000 * SLOWER)) --ready "$TMP/ready.$family.$to"
		holders+=("$STARTED")
		wait_until 5 test -e "$TMP/ready.$family.$to"
	done
done
wait_until 3 used
say "ok: XDP forwards"

# The node's own stack sees nothing of a connection, from its SYN on. But one frame in 32,768 has by chance the checksum of an unfinished
# one, and XDP leaves it to the stack (may_be_partial()): one or two may be that, in three tries in a row they are not.
by_stack() { # FAMILY: packets that it has forwarded
	if [ "$1" = 4 ]; then
		in_ns node cat /proc/net/snmp | awk '$1 == "Ip:" { n = $7 } END { print n }'
	else
		in_ns node cat /proc/net/snmp6 | awk '$1 == "Ip6OutForwDatagrams" { print $2 }'
	fi
}
for family in 4 6; do
	for try in 1 2 3; do
		before=$(by_stack $family)
		counted=$(stat_of "cluster.outside|9000||far.default.svc.cluster.local.upstream_cx_total")
		row "IPv$family: connections" "$(load other "$(lb $family 10)" 9000 -n 20 -s hello)" '{"far":20}'
		row "IPv$family: connections between NICs" "$(load other "$(lb $family 11)" 9000 -n 20 -s hello)" '{"beyond":20}'
		row "IPv$family: counted" $(($(stat_of "cluster.outside|9000||far.default.svc.cluster.local.upstream_cx_total") - counted)) 20
		seen=$(($(by_stack $family) - before))
		[ $seen = 1 ] || [ $seen = 2 ] || break
		say "try $try: IPv$family: $seen packets by the node's own stack"
	done
	row "IPv$family: packets that the node's own stack has forwarded" "$seen" 0
done

# ---- what is not to be passed by ----

# minds WHAT PATTERN: within 3 s the packets take the node's way
minds() {
	wait_until 3 unused
	expect_match "$1: status tells" "$(status)" "$2"
}
# goes_on: within 3 s they don't any more
goes_on() {
	wait_until 3 used
	expect_eq "status" "$(status)" "nic0 native,nic1 native"
}

shaped() { (($(in_ns node tc -j -s qdisc show dev "$1" | jq '.[] | select(.kind == "tbf").packets') > 20)); }
for nic in nic0 nic1; do
	in_ns node tc qdisc add dev $nic root tbf rate 100mbit burst 100kb latency 50ms
	wait_until 3 shaped $nic
	say "ok: a queueing discipline on $nic has its packets within 3 s"
	wait_until 3 says "$nic native .not used: $nic: queueing discipline tbf."
	in_ns node tc qdisc del dev $nic root
	goes_on
done
in_ns node tc qdisc add dev nic0 root pfifo_fast
sleep 1.5
expect_eq "a plain queue" "$(status)" "nic0 native,nic1 native"
wait_until 3 used
in_ns node tc qdisc del dev nic0 root

in_ns node tc qdisc add dev nic0 clsact 2>/dev/null || true # it is there where weft itself needs it
in_ns node tc filter add dev nic0 egress bpf direct-action pinned "$TMP/bpf/weft/prog/from_bridge"
wait_until 3 says 'nic0 native .not used: nic0: tc programs or filters of others'
say "ok: a filter of others"
in_ns node tc filter del dev nic0 egress
goes_on

in_ns node ip xfrm policy add dir fwd src 10.99.0.0/16 dst 10.98.0.0/16 action block
minds "IPsec" '^nic0 native \(not used: IPsec policies\),nic1 native \(not used: IPsec policies\)$'
in_ns node ip xfrm policy flush
goes_on

# ---- what changes ----

in_ns node ip link set nic0 address 02:00:00:00:77:01
in_ns world ip neighbour flush dev eth0
goes_on
say "ok: the NIC has another MAC address"

weftd_kill9
# A weftd that does not renew it loses the permission: this counts without one.
counted() { bpftool -j map dump pinned "$TMP/bpf/weft/xdp_count" | jq '[.[].formatted.values[].value.packets] | add'; }
stands() {
	local before
	before=$(counted)
	sleep 0.3
	[ "$(counted)" = "$before" ]
}
wait_until 5 stands
say "ok: without weftd the node's way within 5 s"
weftd_start --xdp auto
goes_on
weftd_stop
weftd_start --xdp off
wait_until 3 unused
weftd_stop
weftd_start --xdp auto
goes_on
say "ok: switched off and on"

# Another's program: auto gives way.
weftd_stop
weftd_start --xdp off
xdp_verdict node nic1 pass
weftd_stop
weftd_start --xdp auto
wait_until 5 says '^nic0 native,nic1 off \(another XDP program is there\)$'
say "ok: another's program: $(status)"
in_ns node ip link set dev nic1 xdpdrv off
goes_on

# ---- netfilter: last, as hooks stay once they are there ----

counts() { in_ns node "$1" -L FORWARD -v -x -n | awk 'NR > 2 { n += $1 } END { exit !(n > 20) }'; }
for tables in iptables ip6tables; do
	in_ns node $tables -w -A FORWARD -p tcp
	wait_until 3 counts $tables
done
say "ok: rules of FORWARD count within 3 s"
minds "netfilter" '^nic0 native \(not used: netfilter hooks on the forward path \(nft_do_chain|ip'

kill "${holders[@]}"
for pid in "${holders[@]}"; do wait "$pid" || true; done
for family in 4 6; do
	row "IPv$family: the connection to one NIC, as its client saw it" "$(cat "$TMP/held.$family.10")" '{"far":1}'
	row "IPv$family: the connection between NICs, as its client saw it" "$(cat "$TMP/held.$family.11")" '{"beyond":1}'
done
wait_until 30 no_conns
rows_end
