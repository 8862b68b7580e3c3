#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A ConnectionPolicy decides who gets in from outside, as soon as `weft apply` returns, and until it is deleted: also while weftd is
# away and after it is back. get, describe, explain, stats and status say what it does. What is wrong with one is refused.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo
outside_add friend 5
outside_add stranger 6
echo_start one 9000 one
weftd_start

{
	rules_pods
	rules_service echo 10
	rules_gateway door 31400
	rules_routes "*" "- {match: [{port: 31400}], route: [{destination: {host: echo, port: {number: 9000}}}]}" door
} | apply

# policy SPEC
policy() {
	cat <<-END
	apiVersion: weft.dev/v1alpha1
	kind: ConnectionPolicy
	metadata: {name: default}
	spec: $1
	END
}
friends() { policy "{allow: [$(addr 4 friend)/32, \"$(addr 6 friend)/128\"]}"; }
strangers() { policy "{deny: [$(addr 4 stranger)/32, \"$(addr 6 stranger)/128\"]}"; }

# asked FROM FAMILY: "in" or "out"
asked() {
	local got
	got=$(load "$1" "$(addr "$2" node)" 31400 -n 2 -c 2 -s hello -t 700)
	if [ "$got" = '{"one":2}' ]; then echo in; elif [ "$got" = '{"timeout":2}' ]; then echo out; else echo "$got"; fi
}

# lets_in WHAT FRIEND STRANGER
lets_in() {
	local family
	for family in 4 6; do
		row "IPv$family: $1: a friend" "$(asked friend $family)" "$2"
		row "IPv$family: $1: a stranger" "$(asked stranger $family)" "$3"
		row "IPv$family: $1: a pod" "$(load client "$(vip $family 10)" 9000 -n 2 -c 2 -s hello)" '{"one":2}'
	done
}

status() { weft status | sed -n 's/^first line *//p'; }
dropped() { stat_of "weft.reason.protect_$1"; }

lets_in "without a policy" in in
row "without a policy: status" "$(status)" none

friends | apply
lets_in "allow" in out
row "allow: counted" "$(($(dropped not_allowed) > 0)),$(dropped denied)" "1,0"
row "allow: status" "$(status)" "2 subnets allowed"
row "get" "$(weft get connpol | tr -s ' ' | cut -d' ' -f1-6)" "$(printf 'NAME ALLOW DENY PER-SOURCE TOTAL SYN-COOKIES\ndefault 2 0 any any Never')"
row "get, of a namespace" "$(weft get connectionpolicies -n shop -o name)" "connectionpolicy.weft.dev/default"
row "get all" "$(weft get all -A -o json | jq -r '[.items[].kind] | index("ConnectionPolicy")')" null
expect_match "describe" "$(weft describe connpol default)" '^  2 subnets allowed$'
row "describe counts" "$(weft describe connpol default -o json | jq '.protection.dropped.not_allowed > 0')" true
for family in 4 6; do
	expect_match "IPv$family: explain, a stranger" \
		"$(weft explain --gateway door --to any:31400 --from-address "$(addr $family stranger)")" \
		'^action: refuse: ConnectionPolicy default \(.*\) drops what comes from .*: it is in no subnet of spec.allow$'
	expect_match "IPv$family: explain, a friend" \
		"$(weft explain --gateway door --to any:31400 --from-address "$(addr $family friend)")" \
		'^first: ConnectionPolicy default \(.*\) lets .* in: spec.allow\['
done

strangers | apply
lets_in "deny" in out
row "deny: counted" "$(($(dropped denied) > 0))" 1

# A policy is not weftd's to lose.
weftd_kill9
lets_in "weftd killed" in out
weftd_start
lets_in "weftd is back" in out
row "back: status" "$(status)" "everyone allowed, 2 denied"
weftd_stop
weftd_start
lets_in "weftd has restarted" in out

# One after the other, without a pause: the last one counts.
for n in $(seq 20); do
	policy "{deny: [192.0.2.$n/32], newConnections: {total: {rate: $n}}}" | apply
done
friends | apply
lets_in "many at once" in out
row "many at once: what is left in the kernel" \
	"$(bpftool map dump pinned "$TMP/bpf/weft/protect_sources" -j | jq length)" 2

policy "{newConnections: {perSource: {rate: 1, burst: 3}}}" | apply
got=$(load friend "$(addr 4 node)" 31400 -n 10 -c 10 -s hello -t 700)
row "a rate: as many as may come at once, and the next second's" "$(($(count one "$got") >= 3 && $(count one "$got") <= 4))" 1
row "a rate: the others hear nothing" "$(($(count one "$got") + $(count timeout "$got")))" 10
row "a rate: of another one it takes nothing" "$(asked stranger 4)" in
row "a rate: counted" "$(($(dropped source_rate) > 0))" 1

# Another port's is nothing to this one.
policy "{deny: [0.0.0.0/0, '::/0'], ports: [80]}" | apply
lets_in "another port" in in
policy "{deny: [0.0.0.0/0, '::/0'], ports: [80, 31400]}" | apply
lets_in "that port" out out

policy "{allow: ['::/0']}" | apply
row "IPv4 is no part of ::/0, allowed" "$(asked friend 4),$(asked friend 6)" "out,in"
policy "{deny: ['::/0']}" | apply
row "IPv4 is no part of ::/0, denied" "$(asked friend 4),$(asked friend 6)" "in,out"

# What is wrong is refused, and changes nothing.
expect_match "another name" "$(policy "{}" | sed 's/name: default/name: mine/' | weft apply -f - 2>&1 || true)" \
	'metadata.name: expected "default", not "mine": there is one ConnectionPolicy'
expect_match "a lax list" "$(policy "{allow: []}" | weft apply -f - 2>&1 || true)" 'spec.allow: expected a subnet'
row "refused: the one before is in force" "$(asked friend 4),$(asked friend 6)" "in,out"

weft delete connpol default >/dev/null
lets_in "deleted" in in
row "deleted: status" "$(status)" none
row "deleted: nothing is left in the kernel" "$(bpftool map dump pinned "$TMP/bpf/weft/protect_sources" -j | jq length)" 0
rows_end
