#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A node that masquerades: an endpoint outside of the cluster, which has no way back to a pod, is reached by a Service as it
# is directly; and no endpoint sees another caller than it would directly.
. "${0%/*}/ways.sh"

ways_up
outside_add callee 7
echo_start callee 9000 callee --peer
for name in db callee; do
	ip_in $name <<-END
	route add blackhole 10.244.0.0/15
	route add blackhole fd00:244::/31
	END
done
node_masquerades
weftd_start
ways_rules | apply

tables() { if [ "$1" = 4 ]; then echo iptables; else echo ip6tables; fi; }

masqueraded() { :; }

# An egress address for one destination, with ports of its own
snat() {
	in_ns node "$(tables "$1")" -w -t nat -I POSTROUTING -p tcp -d "$(addr "$1" db)" \
		-j SNAT --to-source "$(hostport "$(addr "$1" node)" 5000-5999)"
}

# ... and a destination that the node replaces
dnat() {
	in_ns node "$(tables "$1")" -w -t nat -I PREROUTING -p tcp -d "$(addr "$1" db)" --dport 9000 \
		-j DNAT --to-destination "$(hostport "$(addr "$1" callee)" 9000)"
}

# ... and what it sends to other nodes' pods, whoever has sent it: the port stays where it can
to_pods() {
	local pods=10.245.0.0/16
	[ "$1" = 4 ] || pods=fd00:245::/32
	in_ns node "$(tables "$1")" -w -t nat -A POSTROUTING -d $pods -j MASQUERADE
}

# try HOOK NAME-OF-THE-OUTSIDE [node]: whom the endpoint on another node sees when a pod calls (the pod)
try() {
	local pod node caller ways seen
	for family in 4 6; do
		"$1" $family
		pod=$(addr $family client)
		node=$(addr $family node)
		caller=$(addr $family caller)
		seen=$pod
		[ -z "${3:-}" ] || seen=$node
		for way in $(ways); do
			callers "$way"
			ways=$(ways_of "$ALL_WAYS")
			ways_ask $family "$ways" -n 3 -c 3 -s hello -t $((1000 * SLOWER))
			rows_of "$1" $family "$ways" "one@$pod" "far@$seen" "$2@$node" "node@$pod" "one@$caller" "far@$node"
			ways_ask $family "$ways" --bytes 200000 -t $((1000 * SLOWER))
			rows_of "$1, 200 kB" $family "$ways" "one@$pod" "far@$seen" "$2@$node" "node@$pod" "one@$caller" "far@$node"
		done
	done
}

try masqueraded db
try snat db
try dnat callee
try to_pods callee node
callers inside
wait_until 30 no_conns
rows_end
