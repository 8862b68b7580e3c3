#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A process of the node itself, in the node's own network namespace, is not steered though the cgroup holds it, too: its connections
# are kube-proxy's. None of them is counted, and none takes a place of a limit.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo
pod_add two 3
echo_start one 9000 one
echo_start two 9000 two
weftd_start
{
	rules_pods
	rules_service echo 10
	rules_subsets echo "" "connectionPool: {tcp: {maxConnections: 1}}"
} | apply

# Address translation for the node's own processes only: to another endpoint than weft's rules, so that the test can tell.
for family in 4 6; do
	tables=iptables
	[ $family = 4 ] || tables=ip6tables
	in_ns node $tables -w -t nat -A OUTPUT -d "$(vip $family 10)" -p tcp --dport 9000 \
		-j DNAT --to-destination "$(hostport "$(addr $family two)" 9000)"
done

# counts: all that weft counts, but for what it says of itself
counts() { weft stats | grep -E '^(cluster|endpoint|weft\.reason)\.' | sort; }

for way in $(ways); do
	callers "$way"
	for family in 4 6; do
		what="IPv$family, callers $WAY"
		before=$(counts)
		[ -n "$before" ] || fail "nothing is counted at all"
		load_start node "$TMP/held" "$(vip $family 10)" 9000 -n 5 -c 5 -s hello -e hold --every 100 --ready "$TMP/ready"
		wait_until 5 test -e "$TMP/ready"
		rm "$TMP/ready"
		expect_eq "$what: what weft counts otherwise than before" "$(diff <(echo "$before") <(counts))" ""
		expect_eq "$what: connections that it knows" "$(conns_left)" 0
		expect_eq "$what: the only place is a pod's" "$(load client "$(vip $family 10)" 9000 -n 1 -s hello)" '{"one":1}'
		kill -TERM "$STARTED"
		wait "$STARTED"
		expect_eq "$what: a process of the node" "$(<"$TMP/held")" '{"two":5}'
		wait_until 10 no_conns
	done
done
