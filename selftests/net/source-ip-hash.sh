#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# consistentHash.useSourceIp: a client always reaches the same endpoint, and keeps it when others leave.
. "${0%/*}/lib.sh"

CLIENTS=$(rounds "1 2 3 4 5 6 7 8" "1 2 3 4")

node_up
for n in $CLIENTS; do
	pod_add client$n $n app=client
done
for n in 11 12 13; do
	pod_add e$n $n app=echo
	echo_start e$n 9000 e$n
done
weftd_start

rules() {
	{
		rules_pods
		rules_service echo 10
		rules_subsets echo "" "loadBalancer: {consistentHash: {useSourceIp: true}}"
	} | apply
}

answers() { load "client$1" "$(vip $family 10)" 9000 -n 30 -c 4 -s hello | jq -r 'keys | join(" ")'; }

for family in 4 6; do
	LABELS[e13]=app=echo
	rules
	for n in $CLIENTS; do
		before[n]=$(answers "$n")
		expect_match "IPv$family: client $n has one endpoint" "${before[n]}" '^e1[123]$'
	done
	expect_between "IPv$family: endpoints in use" "$(printf '%s\n' "${before[@]}" | sort -u | wc -l)" 2 3
	LABELS[e13]=app=resting
	rules
	for n in $CLIENTS; do
		after=$(answers "$n")
		if [ "${before[n]}" = e13 ]; then
			expect_match "IPv$family: client $n of the one that left moves" "$after" '^e1[12]$'
		else
			expect_eq "IPv$family: client $n stays" "$after" "${before[n]}"
		fi
	done
done
