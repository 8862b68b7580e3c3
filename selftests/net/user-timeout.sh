#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# connectTimeout bounds connect() to the tenth of a second, and leaves nothing behind: an open connection has the
# TCP_USER_TIMEOUT that its application has set, before or after connect(), however many tries it took.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add mute 2
pod_add one 3
echo_start mute 9000 mute
echo_start one 9000 one
weftd_start
{
	rules_pods
	rules_service mute 10
	rules_subsets mute "" "connectionPool: {tcp: {connectTimeout: 200ms}}"
	rules_service one 11
	rules_service slow 12 9000 app=mute
	rules_service full 13 9000 app=one
	rules_subsets full "" "connectionPool: {tcp: {maxConnections: 1}}"
} | apply

cat >"$TMP/client.py" <<'END'
import errno, select, socket, subprocess, sys, time

TIMEOUT, FAMILY = 18, int(sys.argv[1])  # TCP_USER_TIMEOUT


def to(number):
    return ("10.96.0.%d" if FAMILY == 4 else "fd00:96::%d") % number, 9000


def tcp():
    return socket.socket(socket.AF_INET if FAMILY == 4 else socket.AF_INET6, socket.SOCK_STREAM)


def timeout(s):
    return s.getsockopt(socket.IPPROTO_TCP, TIMEOUT)


held = tcp()
held.connect(to(13))

s = tcp()
start = time.monotonic()
r = s.connect_ex(to(10))
print("mute:", errno.errorcode[r], int((time.monotonic() - start) * 1000), "ms")
s.connect(to(11))
print("after it:", timeout(s))

s = tcp()
s.setsockopt(socket.IPPROTO_TCP, TIMEOUT, 40000)
print("refused:", errno.errorcode[s.connect_ex(to(13))], timeout(s))
s.connect_ex(to(10))
s.connect(to(11))
print("own:", timeout(s))

# The first SYN finds no listener; the second is answered.
s, other = tcp(), tcp()
s.setblocking(False)
other.setblocking(False)
s.connect_ex(to(12))
other.connect_ex(to(12))
s.setsockopt(socket.IPPROTO_TCP, TIMEOUT, 7000)
print("ready", flush=True)
while len(select.select([], [s, other], [], 5)[1]) < 2:
    pass
print("set meanwhile:", s.connect_ex(to(12)) in (0, errno.EISCONN), timeout(s), timeout(other))
END

for family in 4 6; do
	there=$(addr $family client)
	ip -n "$(netns mute)" route add blackhole "$there"
	in_ns client timeout 30 python3 "$TMP/client.py" $family >"$TMP/said" &
	pid=$!
	wait_until 10 grep -q ready "$TMP/said"
	ip -n "$(netns mute)" route del blackhole "$there"
	wait "$pid"
	expect_match "IPv$family: connectTimeout of 200 ms" "$(<"$TMP/said")" "^mute: ETIMEDOUT"
	took=$(awk '$1 == "mute:" { print $3 }' "$TMP/said")
	expect_took "IPv$family: it took" "$took" 150 700
	expect_match "IPv$family: nothing is left of it for the next try" "$(<"$TMP/said")" "^after it: 0$"
	expect_match "IPv$family: nor after a refusal" "$(<"$TMP/said")" "^refused: ECONNREFUSED 40000$"
	expect_match "IPv$family: the application's own comes back" "$(<"$TMP/said")" "^own: 40000$"
	expect_match "IPv$family: one that it sets meanwhile stays" "$(<"$TMP/said")" "^set meanwhile: True 7000 0$"
done
