#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pods reach other nodes by an overlay and the API server's host by the NIC, masqueraded; weftd is left to find its interfaces
# itself. By its Service the API server answers as it does directly, and so do pods behind the overlay.
. "${0%/*}/lib.sh"

NICS=
node_up
pod_add client 1
pod_add one 2
echo_start one 9000 one --peer
echo_start world 6443 api --peer
echo_start node 6444 kubelet --peer

overlay_node_up
ip_in world <<END
route del default
route del ::/0
END
echo_start far 9000 far --peer
node_masquerades
weftd_start
{
	rules_pods
	rules_service one 10
	rules_service far 11
	rules_elsewhere kubernetes 1 6443 "$(addr 4 world)" "$(addr 6 world)" 443
	rules_elsewhere kubelet 12 6444 "$(addr 4 node)" "$(addr 6 node)"
} | apply

# ask WHAT ADDRESS PORT WANT
ask() {
	row "$what, $1" "$(load client "$2" "$3" -n 3 -c 3 -s hello -t $((1500 * SLOWER)))" "{\"$4\":3}"
	row "$what, $1, 200 kB" "$(load client "$2" "$3" --bytes 200000 -t $((1500 * SLOWER)))" "{\"$4\":1}"
}

for way in $(ways); do
	callers "$way"
	for family in 4 6; do
		what="IPv$family, callers $WAY"
		me=$(addr $family client)
		ask "API server directly" "$(addr $family world)" 6443 "api@$(addr $family node)"
		ask "API server by kubernetes.default" "$(vip $family 1)" 443 "api@$(addr $family node)"
		ask "behind the overlay directly" "$(addr $family far)" 9000 "far@$me"
		ask "behind the overlay by its service" "$(vip $family 11)" 9000 "far@$me"
		ask "here directly" "$(addr $family one)" 9000 "one@$me"
		ask "here by its service" "$(vip $family 10)" 9000 "one@$me"
		ask "the node directly" "$(addr $family node)" 6444 "kubelet@$me"
		ask "the node by a service" "$(vip $family 12)" 9000 "kubelet@$me"
	done
done
callers inside
wait_until 30 no_conns
rows_end
