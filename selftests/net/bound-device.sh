#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A socket that is bound to a device (SO_BINDTODEVICE) is steered as any other, and ended as any other.
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
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
s.connect((sys.argv[1], 9000))
s.sendall(b"hello\n")
print(s.recv(100).decode().strip(), end=" ")
select.select([s], [], [], float(sys.argv[2]))
try:
    s.settimeout(0)
    print("read", s.recv(1))
except OSError as e:
    print(errno.errorcode[e.errno])
'
for family in 4 6; do
	expect_match "IPv$family: answered, then ended by idleTimeout" \
		"$(in_ns client python3 -c "$client" "$(vip $family 10)" $((5 * SLOWER)))" "^one hello ECONN(ABORTED|RESET)$"
	wait_until 5 no_conns
done
expect_eq "counted once each" "$(stat_of weft.reason.timed_out)" 2
