#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A NIC with a smaller MTU than the pods': what is too large for it is not lost in silence, the sender is told. Large lines get
# through in both directions, by a Service as they do directly.
. "${0%/*}/ways.sh"

ways_up
# A veth would let large segments pass; what the NIC cannot cut up is segmented before.
ip -n "$(netns node)" link set nic0 mtu 1400 gso_max_segs 1
ip -n "$(netns world)" link set eth0 mtu 1400 gso_max_segs 1
weftd_start
ways_rules | apply

for family in 4 6; do
	pod=$(addr $family client)
	for way in $(ways); do
		callers "$way"
		ways=$(ways_of "$ALL_WAYS")
		# Nothing is remembered of the way that the one has learnt for the other.
		for how in by direct; do
			for name in client far db caller one; do
				in_ns $name ip "-$family" route flush cache
			done
			HOW=$how ways_ask $family "$ways" -n 2 --bytes 200000 -t $((3000 * SLOWER))
		done
		rows_of "200 kB" $family "$ways" "one@$pod" "far@$pod" "db@$pod" "node@$pod" \
			"one@$(addr $family caller)" "far@$(addr $family node)"
	done
done
callers inside
wait_until 30 no_conns
rows_end
