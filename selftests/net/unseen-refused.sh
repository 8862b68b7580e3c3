#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# weftd --unseen refuse: a connection to a Service from where weft does not see the connect() is refused at once. Those that it sees,
# those from outside of the cluster, and connections past every Service go on.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo
echo_start one 9000 one
weftd_start --unseen refuse
{
	rules_pods
	rules_service echo 10
	rules_door 31400 echo 9000
} | apply

taken() { cluster_stat '' upstream_cx_total; }

for family in 4 6; do
	callers inside
	load_start client "$TMP/held" "$(vip $family 10)" 9000 -n 5 -c 5 -s hello -e hold --every 100 --ready "$TMP/ready"
	wait_until 5 test -e "$TMP/ready"
	rm "$TMP/ready"

	callers outside
	before=$(stat_of weft.reason.unseen)
	places=$(taken)
	start=$(milliseconds)
	expect_eq "IPv$family: unseen" "$(load client "$(vip $family 10)" 9000 -n 10 -c 5 -s hello -t 5000)" '{"ECONNREFUSED":10}'
	expect_took "IPv$family: at once" $(($(milliseconds) - start)) 0 900 # a second SYN would be later
	expect_eq "IPv$family: counted" $(($(stat_of weft.reason.unseen) - before)) 10
	expect_eq "IPv$family: no place taken" "$(taken)" "$places"
	expect_eq "IPv$family: directly" "$(load client "$(addr $family one)" 9000 -n 10 -c 5 -s hello)" '{"one":10}'
	expect_eq "IPv$family: by the Gateway" "$(load world "$(addr $family node)" 31400 -n 10 -c 5 -s hello)" '{"one":10}'

	callers inside
	expect_eq "IPv$family: seen" "$(load client "$(vip $family 10)" 9000 -n 10 -c 5 -s hello)" '{"one":10}'
	kill -TERM "$STARTED"
	wait "$STARTED"
	expect_eq "IPv$family: those that were open noticed nothing" "$(<"$TMP/held")" '{"one":5}'
	expect_eq "IPv$family: no more counted" $(($(stat_of weft.reason.unseen) - before)) 10
done
wait_until 30 no_conns
