#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A socket that is bound to a device (SO_BINDTODEVICE), before its connect() or after it, is steered as any other, and ended as any
# other; so is one of IPv6 that speaks IPv4.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2
echo_start one 9000 one
weftd_start
{
	rules_pods
	rules_service one 10
	rules_subsets one "" "connectionPool: {tcp: {idleTimeout: 1s}}"
} | apply

client='
import errno, select, socket, sys
address, seconds, bind, mapped = sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4] == "mapped"
s = socket.socket(socket.AF_INET6 if ":" in address or mapped else socket.AF_INET, socket.SOCK_STREAM)
device = lambda when: bind == when and s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
device("before")
s.connect(("::ffff:" + address if mapped else address, 9000))
device("after")
s.sendall(b"hello\n")
print(s.recv(100).decode().strip(), end=" ")
select.select([s], [], [], seconds)
try:
    s.settimeout(0)
    print("read", s.recv(1))
except OSError as e:
    print(errno.errorcode[e.errno])
'
count=0
# ended FAMILY WHEN MAPPED: answered, then ended by idleTimeout
ended() {
	expect_match "IPv$1, bound $2, $3: answered, then ended by idleTimeout" \
		"$(in_ns client python3 -c "$client" "$(vip "$1" 10)" $((5 * SLOWER)) "$2" "$3")" "^one hello ECONN(ABORTED|RESET)$"
	wait_until 5 no_conns
	count=$((count + 1))
}
for when in before after; do
	ended 4 $when plain
	ended 6 $when plain
	ended 4 $when mapped
done
ended 4 never mapped
expect_eq "counted once each" "$(stat_of weft.reason.timed_out)" $count
