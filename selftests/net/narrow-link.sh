#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A narrow link behind the next router, on the endpoint's side or on the caller's: the router's "fragmentation needed" reaches
# the sender as one about its own connection and from an address that no router on the way takes for a martian.
. "${0%/*}/ways.sh"

ways_up
for ns in node world; do
	sysctl_in $ns net/ipv4/conf/all/log_martians=0
done
weftd_start
ways_rules | apply

forget_mtu() { # FAMILY
	local name
	for name in client far db caller one node; do
		in_ns $name ip "-$1" route flush cache
	done
}

# try WHAT "WAY..." NARROW...: the links to NARROW are
try() {
	local what=$1 ways how
	local -A want
	for name in "${@:3}"; do
		link_narrow "$name" 1300
	done
	for family in 4 6; do
		want=([here]="one@$(addr $family client)" [far]="far@$(addr $family client)" [out]="db@$(addr $family client)"
			[door]="one@$(addr $family caller)" [door-far]="far@$(addr $family node)")
		for way in $(ways); do
			callers "$way"
			ways=$(ways_of "$2")
			[ -n "$ways" ] || continue
			for how in by direct; do
				forget_mtu $family
				HOW=$how ways_ask $family "$ways" -n 2 --bytes 200000 -t $((3000 * SLOWER))
			done
			for to in $ways; do
				rows_of "$what" $family "$to" "${want[$to]}"
			done
		done
	done
	for name in "${@:3}"; do
		link_wide "$name"
	done
}

try "narrow towards the endpoint" "far out door-far" far db
try "narrow towards the caller" "door door-far" caller
callers inside
wait_until 30 no_conns
rows_end
