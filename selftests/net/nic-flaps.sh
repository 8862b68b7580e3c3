#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Without --nic, the interface of the default route lets callers in: also while the route, or the carrier, is lost for a moment.
. "${0%/*}/lib.sh"

weftd_options() {
	echo --state-dir "$TMP/state" --run-dir "$TMP/run" --bpffs "$TMP/bpf/weft" --cgroup "$CGROUP"
}

nics() { map_dump nics | jq -r '[.[].formatted.value.name] | sort | join(",")'; }

node_up
pod_add one 2 app=echo,version=v1
echo_start one 9000 one
weftd_start
expect_eq "NICs" "$(nics)" nic0

{
	rules_pods
	rules_service echo 10
	rules_gateway door 31400
	rules_ingress 11 31400:30514
	rules_routes "*" "- route: [{destination: {host: echo, port: {number: 9000}}}]" door
} | apply

for family in 4 6; do
	load_start world "$TMP/held$family" "$(addr $family node)" 31400 -n 20 -c 20 -s hello -e hold --every 100 --ready "$TMP/ready$family"
	held[family]=$STARTED
	wait_until 10 test -e "$TMP/ready$family"
done

for _ in 1 2 3; do
	ip_in node <<-END
	route del default via 10.1.0.2
	route del ::/0 via fd00:1::2
	END
	sleep 1.2
	expect_eq "NICs without a default route" "$(nics)" nic0
	expect_eq "callers get in without a default route" "$(load world "$(addr 4 node)" 31400 -n 5 -s hello)" '{"one":5}'
	ip_in node <<-END
	route add default via 10.1.0.2
	route add ::/0 via fd00:1::2
	END
done

for family in 4 6; do
	kill -TERM "${held[family]}"
	wait "${held[family]}"
	expect_eq "IPv$family: open connections live on" "$(<"$TMP/held$family")" '{"one":20}'
done

# An uplink without Ethernet frames is one as well.
ip_in node <<-END
tuntap add tun0 mode tun
link set tun0 up
route add default dev tun0 metric 5
END
wait_until 5 grep -q 'tun0: attached as a NIC' "$TMP/weftd.log"
pod_add two 3
expect_eq "NICs beside a tunnel" "$(nics)" nic0,tun0
