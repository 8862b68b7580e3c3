#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A client calls an endpoint by its Service and by its own address at the same time. Linux uses one local port for several
# destinations, so both may come to the endpoint from one port: all of them work, in whichever order they come.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo
pod_add two 3 app=twin
echo_start one 9000 one
weftd_start
{
	rules_pods
	rules_service echo 10
	rules_service alias 11 9000 app=echo
	rules_door 31400 echo 9000 31401 alias 9000
} | apply

# few_ports: as many as two times 150 connections need, and none that is in TIME_WAIT. Some of those by one way and by the other
# get the same.
ports=20000
few_ports() {
	ports=$((ports + 400))
	sysctl_in client net/ipv4/ip_local_port_range="$ports $((ports + 399))"
}

# hold NAME FROM ADDRESS PORT OPTION...: connections that go on talking
hold() {
	load_start "$2" "$TMP/$1" "$3" "$4" -s "$1" -e hold --every 100 -t $((2000 * SLOWER)) --ready "$TMP/$1.ready" "${@:5}"
	held+=("$STARTED")
}
are_open() {
	wait_until 10 test -e "$TMP/$1.ready"
	rm "$TMP/$1.ready"
}

# told WHAT COUNT NAME...: ends them and says what became of each
told() {
	local what=$1 count=$2 name
	shift 2
	sleep 0.2
	kill -TERM "${held[@]}"
	wait "${held[@]}"
	held=()
	for name; do
		row "$what: $name" "$(<"$TMP/$name")" "{\"one\":$count}"
	done
}

# both WHAT COUNT OPTION... -- NAME FROM ADDRESS PORT -- ...: one set of connections after the other, all held; with
# AT_ONCE=yes the next does not wait until the one before is open
both() {
	local what=$1 count=$2 options=() names=() name
	shift 2
	few_ports
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	while [ $# -gt 0 ]; do
		hold "$2" "$3" "$4" "$5" -n "$count" -c "$count" "${options[@]}"
		[ -n "${AT_ONCE:-}" ] || are_open "$2"
		names+=("$2")
		shift 5
	done
	[ -z "${AT_ONCE:-}" ] || for name in "${names[@]}"; do are_open "$name"; done
	told "$what" "$count" "${names[@]}"
}

for family in 4 6; do
	service=$(vip $family 10)
	alias=$(vip $family 11)
	one=$(addr $family one)
	node=$(addr $family node)
	for way in $(ways); do
		callers "$way"
		what="IPv$family, callers $WAY"
		both "$what" 150 -- by-service client "$service" 9000 -- direct client "$one" 9000
		both "$what" 150 -- direct client "$one" 9000 -- by-service client "$service" 9000
		both "$what" 150 -- by-service client "$service" 9000 -- by-alias client "$alias" 9000
		# Ports that the client itself has chosen, as it may towards different addresses.
		both "$what, bound ports" 20 --source-port 5000 -- by-service client "$service" 9000 -- by-alias client "$alias" 9000
		both "$what, bound ports" 20 --source-port 6000 -- direct client "$one" 9000 -- by-service client "$service" 9000
		AT_ONCE=yes both "$what, bound ports, at once" 50 --source-port 8000 -- by-service client "$service" 9000 -- by-alias client "$alias" 9000
		# A steered socket is the direct one, for the client's kernel: it says EADDRNOTAVAIL.
		[ "$WAY" = inside ] ||
			both "$what, bound ports" 20 --source-port 7000 -- by-service client "$service" 9000 -- direct client "$one" 9000
	done

	# From outside: by two Gateways, and the endpoint itself.
	callers inside
	both "IPv$family, from outside, bound ports" 20 --source-port 5000 \
		-- by-door world "$node" 31400 -- by-other-door world "$node" 31401 -- direct world "$one" 9000
	both "IPv$family, from outside, bound ports" 20 --source-port 6000 \
		-- direct world "$one" 9000 -- by-door world "$node" 31400 -- by-other-door world "$node" 31401
done
wait_until 30 no_conns
row "places afterwards" "$(cluster_stat '' upstream_cx_active),$(cluster_stat '' upstream_cx_active alias)" 0,0
rows_end
