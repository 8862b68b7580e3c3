#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Both sides send FIN before either has seen the other's; one side only; RST from either: nothing stays.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo
weftd_start
{
	rules_pods
	rules_service echo 10
	rules_subsets echo "" "connectionPool: {tcp: {maxConnections: 2}}"
} | apply

active() { cluster_stat '' upstream_cx_active; }
none_active() { [ "$(active)" = 0 ]; }
# Nothing is on the way any more: the answer has come, and been acknowledged.
answered() { in_ns one ss -Htni state established | grep -q 'bytes_acked:14'; }
open_to_answer="syn synack ack data:10 answer:14"

for family in 4 6; do
	to=$(vip $family 10)
	for port in 30001 30002 30003 30004; do
		echo_start one 9000 one
		server=$STARTED
		# The server ends its connections when it is killed: with FIN, as nothing is unread.
		(
			wait_until 10 answered
			kill -9 "$server"
		) &
		# shellcheck disable=SC2086 # words are meant
		raw client "$to" $port 9000 $open_to_answer wantfin finold wantack ack || fail "IPv$family: simultaneous close"
		wait_until 5 none_active
	done
	say "ok: IPv$family: simultaneous close"

	echo_start one 9000 one
	server=$STARTED
	# shellcheck disable=SC2086 # words are meant
	raw client "$to" 30010 9000 $open_to_answer fin wantfin wantack ack || fail "IPv$family: client first"
	wait_until 5 none_active
	say "ok: IPv$family: the client closes first"
	# shellcheck disable=SC2086 # words are meant
	raw client "$to" 30011 9000 $open_to_answer rst || fail "IPv$family: RST by the client"
	wait_until 5 none_active
	say "ok: IPv$family: RST by the client"
	kill -9 "$server"
	wait "$server" 2>/dev/null || true
	for _ in 1 2 3 4; do
		expect_eq "IPv$family: RST by the endpoint, which does not listen" "$(load client "$to" 9000)" '{"ECONNREFUSED":1}'
	done
	wait_until 5 none_active
	wait_until 60 no_conns
	expect_eq "IPv$family: connections that failed are counted" "$(cluster_stat '' upstream_cx_connect_fail)" $((family == 4 ? 4 : 8))
done
