#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What was open before weft came, and what others steer, is left alone.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
pod_add two 3 app=echo,version=v2
echo_start one 9000 one
echo_start two 9000 two

# What a kube-proxy would have set up for the same service, and another program's filter on a pod's interface.
for tables in "4 iptables" "6 ip6tables"; do
	in_ns node ${tables#* } -t nat -A PREROUTING -d "$(vip ${tables% *} 10)" -p tcp --dport 9000 \
		-j DNAT --to-destination "$(hostport "$(addr ${tables% *} one)" 9000)"
done
in_ns node tc qdisc add dev veth1 clsact
in_ns node tc filter add dev veth1 ingress protocol all prio 100 handle 7 bpf bytecode '1,6 0 0 0,'

for family in 4 6; do
	for to in "vip $family 10" "addr $family one"; do
		load_start client "$TMP/${to// /-}" "$($to)" 9000 -n 20 -c 20 -s hello -e hold --every 100 --ready "$TMP/ready"
		pids+=("$STARTED")
		wait_until 10 test -e "$TMP/ready"
		rm "$TMP/ready"
	done
done

weftd_start
{
	rules_pods
	rules_service echo 10
	rules_subsets echo "v1 v2"
	rules_weights echo v2
} | apply
for family in 4 6; do
	expect_eq "IPv$family: new connections go where the rules say" "$(load client "$(vip $family 10)" 9000 -n 20 -s hello)" '{"two":20}'
done
sleep 1
kill -TERM "${pids[@]}"
wait "${pids[@]}"
for family in 4 6; do
	expect_eq "IPv$family: open before, by another's NAT" "$(<"$TMP/vip-$family-10")" '{"one":20}'
	expect_eq "IPv$family: open before, direct" "$(<"$TMP/addr-$family-one")" '{"one":20}'
done

# And when weft goes, it takes with it what is its own.
programs_note
removed=$(weft uninstall)
expect_match "weft uninstall says what it removed" "$removed" "programs on the interfaces of [0-9]+ pods and on 1 of the node's"
expect_match "and what it kept" "$removed" "the rules stored in $TMP/state"
wait "$WEFTD" || true
WEFTD=
expect_match "a second one says that nothing was left" "$(in_ns node "$OUT/weft" --run-dir "$TMP/run" uninstall 2>&1)" \
	"nothing was pinned in $TMP/bpf/weft$"
expect_match "the other's filter is still there" "$(in_ns node tc filter show dev veth1 ingress)" 'pref 100 bpf .*handle 0x7'
expect_eq "nothing of weft is pinned" "$(pinned)" ""
programs_gone
say "ok: no program of weft is attached"
for family in 4 6; do
	expect_eq "IPv$family: the other's NAT is back in charge" "$(load client "$(vip $family 10)" 9000 -n 20 -s hello)" '{"one":20}'
done
