#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod is gone without a word: the other side learns it at its next packet, and nothing stays active.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
echo_start one 9000 one
weftd_start

# vanish POD [routes]: no FIN and no RST gets out; with `routes`, the node's routes to it go before
vanish() {
	if [ "$2" = routes ]; then
		in_ns node ip route flush dev "veth${NUMBER[$1]}"
		in_ns node ip -6 route flush dev "veth${NUMBER[$1]}"
		sleep 0.3
	fi
	ip -n "$(netns "$1")" link set eth0 down
	pod_del "$1"
}

# Reads from both endpoints, until one says that it is gone.
waits='
import errno, select, socket, sys, time
open = []
while {"one", "two"} - {who for who, s in open}:
    s = socket.create_connection((sys.argv[1], 9000))
    s.sendall(b"hello\n")
    open.append((s.recv(100).split()[0].decode(), s))
print("talking", flush=True)
for s in select.select([s for who, s in open], [], [], 10)[0]:
    try:
        print("read", s.recv(1))
    except OSError as e:
        print([who for who, other in open if other is s][0], errno.errorcode[e.errno])
'

number=10
for how in "4 alone" "6 alone" "4 routes" "6 routes"; do
	family=${how% *}
	routes=${how#* }
	number=$((number + 10))
	pod_add two$number $number app=echo,version=v2
	echo_start two$number 9000 two
	pod_add guest$number $((number + 1))
	{
		rules_pods
		rules_service echo 10
		rules_subsets echo "v1 v2"
		rules_weights echo v1=50 v2=50
	} | apply

	# The server.
	load_start client "$TMP/held" "$(vip $family 10)" 9000 -n 40 -c 40 -s hello -e hold --every 200 --ready "$TMP/ready"
	wait_until 10 test -e "$TMP/ready"
	rm "$TMP/ready"
	: >"$TMP/waits" # at once: it must not be taken for what an earlier one has said
	in_ns client python3 -c "$waits" "$(vip $family 10)" >"$TMP/waits" &
	waits_pid=$!
	wait_until 10 grep -q talking "$TMP/waits"
	vanish two$number "$routes"
	sleep 1
	kill -TERM "$STARTED"
	wait "$STARTED"
	got=$(<"$TMP/held")
	expect_between "IPv$how: the server is gone: its connections are reset" "$(count lost "$got")" 19 21
	expect_eq "IPv$how: the others are not" "$(count one "$got")" $((40 - $(count lost "$got")))
	wait_until 2 eval '[ "$(cluster_stat v2 upstream_cx_active)" = 0 ]'
	wait "$waits_pid"
	expect_match "IPv$how: one that only reads learns it, too" "$(<"$TMP/waits")" "^two ECONN(ABORTED|RESET)$"

	# The client.
	load_start guest$number "$TMP/guest" "$(vip $family 10)" 9000 -n 40 -c 40 -s hello -e hold --ready "$TMP/ready" -t 1000
	wait_until 10 test -e "$TMP/ready"
	rm "$TMP/ready"
	expect_between "IPv$how: open connections of the client" "$(cluster_stat v1 upstream_cx_active)" 19 41
	vanish guest$number "$routes"
	wait_until 10 eval '[ "$(cluster_stat v1 upstream_cx_active)" = 0 ]'
	say "ok: IPv$how: the client is gone: nothing is active"

	# The client again, whose last words are never answered; the node takes its interface away.
	pod_add mourned$number $((number + 2))
	rules_pods | apply
	load_start mourned$number "$TMP/mourned" "$(vip $family 10)" 9000 -n 40 -c 40 -s hello -e hold --ready "$TMP/ready" -t 1000
	wait_until 10 test -e "$TMP/ready"
	rm "$TMP/ready"
	ip -n "$(netns one)" route add blackhole "$(addr $family mourned$number)"
	open=$(cluster_stat v1 upstream_cx_active)
	expect_between "IPv$how: open connections of another" "$open" 1 41
	ns_kill mourned$number
	sleep 0.3
	expect_eq "IPv$how: its end is not acknowledged" "$(cluster_stat v1 upstream_cx_active)" "$open"
	ip -n "$(netns node)" link del veth$((number + 2))
	pod_del mourned$number
	wait_until 5 eval '[ "$(cluster_stat v1 upstream_cx_active)" = 0 ]'
	say "ok: IPv$how: it is gone: nothing is active"
	for name in two guest mourned; do
		weft delete pod $name$number >/dev/null
	done
	wait_until 60 no_conns
done
