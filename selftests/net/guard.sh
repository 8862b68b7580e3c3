#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What weft has in the kernel and others take away is back within 10 s, and traffic with it; for as long as it is not, weft
# status and weft verify-install say what is missing.
. "${0%/*}/lib.sh"

WITHIN=10

nft_in_node() {
	in_ns node /usr/bin/python3 -c 'import ctypes, sys
nft = ctypes.CDLL("libnftables.so.1")
nft.nft_ctx_new.restype = ctypes.c_void_p
sys.exit(nft.nft_run_cmd_from_buffer(ctypes.c_void_p(nft.nft_ctx_new(0)), sys.argv[1].encode()))' "$1"
}
restored() { stat_of "weft.guard.$1.restored"; }
more_than() { [ "$(restored "$1")" -gt "$2" ]; }
lines() { grep -c "$1" "$TMP/weftd.log" || true; }

# taken WHAT KIND COMMAND...
taken() {
	local what=$1 kind=$2 before said family
	shift 2
	before=$(restored "$kind")
	said=$(lines 'was taken away from weft: put back')
	"$@" || fail "$what could not be taken away"
	wait_until $WITHIN more_than "$kind" "$before"
	weft status --wait --timeout $((WITHIN * SLOWER)) >/dev/null || fail "$what: put back, and status does not know"
	weft verify-install >/dev/null || fail "$what: put back, and verify-install does not know"
	for family in 4 6; do
		http_works $family || fail "$what: IPv$family: HTTP does not work again"
		tcp_works $family || fail "$what: IPv$family: TCP is not steered again (inside the cgroup)"
		outside tcp_works $family || fail "$what: IPv$family: TCP is not steered again (outside the cgroup)"
	done
	[ "$(lines 'was taken away from weft: put back')" -gt "$said" ] || fail "$what: the log does not say so"
	say "ok: $what is back, and traffic with it"
}

rule_del() { in_ns node ip "$1" rule del pref "$2"; }
route_del() { in_ns node ip "$1" route flush table 5757; }
flush_rules() { in_ns node ip rule flush && in_ns node ip rule add pref 32766 lookup main; }
link_detach() { bpftool link detach pinned "$TMP/bpf/weft/$1"; }
unpin() { rm "$TMP/bpf/weft/$1"; }
unpin_all() { rm -r "$TMP/bpf/weft"; }
listeners_destroy() {
	in_ns node ss -H -tlnK >"$TMP/destroyed" 2>&1
	[ -s "$TMP/destroyed" ]
}
index_of() { in_ns node ip -j link show "$1" | jq '.[0].ifindex'; }
filters_del() { in_ns node tc qdisc del dev veth1 clsact; }
filter_del() { in_ns node tc filter del dev veth1 ingress; }

both_sides_up

start() {
	weftd_start
	both_sides_rules | apply
	for family in 4 6; do
		http_works $family || fail "IPv$family: HTTP does not work to begin with"
	done
}

# another: a weftd that has seen nothing taken away yet does not wait ever longer until it puts it back
another() {
	weftd_kill9
	weftd_start
}

start
for ip in -4 -6; do
	for rule in 56 57 58; do
		taken "ip $ip rule $rule" routing rule_del $ip $rule
	done
	another
	taken "the route of ip $ip" routing route_del $ip
done
taken "all rules, by ip rule flush" routing flush_rules
taken "the table of nftables" netfilter nft_in_node "delete table inet weft"
taken "all tables, as a firewall's restart does it" netfilter nft_in_node "flush ruleset"
taken "connect() of the cgroup, detached" cgroup link_detach cgroup/connect4
taken "connect() of the cgroup, unpinned" cgroup unpin cgroup/connect6
taken "the pin of a map" pins unpin conns
taken "the pin of a program" pins unpin prog/from_pod
if [ "$(weft status -o json | jq -r .attach)" = tcx ]; then
	veth=$(index_of veth1)
	nic=$(index_of nic0)
	taken "a pod's program, detached" interfaces link_detach "link/$veth"
	taken "a pod's program, unpinned" interfaces unpin "link/$veth-egress"
	taken "a NIC's program, detached" interfaces link_detach "link/$nic"
fi
another
taken "all pins" pins unpin_all
expect_eq "the pins are where they were" "$(pinned | grep -c "/weft/cgroup/connect4$")" 1
taken "the listening sockets" listeners listeners_destroy
taken "the BPF file system" bpffs umount -l "$TMP/bpf"
status=0
in_ns node timeout 20 "$OUT/weftd" --state-dir "$TMP/s2" --run-dir "$TMP/r2" --bpffs "$TMP/bpf/weft" --cgroup "$CGROUP" --nic nic0 \
	2>"$TMP/second" || status=$?
expect_eq "the directory is still locked: exit status of another weftd" $status 1
weftd_kill9
tcp_works 4 || fail "without weftd, what was put back does not steer"
weftd_start
http_works 4 || fail "the next weftd has not found its way"

# ---- as long as something is missing ----

told=$(lines "can't be put back")
in_ns node ip link set lo down
red() { ! weft status >/dev/null; }
wait_until $WITHIN red
status=0
said=$(weft status) || status=$?
expect_eq "exit status of weft status" $status 1
expect_match "weft status" "$said" "^weftd .* is not ready"
expect_match "names what is missing" "$said" "^missing +route of table 5757 of IPv6$"
expect_eq "ready, in JSON" "$( (weft status -o json || true) | jq .ready)" false
status=0
said=$(weft verify-install) || status=$?
expect_eq "exit status of weft verify-install" $status 1
expect_match "names it, too" "$said" "^FAILED .*missing: route of table 5757 of IPv6"
status=0
weft status --wait --timeout 1 >/dev/null || status=$?
expect_eq "exit status of weft status --wait" $status 1
sleep 6
expect_eq "lines about it in the log" $(($(lines "can't be put back") - told)) 1
in_ns node ip link set lo up
weft status --wait --timeout $((WITHIN * SLOWER)) >/dev/null || fail "not ready again"
http_works 4 || fail "HTTP does not work again"

# ---- a program that removes it again and again ----

another
said=$(lines "not more often than every 8 s")
unfought() { [ "$(lines "not more often than every 8 s")" -gt "$said" ]; }
before=$(restored routing)
(while :; do
	in_ns node ip rule del pref 57 2>/dev/null || true
	sleep 0.02
done) &
remover=$!
wait_until 15 unfought
say "ok: the log says that it is not fought"
kill "$remover"
expect_between "times it was put back until then" $(($(restored routing) - before)) 3 6
weft status --wait --timeout $((WITHIN * SLOWER)) >/dev/null || fail "not ready after that"

# ---- with filters in place of links ----

in_ns node "$OUT/weftd" --detach --run-dir "$TMP/run" --bpffs "$TMP/bpf/weft"
wait "$WEFTD" || true
WEFTD=
expect_eq "nothing is put back after --detach" "$(pinned; in_ns node ip rule | grep 0x570000 || true)" ""
export WEFT_ATTACH=clsact
start
taken "a filter" interfaces filter_del
taken "the queueing discipline with it" interfaces filters_del
