#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Callers from outside whose endpoint is on another node share this node's address towards it: 10,000 connections at a time, ten
# callers with the same ports, of which none gets another's answer. And a router that says that a packet is too big for the next link,
# on either side, is heard by the one that sent it, from the address that it knows. By tc and by XDP.
. "${0%/*}/lib.sh"

lb() { if [ "$1" = 4 ]; then echo "192.0.2.10"; else echo "2001:db8::10"; fi; }

CALLERS=10
EACH=$(rounds 1000 50) # connections of each
FIRST_PORT=20000

node_up
remote_add far 3 app=far
outside_add other 5
echo_start far 9000 far
checksums_finished world eth0
xdp_verdict world eth0 pass
caller() { if [ "$1" = 4 ]; then echo "10.247.0.$((100 + $2))"; else echo "fd00:247::$((100 + $2))"; fi; }
for ((i = 0; i < CALLERS; i++)); do
	ip_in other <<-END
	address add $(caller 4 $i)/32 dev lo
	address add $(caller 6 $i)/128 dev lo nodad
	END
	ip_in world <<-END
	route add $(caller 4 $i)/32 via 10.246.5.2
	route add $(caller 6 $i)/128 via fd00:246:5::2
	END
done
sysctl_in other net/ipv4/ip_local_port_range="40000 65535"

rules() {
	rules_pods
	rules_service far 10 9000 app=far "type: LoadBalancer"
	printf 'status: {loadBalancer: {ingress: [{ip: %s}, {ip: "%s"}]}}\n' "$(lb 4)" "$(lb 6)"
}

# hear NAMESPACE: the ICMP errors about too big packets that come there, from now on, in $TMP/icmp.NAMESPACE: "FAMILY SENDER"
hear() {
	(in_ns_exec "$1" /usr/bin/python3 -u -c 'import select, socket
four = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
six = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
print("ready")
while True:
    for s in select.select([four, six], [], [])[0]:
        data, sender = s.recvfrom(2048)
        if s is four and data[20:22] == b"\3\4":
            print(4, sender[0])
        elif s is six and data[:1] == b"\2":
            print(6, sender[0])') >>"$TMP/icmp.$1" &
	wait_until 10 grep -q ready "$TMP/icmp.$1"
}
hear other
hear far

forwarded() { stat_of weft.xdp.forwarded.packets; }
# heard NAMESPACE FAMILY: of whom, since `deaf`
heard() { awk -v family="$2" '$1 == family { print $2 }' "$TMP/icmp.$1" | sort -u | paste -sd,; }
deaf() {
	: >"$TMP/icmp.$1"
	in_ns "$1" ip -4 route flush cache
	in_ns "$1" ip -6 route flush cache
}

# peers: the endpoint's view of its connections: how many, and from how many addresses and ports
peers() {
	in_ns far ss -Htn state established '( sport = :9000 )' | awk '{ all++; seen[$NF] = 1 } END { for (p in seen) n++; print all + 0, n + 0 }'
}

# many FAMILY: all at a time
many() {
	local family=$1 i pids=() total=$((CALLERS * EACH))
	for ((i = 0; i < CALLERS; i++)); do
		load_start other "$TMP/many.$i" "$(lb "$family")" 9000 -n "$EACH" -c 100 -s hello -e hold --source "$(caller "$family" $i)" \
			--source-port $FIRST_PORT -t $((20000 * SLOWER)) --ready "$TMP/many.ready.$i"
		pids+=("$STARTED")
	done
	for ((i = 0; i < CALLERS; i++)); do
		wait_until 60 test -e "$TMP/many.ready.$i"
	done
	row "$what: connections, and from how many addresses and ports" "$(peers)" "$total $total"
	row "$what: as weft has them" "$(conns_left)" $total
	kill "${pids[@]}"
	for ((i = 0; i < CALLERS; i++)); do
		wait "${pids[i]}" || true
		[ "$(<"$TMP/many.$i")" = "{\"far\":$EACH}" ] || row "$what: answers to caller $i" "$(<"$TMP/many.$i")" "{\"far\":$EACH}"
		rm "$TMP/many.$i" "$TMP/many.ready.$i"
	done
	wait_until 60 no_conns
}

# narrow FAMILY: on the endpoint's side, then on the caller's
narrow() {
	local family=$1
	link_narrow far 1300
	deaf other
	row "$what: a narrow link to the endpoint: large lines" "$(load other "$(lb "$family")" 9000 -n 2 --bytes 200000 -e half -t $((5000 * SLOWER)))" '{"far":2}'
	row "$what: ... the caller hears of it from" "$(heard other "$family")" "$(lb "$family")"
	link_wide far
	link_narrow other 1300
	deaf far
	row "$what: a narrow link to the caller: large lines" "$(load other "$(lb "$family")" 9000 -n 2 --bytes 200000 -e half -t $((5000 * SLOWER)))" '{"far":2}'
	row "$what: ... the endpoint hears of it from" "$(heard far "$family")" "$(addr "$family" node)"
	link_wide other
	deaf other
	deaf far
}

for mode in off native auto; do
	weftd_start --xdp $mode
	[ $mode != off ] || rules | apply
	[ $mode != auto ] || wait_until 10 sh -c "\"$OUT/weft\" --run-dir '$TMP/run' status | grep -Eq '^XDP +auto: nic0 (native|(off|native) .(not used: )?the kernel does not tell whether a veth can send.)\$'"
	for family in 4 6; do
		what="IPv$family, --xdp $mode"
		before=$(forwarded)
		many $family
		narrow $family
		say "$what: $(($(forwarded) - before)) packets by XDP"
		[ $mode != native ] || row "$what: forwarded by XDP" $(($(forwarded) > before)) 1
	done
	weftd_stop
done
rows_end
