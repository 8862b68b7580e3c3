#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Requests get through weft-proxy whatever others have set on the node: SYN cookies, as a flood of SYNs brings them about; the check
# of senders, with the mark looked at, as WireGuard has it; marks that are copied to answers; IPv6 that is
# switched off while weftd runs, or before it starts.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo
weftd_start
{
	rules_pods
	PROTOCOL=http rules_service web 12 80:8080 app=echo
	rules_subsets web "" "connectionPool: {http: {maxRetries: 3}}"
} | apply
http_echo_start one 8080 one

# answered WITH
answered() {
	local family result
	for family in 4 6; do
		result=$(http_load client "$(vip $family 12)" 80 -n 10 --close)
		expect_eq "IPv$family: with $1" "$(json '.statuses."200"' "$result")" 10
	done
}

set_in_node() { in_ns node sysctl -q -w "$@"; }

answered "what is usual"
set_in_node net.ipv4.tcp_syncookies=2
answered "SYN cookies"
expect_match "they were used" "$(in_ns node cat /proc/net/netstat | awk '
	/^TcpExt/ && !n { n = split($0, name) }
	/^TcpExt/ { for (i = 1; i <= n; i++) if (name[i] == "SyncookiesRecv") value = $i }
	END { print value }')" '^20$'
set_in_node net.ipv4.tcp_syncookies=1
set_in_node net.ipv4.conf.all.rp_filter=1
answered "senders that are checked"
set_in_node net.ipv4.conf.all.src_valid_mark=1
answered "their marks, too"
set_in_node net.ipv4.tcp_fwmark_accept=1 net.ipv4.fwmark_reflect=1 net.ipv6.fwmark_reflect=1
answered "marks that are copied"

# ---- IPv6 off, on, and off before the start ----

works_by_ipv4() {
	local result
	weft status --wait --timeout $((10 * SLOWER)) >/dev/null || fail "$1: weft status: $(weft status | head -3)"
	result=$(http_load client "$(vip 4 12)" 80 -n 10 --close)
	expect_eq "IPv4: $1" "$(json '.statuses."200"' "$result")" 10
}
routed() { [ -n "$(in_ns node ip -6 route show table 5757)" ]; }

set_in_node net.ipv6.conf.all.disable_ipv6=1
works_by_ipv4 "without IPv6"
set_in_node net.ipv6.conf.all.disable_ipv6=0
wait_until 10 routed
works_by_ipv4 "with IPv6 again"
set_in_node net.ipv6.conf.lo.disable_ipv6=1
not_ready() { ! weft status >/dev/null; }
wait_until 10 not_ready # what the pods send by IPv6 has no way to weft-proxy
set_in_node net.ipv6.conf.lo.disable_ipv6=0
works_by_ipv4 "with IPv6 on lo again"
set_in_node net.ipv6.conf.all.disable_ipv6=1
weftd_stop
weftd_start
works_by_ipv4 "after a start without IPv6"
