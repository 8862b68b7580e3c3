#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A NetworkPolicy that a controller has put into the node's FORWARD chain holds for clients that call a Service, as it does
# for clients that call the endpoint itself; clients that it admits still get in.
. "${0%/*}/ways.sh"

ways_up
weftd_start
ways_rules | apply

# policy FAMILY RULE...: for what is forwarded, and for what is the node's own
policy() {
	local family=$1 tables=iptables chain
	shift
	[ "$family" = 4 ] || tables=ip6tables
	for chain in FORWARD INPUT; do
		in_ns node $tables -w -A $chain "$@"
	done
}

no_policy() { for chain in FORWARD INPUT; do both_tables -F $chain; done; }

reject() {
	for from in client caller; do policy "$1" -s "$(addr "$1" $from)" -p tcp -j REJECT; done
}

drop() {
	for from in client caller; do policy "$1" -s "$(addr "$1" $from)" -p tcp -j DROP; done
}

# As kube-router and others write it: what is let in is marked by conntrack, and the rest is not.
deny_by_default() {
	policy "$1" -p tcp -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
	policy "$1" -s "$(addr "$1" other)" -j ACCEPT
	policy "$1" -p tcp -j REJECT --reject-with tcp-reset
}

# the_same WORD N
the_same() { for _ in $(seq "$2"); do echo "$1"; done; }

# try POLICY WANT TIMEOUT
try() {
	local ways
	for family in 4 6; do
		"$1" $family
		for way in $(ways); do
			callers "$way"
			ways=$(ways_of "$ALL_WAYS")
			ways_ask $family "$ways" -s hello -t "$3"
			# shellcheck disable=SC2046 # words are meant
			rows_of "$1, client" $family "$ways" $(the_same "$2" 6)
			CLIENT=other ways_ask $family "$POD_WAYS" -s hello
			me=$(addr $family other)
			rows_of "$1, other" $family "$POD_WAYS" "one@$me" "far@$me" "db@$me" "node@$me"
		done
		no_policy
	done
}

try reject ECONNREFUSED $((2500 * SLOWER))
try drop timeout $((300 * SLOWER))
try deny_by_default ECONNREFUSED $((2500 * SLOWER))
callers inside
wait_until 30 no_conns
rows_end
