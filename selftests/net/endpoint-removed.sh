#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An endpoint that leaves its service gets no new connections and keeps the open ones; one that is deleted does not keep
# them; one that comes is used.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo
pod_add two 3 app=echo
echo_start one 9000 one
echo_start two 9000 two
weftd_start

rules() {
	{
		rules_pods
		rules_service echo 10
	} | apply
}

# hold FILE: 20 connections that keep talking
hold() {
	load_start client "$1" "$(vip $family 10)" 9000 -n 20 -c 20 -s hello -e hold --every 100 --ready "$1.ready"
	wait_until 10 test -e "$1.ready"
	rm "$1.ready"
}

answers() { load client "$(vip $family 10)" 9000 -n 40 -c 4 -s hello | jq -c keys; }

for family in 4 6; do
	LABELS[two]=app=echo
	rules
	expect_eq "IPv$family: both are used" "$(answers)" '["one","two"]'

	hold "$TMP/held"
	LABELS[two]=app=resting
	rules
	expect_eq "IPv$family: one that left the service is not called any more" "$(answers)" '["one"]'
	sleep 0.5
	kill -TERM "$STARTED"
	wait "$STARTED"
	expect_eq "IPv$family: and keeps its open connections" "$(jq -c 'keys, add' "$TMP/held" | paste -sd' ')" '["one","two"] 20'

	LABELS[two]=app=echo
	rules
	expect_eq "IPv$family: it is used when it comes back" "$(answers)" '["one","two"]'

	number=$((family + 10))
	pod_add three$family $number app=echo
	echo_start three$family 9000 three
	rules
	expect_eq "IPv$family: so is a new one" "$(answers)" '["one","three","two"]'

	hold "$TMP/held"
	pod_del three$family
	weft delete pod three$family >/dev/null
	expect_eq "IPv$family: a deleted one is not called any more" "$(answers)" '["one","two"]'
	sleep 0.5
	kill -TERM "$STARTED"
	wait "$STARTED"
	expect_eq "IPv$family: and its connections are over" "$(jq -c keys "$TMP/held")" '["lost","one","two"]'
	wait_until 60 no_conns
done

# More than one run of the sweep can tell of at a time (the ring `events`).
N=$(rounds 4500 300)
pod_add many 9 app=many
echo_start many 9000 many
{
	rules_pods
	rules_service many 20
} | apply
load_start client "$TMP/held" "$(vip 4 20)" 9000 -n "$N" -c "$N" -s hello -e hold --every 1000000 --ready "$TMP/held.ready"
wait_until 60 test -e "$TMP/held.ready"
before=$(stat_of weft.reason.pod_gone)
in_ns many ip link set eth0 down # its kernel can't tell the clients
pod_del many
weft delete pod many >/dev/null
wait_until 10 no_conns
wait "$STARTED" # it ends with its last connection
expect_eq "all connections of a deleted one are over, however many" "$(jq -c . "$TMP/held")" "{\"lost\":$N}"
expect_eq "and counted once each" "$(($(stat_of weft.reason.pod_gone) - before))" "$N"
