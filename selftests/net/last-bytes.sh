#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The endpoint has sent FIN and still reads; the client sends its last bytes and FIN while nothing gets through to it. TCP sends
# them again, seconds later, with nothing in between: they arrive by a Service as they do directly.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2
PORTS=9004,9006,9014,9016,9024,9026,9034,9036 # 90 for a way of callers; 4 or 6
counts=$(mktemp "$TMP/count.XXXXXX")
start_in one "$APPS/tcp-echo" --count $PORTS one >"$counts"
wait_until 5 grep -q listening "$counts"
weftd_start
{
	rules_pods
	rules_service one 10 $PORTS
	rules_door 31404 one 9024 31406 one 9026
} | apply

# Between the first time and the second lies more than a closed connection is kept for.
sysctl_in client net/ipv4/tcp_early_retrans=0
sysctl_in world net/ipv4/tcp_early_retrans=0
ip_in client <<END
route change default via 169.254.1.1 dev eth0 rto_min 7s
route change ::/0 via fe80::1 dev eth0 rto_min 7s
END
ip_in world <<END
route add 10.1.0.1/32 dev eth0 rto_min 7s
route add fd00:1::1/128 dev eth0 rto_min 7s
END

mkfifo "$TMP/go"
exec 7<>"$TMP/go"
# last_bytes NAME FROM ADDRESS PORT
last_bytes() {
	(in_ns_exec "$2" "$APPS/connect-kinds" late-bytes "$3" "$4" <"$TMP/go" >"$TMP/said.$1" 7>&-) &
	clients+=($!)
}

half() { [ "$(cat "$TMP"/said.* | grep -c half)" = "$1" ]; }

for family in 4 6; do
	for way in $(ways); do
		callers "$way"
		last_bytes $way$family client "$(vip $family 10)" "$([ "$way" = inside ] && echo 900$family || echo 901$family)"
	done
	last_bytes door$family world "$(addr $family node)" 3140$family
	last_bytes direct$family client "$(addr $family one)" 903$family
done
wait_until 10 half ${#clients[@]}
# What an endpoint has got is acknowledged before it can't be reached any more.
sleep 0.2
for tables in iptables ip6tables; do
	in_ns one $tables -w -I INPUT -p tcp -j DROP
done
exec 7>&-
wait "${clients[@]}"
sleep 1
for tables in iptables ip6tables; do
	in_ns one $tables -w -F INPUT
done

arrived() { [ "$(grep -c '^90' "$counts")" = ${#clients[@]} ]; }
for _ in $(seq $((90 * SLOWER))); do
	arrived && break
	sleep 0.1
done
got() { grep "^$1 " "$counts" || true; }
for family in 4 6; do
	for way in $(ways); do
		port=$([ "$way" = inside ] && echo 900$family || echo 901$family)
		row "IPv$family, callers $way, by the service" "$(got $port)" "$port 1000"
	done
	row "IPv$family, from outside, by the Gateway" "$(got 902$family)" "902$family 1000"
	row "IPv$family, directly" "$(got 903$family)" "903$family 1000"
done
callers inside
for port in ${PORTS//,/ }; do
	none() { [ "$(cluster_stat '' upstream_cx_active one "$port")" = 0 ]; }
	wait_until 10 none
done
rows_end
