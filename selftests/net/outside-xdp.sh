#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tutorials' tcp-echo and Bookinfo, called from outside with XDP on the NIC, natively and generically, and without it: the same
# weights, pages and statuses at the Gateway's port and at its NodePort. One of the two versions of tcp-echo is on another node.
. "${0%/*}/lib.sh"

N=$(rounds 100 20)
MODES=$(rounds "native generic off" "native generic")

rules() {
	rules_pods
	rules_service tcp-echo 40
	rules_subsets tcp-echo "v1 v2"
	rules_gateway tcp 31400
	rules_ingress 41 31400:30514
	rules_routes "*" "$(cat <<-END
	- match: [{port: 31400}]
	  route:
	  - {destination: {host: tcp-echo, port: {number: 9000}, subset: v1}, weight: 80}
	  - {destination: {host: tcp-echo, port: {number: 9000}, subset: v2}, weight: 20}
	END
	)" tcp
}

# ports FAMILY GATEWAY NODE: both, or for each family another one
ports() { rounds "$2 $3" "$([ "$1" = 4 ] && echo "$2" || echo "$3")"; }

forwarded() { stat_of weft.xdp.forwarded.packets; }

# tcp_echo FAMILY PORT
tcp_echo() {
	local what="$mode, IPv$1, port $2: tcp-echo" before after got
	before=$(forwarded)
	got=$(load other "$(addr "$1" node)" "$2" -n "$N" -c 5 -s hello -t $((3000 * SLOWER)))
	after=$(forwarded)
	expect_between "$what: one" "$(count one "$got")" $((N * 8 / 10 - 1)) $((N * 8 / 10 + 1))
	row "$what: one and two" $(($(count one "$got") + $(count two "$got"))) "$N"
	row "$what: forwarded by XDP" $((after > before)) "$forwards"
}

# page USER SEES
page() {
	call other -b "$TMP/$1" -o "$TMP/page" "$URL/productpage"
	row "$what: $1 sees" "$(bookinfo_seen "$TMP/page")" "$2"
}

# bookinfo FAMILY PORT
bookinfo() {
	local what="$mode, IPv$1, port $2: Bookinfo" URL
	URL=http://$(hostport "$(addr "$1" node)" "$2")
	: >"$TMP/visitor"
	call other -c "$TMP/jason" -d username=jason -o "$TMP/page" "$URL/login"
	page jason "black stars"
	page visitor "no stars"
	row "$what: /details/0" "$(call other -o "$TMP/page" -w '%{http_code}' "$URL/details/0")" 404
}

node_up
outside_add other 5
bookinfo_up
pod_add one 41 app=tcp-echo,version=v1
remote_add two 42 app=tcp-echo,version=v2
echo_start one 9000 one
echo_start two 9000 two
# A veth takes what XDP sends to it if it has a native program of its own.
xdp_verdict world eth0 pass
checksums_finished world eth0

for mode in $MODES; do
	weftd_start --xdp $mode
	[ $mode != native ] || {
		bookinfo_rules
		weft apply -f "$BOOKINFO/virtual-service-all-v1.yaml" >/dev/null
		weft apply -f "$BOOKINFO/virtual-service-reviews-test-v2.yaml" >/dev/null
		rules | apply
	}
	forwards=1 status="$mode: nic0 $mode"
	[ $mode != off ] || forwards=0 status=off
	row "$mode: status" "$(weft status | sed -n 's/^XDP *//p')" "$status"
	for family in 4 6; do
		bookinfo_hosts $family
		# shellcheck disable=SC2046 # words are meant
		for port in $(ports $family 31400 30514); do tcp_echo $family "$port"; done
		# shellcheck disable=SC2046
		for port in $(ports $family 80 31380); do bookinfo $family "$port"; done
	done
	weftd_stop
done
rows_end
