#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# MPTCP sockets are steered, hold a place, and give it back, though their connect() fails before it has begun.
. "${0%/*}/lib.sh"

[ "$(cat /proc/sys/net/mptcp/enabled 2>/dev/null)" = 1 ] || {
	say "ok: this kernel has no MPTCP"
	exit 0
}

node_up
pod_add client 1
pod_add one 2
pod_add far 3
echo_start one 9000 one
ip_in client <<-END
route add unreachable $(addr 4 far)
route add unreachable $(addr 6 far)
END
sysctl_in client net/mptcp/enabled=1
weftd_start
{
	rules_pods
	rules_service one 10
	rules_service far 11
} | apply

cat >"$TMP/client.py" <<'END'
import socket, sys


def mptcp(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM, 262)


failed = 0
for i in range(20):
    with mptcp(sys.argv[2]) as s:
        failed += s.connect_ex((sys.argv[2], 9000)) != 0
with mptcp(sys.argv[1]) as s:
    s.connect((sys.argv[1], 9000))
    s.sendall(b"hello\n")
    print(failed, s.recv(100).decode().strip(), s.getpeername()[0], flush=True)
    sys.stdin.read()
END

for family in 4 6; do
	mkfifo "$TMP/end$family"
	(in_ns_exec client python3 "$TMP/client.py" "$(vip $family 10)" "$(vip $family 11)") >"$TMP/said" <"$TMP/end$family" &
	pid=$!
	exec 9>"$TMP/end$family"
	wait_until 10 grep -q hello "$TMP/said"
	expect_eq "IPv$family: failed, then answered by the one called" "$(<"$TMP/said")" "20 one hello $(vip $family 10)"
	expect_eq "IPv$family: it holds a place" "$(cluster_stat '' upstream_cx_active one)" 1
	exec 9>&-
	wait "$pid"
	wait_until 5 eval '[ "$(cluster_stat "" upstream_cx_active one)" = 0 ]'
	wait_until 5 eval '[ "$(cluster_stat "" upstream_cx_active far)" = 0 ]'
	say "ok: IPv$family: no place is lost"
done
