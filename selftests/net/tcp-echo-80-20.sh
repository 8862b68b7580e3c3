#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every destination of a route gets its share: exactly over 1,000 connections, and nearly so in any ten.
. "${0%/*}/lib.sh"

N=$(rounds 1000 200)

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
pod_add two 3 app=echo,version=v2
pod_add three 4 app=echo,version=v3
for name in one two three; do
	echo_start $name 9000 $name
done
weftd_start

# route SUBSET[=WEIGHT]...
route() {
	{
		rules_pods
		rules_service echo 10
		rules_subsets echo "v1 v2 v3"
		rules_weights echo "$@"
	} | apply
}

# windows WORD LEAST MOST: how often WORD is in every ten results of stdin that follow each other
windows() {
	awk -v word="$1" -v least="$2" -v most="$3" '
		{ hit[NR] = $1 == word; in_ten += hit[NR]; if (NR > 10) in_ten -= hit[NR - 10] }
		NR >= 10 && (in_ten < least || in_ten > most) { print "ten up to connection " NR " have " in_ten; exit 1 }'
}

# near WHAT COUNT SHARE: that COUNT is SHARE in a thousand of N, to within two
near() { expect_between "$1" "$2" $((N * $3 / 1000 - 2)) $(((N * $3 + 999) / 1000 + 2)); }

# weights WHAT ONE TWO THREE: what each gets of 1,000 connections, to within two
weights() {
	local got one two three
	got=$(load client "$(vip "$family" 10)" 9000 -n "$N" -s hello --sequence)
	one=$(grep -cx one <<<"$got" || true)
	two=$(grep -cx two <<<"$got" || true)
	three=$(grep -cx three <<<"$got" || true)
	expect_eq "IPv$family, $1: answered" $((one + two + three)) "$N"
	near "IPv$family, $1: one" "$one" "$2"
	near "IPv$family, $1: two" "$two" "$3"
	near "IPv$family, $1: three" "$three" "$4"
	LAST=$got
}

for family in 4 6; do
	route v1
	weights "all to v1" 1000 0 0

	route v1=80 v2=20
	before=$(cluster_stat v2 upstream_cx_total)
	weights "80/20" 800 200 0
	windows two 1 3 <<<"$LAST" || fail "80/20 is not even"
	expect_eq "IPv$family, 80/20: counted for v2" $(($(cluster_stat v2 upstream_cx_total) - before)) \
		"$(grep -cx two <<<"$LAST")"

	route v1=50 v2=50
	weights "50/50" 500 500 0
	windows two 4 6 <<<"$LAST" || fail "50/50 is not even"
	route v1=1 v2=1
	weights "1/1" 500 500 0
	route v1=33 v2=33 v3=34
	weights "33/33/34" 330 330 340
	windows three 2 5 <<<"$LAST" || fail "33/33/34 is not even"
	route v1=0 v2=100
	weights "0/100" 0 1000 0
	expect_eq "IPv$family, 0/100: weight 0 gets" "$(grep -cx one <<<"$LAST" || true)" 0
	route v1=1 v2=999
	weights "1/999" 1 999 0
	route v1=1 v2
	weights "one without a weight" 1000 0 0
	expect_eq "IPv$family, without a weight gets" "$(grep -cx two <<<"$LAST" || true)" 0
	route v1=0
	weights "a single destination's weight is ignored" 1000 0 0

	route v1=80 v2=20
	for client in 1 2 3 4 5 6 7 8; do
		load_start client "$TMP/client$client" "$(vip "$family" 10)" 9000 -n 125 -c 5 -s hello
		clients[client]=$STARTED
	done
	wait "${clients[@]}"
	all=$(cat "$TMP"/client? | jq -s 'map(to_entries[]) | group_by(.key) | map({(.[0].key): (map(.value) | add)}) | add')
	expect_between "IPv$family, eight clients: two" "$(count two "$all")" 198 202
	expect_eq "IPv$family, eight clients: answered" $(($(count one "$all") + $(count two "$all"))) 1000
done
