#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A service without endpoints and a subset that is empty refuse at once, and say why in the counters.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
echo_start one 9000 one
weftd_start
{
	rules_pods
	rules_service nobody 10
	rules_service echo 11
	rules_subsets echo "v1 v9"
	rules_weights echo v9
} | apply

for family in 4 6; do
	before=$(stat_of weft.reason.no_endpoint)
	got=$(load client "$(vip $family 10)" 9000 -n 20 -c 5 --times)
	expect_eq "IPv$family: a service without endpoints" "$(jq -c .results <<<"$got")" '{"ECONNREFUSED":20}'
	got=$(load client "$(vip $family 11)" 9000 -n 20 -c 5 --times)
	expect_eq "IPv$family: a subset without endpoints" "$(jq -c .results <<<"$got")" '{"ECONNREFUSED":20}'
	expect_eq "IPv$family: counted" $(($(stat_of weft.reason.no_endpoint) - before)) 40
done
expect_eq "counted for the subset" "$(cluster_stat v9 upstream_cx_none_healthy)" 40
