#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A full connection table refuses new connections, says so, and leaves the open ones alone.
. "${0%/*}/lib.sh"

ROOM=64

node_up
pod_add client 1
pod_add one 2 app=echo
echo_start one 9000 one
weftd_start --max-connections $ROOM
{
	rules_pods
	rules_service echo 10
} | apply
callers outside # the connection table is for what no hook has seen

# The entries of connections that have ended may take some of the room for some seconds.
nothing_kept() { [ "$(map_dump conns | jq length)" = 0 ]; }

for family in 4 6; do
	before=$(stat_of weft.reason.table_full)
	load_start client "$TMP/held" "$(vip $family 10)" 9000 -n $ROOM -c $ROOM -s hello -e hold --every 100 --ready "$TMP/ready"
	wait_until 10 test -e "$TMP/ready"
	rm "$TMP/ready"
	got=$(load client "$(vip $family 10)" 9000 -n 100 -c 10 -s hello)
	expect_eq "IPv$family: refused when full" "$got" '{"ECONNREFUSED":100}'
	expect_eq "IPv$family: counted" $(($(stat_of weft.reason.table_full) - before)) 100
	kill -TERM "$STARTED"
	wait "$STARTED"
	expect_eq "IPv$family: those that were open" "$(<"$TMP/held")" "{\"one\":$ROOM}"
	wait_until 60 no_conns
	expect_eq "IPv$family: and there is room again" "$(load client "$(vip $family 10)" 9000 -n 20 -c 20 -s hello)" '{"one":20}'
	wait_until 60 no_conns
	wait_until 60 nothing_kept
done
