#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod that calls its own service may well reach itself.
. "${0%/*}/lib.sh"

node_up
pod_add one 1 app=echo,version=v1
pod_add two 2 app=echo,version=v2
echo_start one 9000 one
echo_start two 9000 two
weftd_start

for weights in "v1" "v1=50 v2=50"; do
	# shellcheck disable=SC2086 # words are meant
	{
		rules_pods
		rules_service echo 10
		rules_subsets echo "v1 v2"
		rules_weights echo $weights
	} | apply
	for family in 4 6; do
		got=$(load one "$(vip $family 10)" 9000 -n 100 -c 10 -s hello)
		if [ "$weights" = v1 ]; then
			expect_eq "IPv$family: only itself" "$got" '{"one":100}'
		else
			expect_between "IPv$family: itself and the other: itself" "$(count one "$got")" 49 51
			expect_between "IPv$family: itself and the other: the other" "$(count two "$got")" 49 51
		fi
		got=$(load one "$(vip $family 10)" 9000 -n 2 -c 2 --bytes 1000000 -e half)
		expect_eq "IPv$family: large lines come back whole" "$(($(count one "$got") + $(count two "$got")))" 2
	done
done
wait_until 30 no_conns
