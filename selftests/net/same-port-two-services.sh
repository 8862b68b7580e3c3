#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One client port is used towards two services at once, and both land on the same endpoint.
. "${0%/*}/lib.sh"

WEFT_CALLERS=outside # a socket that is steered has its port from its own kernel

node_up
pod_add client 1
pod_add one 2 app=echo
echo_start one 9000 one
weftd_start
{
	rules_pods
	rules_service echo 10
	rules_service alias 11 9000 app=echo
} | apply

for family in 4 6; do
	for n in 10 11; do
		load_start client "$TMP/$n" "$(vip $family $n)" 9000 -n 50 -c 50 -s "service-$n" --source-port 5000 -k 1000 --every 50
		clients[n]=$STARTED
	done
	wait "${clients[@]}"
	expect_eq "IPv$family: first service" "$(<"$TMP/10")" '{"one":50}'
	expect_eq "IPv$family: second service" "$(<"$TMP/11")" '{"one":50}'

	# The endpoint's own address makes it three.
	load_start client "$TMP/10" "$(vip $family 10)" 9000 -n 50 -c 50 -s by-service --source-port 6000 -k 1000 --every 50
	service=$STARTED
	expect_eq "IPv$family: directly" \
		"$(load client "$(addr $family one)" 9000 -n 50 -c 50 -s directly --source-port 6000 -k 500 --every 50)" '{"one":50}'
	wait "$service"
	expect_eq "IPv$family: by the service meanwhile" "$(<"$TMP/10")" '{"one":50}'
done
wait_until 30 no_conns
