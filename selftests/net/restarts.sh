#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod that comes late, a daemon that is stopped, started and detached: steering goes on, and in the end nothing is left.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo
echo_start one 9000 one
weftd_start
rules() {
	{
		rules_pods
		rules_service echo 10
	} | apply
}
rules

for family in 4 6; do
	pod_add late$family 2$family
	rules
	expect_eq "IPv$family: a client that came later" "$(load late$family "$(vip $family 10)" 9000 -n 10 -s hello)" '{"one":10}'
	pod_del late$family
	rules

	load_start client "$TMP/held" "$(vip $family 10)" 9000 -n 5 -c 5 -s hello -e hold --every 100 --ready "$TMP/ready"
	wait_until 5 test -e "$TMP/ready"
	rm "$TMP/ready"
	weftd_stop
	expect_eq "IPv$family: steering goes on without a daemon" "$(load client "$(vip $family 10)" 9000 -n 10 -s hello)" '{"one":10}'
	weftd_start
	expect_eq "IPv$family: the rules are still there" "$(load client "$(vip $family 10)" 9000 -n 10 -s hello)" '{"one":10}'
	expect_match "IPv$family: and known" "$(weft get svc echo)" echo
	kill -TERM "$STARTED"
	wait "$STARTED"
	expect_eq "IPv$family: connections go on" "$(<"$TMP/held")" '{"one":5}'
done
weftd_stop
programs_note
in_ns node "$OUT/weftd" --detach --cgroup "$CGROUP" --state-dir "$TMP/state" --run-dir "$TMP/run" --bpffs "$TMP/bpf/weft" --nic nic0
expect_eq "after --detach nothing is pinned" "$(pinned)" ""
programs_gone
say "ok: and nothing attached"
