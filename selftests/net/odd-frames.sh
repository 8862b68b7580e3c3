#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Callers from outside whose packets have IP options or extension headers, or come by a VLAN of the NIC, are served as others are,
# by an endpoint on another node and by one on this node, with XDP on the NIC natively, generically and not at all.
. "${0%/*}/lib.sh"

VLAN=100

lb() { if [ "$1" = 4 ]; then echo "192.0.2.$2"; else echo "2001:db8::$2"; fi; }

# balanced NAME NUMBER: a Service behind two load balancers; the second one's packets come by the VLAN
balanced() {
	rules_service "$1" "$2" 9000 "app=$1" "type: LoadBalancer"
	printf 'status: {loadBalancer: {ingress: [{ip: %s}, {ip: "%s"}, {ip: %s}, {ip: "%s"}]}}\n' "$(lb 4 "$2")" "$(lb 6 "$2")" \
		"$(lb 4 "1$2")" "$(lb 6 "1$2")"
}

rules() {
	rules_pods
	balanced far 10
	balanced one 11
}

node_up
pod_add one 2 app=one
remote_add far 3 app=far
outside_add other 5
outside_add tagged 6
echo_start one 9000 one
echo_start far 9000 far
# A veth takes what XDP sends to it if it has a native program of its own.
xdp_verdict world eth0 pass
checksums_finished world eth0

# vlan_up: the callers' router has a VLAN with the node: by it go its packets to the second load balancers, and the node's to `tagged`.
# False where the kernel knows none.
vlan_up() {
	in_ns node ip link add link nic0 name nic0.$VLAN type vlan id $VLAN 2>/dev/null || return 1
	ip_in node <<-END
		address add 10.3.0.1/24 dev nic0.$VLAN
		address add fd00:3::1/64 dev nic0.$VLAN nodad
		link set nic0.$VLAN up
		route add 10.247.0.6/32 via 10.3.0.2
		route add fd00:247::6/128 via fd00:3::2
	END
	ip_in world <<-END
		link add link eth0 name eth0.$VLAN type vlan id $VLAN
		address add 10.3.0.2/24 dev eth0.$VLAN
		address add fd00:3::2/64 dev eth0.$VLAN nodad
		link set eth0.$VLAN up
		route add 192.0.2.110/32 via 10.3.0.1
		route add 192.0.2.111/32 via 10.3.0.1
		route add 2001:db8::110/128 via fd00:3::1
		route add 2001:db8::111/128 via fd00:3::1
	END
	# Who is not reached by the VLAN, or not but by it, hears nothing of what takes the other way.
	in_ns world iptables -w -A FORWARD -i "eth0.$VLAN" -d "$(addr 4 far)" -j DROP
	in_ns world ip6tables -w -A FORWARD -i "eth0.$VLAN" -d "$(addr 6 far)" -j DROP
	in_ns world iptables -w -A FORWARD -i eth0 -d "$(addr 4 tagged)" -j DROP
	in_ns world ip6tables -w -A FORWARD -i eth0 -d "$(addr 6 tagged)" -j DROP
	in_ns world sh -c "for i in all eth0 eth0.$VLAN; do echo 0 >/proc/sys/net/ipv4/conf/\$i/rp_filter; done"
}

WAYS="native:nic0 generic:nic0 off:nic0"
if vlan_up; then
	WAYS+=" generic:nic0,nic0.$VLAN off:nic0,nic0.$VLAN"
else
	VLAN=
	say "this kernel has no VLANs"
fi

N=$(rounds 8 3)

# For each line of its input, "ADDRESS WHAT": so many connections, by which a short line goes there and back, then a long one, in packets
# that have WHAT. A line: what has answered, and how often.
cat >"$TMP/odd.py" <<-'END'
	import collections, socket, sys
	ODD = {
	    "nothing": (),
	    "options": ((socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([1, 1, 1, 0])),),
	    "destination-options": ((socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0])),),
	    "hop-by-hop-options": ((socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0])),),
	}
	def answered(s, address):
	    s.connect((address, 9000))
	    for line in ("hello", "x" * 20000):
	        s.sendall(line.encode() + b"\n")
	        got = b""
	        while not got.endswith(b"\n"):
	            more = s.recv(65536)
	            if not more:
	                return "ended"
	            got += more
	        name, _, back = got.decode().rstrip("\n").partition(" ")
	        if back != line:
	            return "another line"
	    return name
	for line in sys.stdin:
	    address, what = line.split()
	    found = collections.Counter()
	    for _ in range(int(sys.argv[1])):
	        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as s:
	            s.settimeout(float(sys.argv[2]))
	            for option in ODD[what]:
	                s.setsockopt(*option)
	            try:
	                found[answered(s, address)] += 1
	            except OSError as e:
	                found[str(e)] += 1
	    print(*(f"{count} {name}" for name, count in sorted(found.items())), sep=", ")
END

forwarded() { stat_of weft.xdp.forwarded.packets; }

# calls FROM WAY: by the load balancers whose numbers begin with WAY
calls() {
	local family what number
	for family in 4 6; do
		for what in nothing $(odd_of $family); do
			for number in 10 11; do echo "$(lb $family "$2$number") $what"; done
		done
	done | in_ns "$1" /usr/bin/python3 "$TMP/odd.py" "$N" $((3 * SLOWER)) >"$TMP/answers"
}
odd_of() { if [ "$1" = 4 ]; then echo options; else echo "destination-options hop-by-hop-options"; fi; }

# served FROM WAY
served() {
	local family what name got text="$mode at $NICS, $1${2:+, by a VLAN}"
	calls "$1" "$2"
	for family in 4 6; do
		for what in nothing $(odd_of $family); do
			for name in far one; do
				read -r got <&3
				row "$text, IPv$family: with $what, from $name" "$got" "$N $name"
			done
		done
	done 3<"$TMP/answers"
}

for way in $WAYS; do
	mode=${way%:*}
	NICS=${way#*:}
	weftd_start --xdp "$mode"
	[ "$way" != native:nic0 ] || rules | apply
	before=$(forwarded)
	served other ""
	[ "$mode" = off ] || row "$mode at $NICS: some are forwarded by XDP" $(($(forwarded) > before)) 1
	[ -z "$VLAN" ] || for from in other tagged; do served $from 1; done
	weftd_stop
done
rows_end
