#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Thousands of connections begin within a moment, faster than the kernel finds memory for them in the background: none is
# refused.
. "${0%/*}/lib.sh"

COUNT=12000

node_up
pod_add client 1
pod_add one 2 app=echo
echo_start one 9000 one
weftd_start
{
	rules_pods
	rules_service echo 10
} | apply
# the client's kernel knows nothing of them, and would reset them
for tables in iptables ip6tables; do
	in_ns client $tables -A OUTPUT -p tcp --tcp-flags RST RST -j DROP
done

# burst FAMILY: a SYN from each of COUNT ports, as fast as one process can
burst() {
	outside in_ns client python3 - "$(addr "$1" client)" "$(vip "$1" 10)" $COUNT <<-'END'
	import socket, struct, sys

	source, to, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
	family = socket.AF_INET6 if ":" in to else socket.AF_INET
	pair = socket.inet_pton(family, source) + socket.inet_pton(family, to)

	def checksum(data):
	    n = sum(struct.unpack("!%dH" % (len(data) // 2), data))
	    n = (n >> 16) + (n & 0xFFFF)
	    return ~(n + (n >> 16)) & 0xFFFF

	def packet(port):
	    tcp = struct.pack("!HHIIBBHHH", port, 9000, 1000, 0, 5 << 4, 2, 65535, 0, 0)
	    tcp = tcp[:16] + struct.pack("!H", checksum(pair + struct.pack("!HH", 6, len(tcp)) + tcp)) + tcp[18:]
	    if family == socket.AF_INET6:
	        return struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + pair + tcp
	    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + pair + tcp

	raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
	for one in [packet(2000 + i) for i in range(count)]:
	    raw.sendto(one, (to, 0))
	END
}

for family in 4 6; do
	before=$(cluster_stat '' upstream_cx_total)
	burst $family
	expect_eq "IPv$family: connections" $(($(cluster_stat '' upstream_cx_total) - before)) $COUNT
	expect_eq "IPv$family: refused for lack of room" "$(stat_of weft.reason.table_full)" 0
done
