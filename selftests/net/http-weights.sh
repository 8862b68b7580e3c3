#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Weighted HTTP routes are exact: 80/20 gives 200 +- 2 of 1,000 requests over kept connections and four workers, and 2 +- 1 of any ten
# in a row.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add other 2
pod_add one 3 app=echo,version=v1
pod_add two 4 app=echo,version=v2
http_echo_start one 8080 one
http_echo_start two 8080 two
weftd_start --workers 4
{
	rules_pods
	PROTOCOL=http rules_service echo 10 80:8080
	rules_subsets echo "v1 v2"
	PROTOCOL=http rules_weights echo v1=80 v2=20
} | apply

REQUESTS=$(rounds 1000 200)

# share_of RESULT: of the second one
share_of() { json .words.two "$1"; }

# share WHAT FAMILY REQUESTS OPTION...
share() {
	local result
	result=$(http_load client "$(vip "$2" 10)" 80 -n "$3" "${@:4}")
	expect_eq "$1: answered" "$(json '.statuses."200"' "$result")" "$3"
	expect_between "$1: of weight 20" "$(share_of "$result")" $(($3 / 5 - 2)) $(($3 / 5 + 2))
}

for family in 4 6; do
	share "IPv$family, 16 connections" $family "$REQUESTS" -c 16
	share "IPv$family, one connection" $family "$REQUESTS"
	share "IPv$family, a connection each" $family "$REQUESTS" -c 8 --close

	http_load client "$(vip $family 10)" 80 -n "$REQUESTS" --sequence >"$TMP/sequence"
	worst=$(awk '{ n += last[NR % 10] = $2 == "two" } NR >= 10 { d = n - 2; if (d < 0) d = -d; if (d > w) w = d; n -= last[(NR + 1) % 10] }
		END { print w + 0 }' "$TMP/sequence")
	expect_between "IPv$family: the most that ten in a row are off" "$worst" 0 1
done

# Two clients share the sequence.
http_load_start other "$TMP/other" "$(vip 4 10)" 80 -n "$REQUESTS" -c 4
result=$(http_load client "$(vip 6 10)" 80 -n "$REQUESTS" -c 4)
wait "$STARTED"
expect_between "two clients: of weight 20" $(($(share_of "$result") + $(share_of "$(<"$TMP/other")"))) \
	$((2 * REQUESTS / 5 - 3)) $((2 * REQUESTS / 5 + 3))

{
	rules_subsets echo "v1 v2"
	PROTOCOL=http rules_weights echo v1=1 v2=0
} | apply
result=$(http_load client "$(vip 4 10)" 80 -n "$REQUESTS" -c 4)
expect_eq "of weight 0" "$(share_of "$result")" 0
expect_eq "of weight 1" "$(json .words.one "$result")" "$REQUESTS"
