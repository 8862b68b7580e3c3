#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rules change all the time under load: no connection fails, and each goes where the rules in force send it.
. "${0%/*}/lib.sh"

RELOADS=$(rounds 500 20)
RATE=$(rounds 1000 100)

node_up
pod_add client 1
pod_add probe 2
for n in 1 2 3 4; do
	pod_add v$n $((n + 2)) app=echo,version=v$n
	echo_start v$n 9000 v$n
done
weftd_start

{
	rules_pods
	rules_service echo 10
	rules_subsets echo "v1 v2 v3 v4"
} >"$TMP/base"
rules_weights echo v1=50 v2=50 >"$TMP/even"
rules_weights echo v3 >"$TMP/odd"
weft apply -f "$TMP/base" -f "$TMP/even" >/dev/null

for family in 4 6; do
	load_start client "$TMP/load$family" "$(vip $family 10)" 9000 -n 100000000 -c 500 -r $((RATE / 2)) -s hello -k 20
	loads[family]=$STARTED
done

for reload in $(seq "$RELOADS"); do
	if ((reload % 2)); then
		weft apply -f "$TMP/odd" >/dev/null
		allowed='v3'
	else
		weft apply -f "$TMP/even" >/dev/null
		allowed='v1|v2'
	fi
	((reload % 10 > 1)) && continue
	for family in 4 6; do
		got=$(load probe "$(vip $family 10)" 9000 -n 5 -s hello --sequence | sort -u | paste -sd' ')
		[[ $got =~ ^($allowed)( ($allowed))*$ ]] || fail "IPv$family, after reload $reload: expected $allowed, got '$got'"
	done
done
say "ok: $RELOADS reloads, each in force when apply returned"

kill -TERM "${loads[@]}"
wait "${loads[@]}"
for family in 4 6; do
	got=$(<"$TMP/load$family")
	say "IPv$family: $got"
	expect_eq "IPv$family: only answers of destinations that were allowed" "$(jq -r 'keys - ["v1", "v2", "v3"] | join(" ")' <<<"$got")" ""
	expect_between "IPv$family: answered" "$(jq 'add' <<<"$got")" 5 100000000
done

# A load with one bad object out of fifty changes nothing.
weft get vs -A -o yaml >"$TMP/before"
{
	for n in $(seq 10 58); do rules_service svc$n $n 9000 app=echo; done
	rules_weights echo v4=100
	rules_weights bad v1=-1
} >"$TMP/fifty"
if weft apply -f "$TMP/fifty" >"$TMP/out" 2>&1; then fail "a load with a bad object was taken"; fi
expect_match "the bad object is named" "$(<"$TMP/out")" 'fifty:[0-9]+:[0-9]+: .*weight'
weft get vs -A -o yaml | cmp - "$TMP/before" || fail "a refused load changed the rules"
expect_eq "and nothing goes to its destination" "$(load client "$(vip 4 10)" 9000 -n 20 -s hello --sequence | grep -c v4 || true)" 0
