#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two daemons never share what is pinned, from whatever network namespace and with whatever other directories.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
ns_add elsewhere
weftd_start
mkdir "$TMP/same"
mount --bind "$TMP/bpf/weft" "$TMP/same"

# refused WHAT NAMESPACE OPTION...
refused() {
	local what=$1 ns=$2 status=0 said
	shift 2
	said=$(in_ns "$ns" timeout 20 "$OUT/weftd" --state-dir "$TMP/state2" --run-dir "$TMP/run2" --cgroup "$CGROUP" "$@" 2>&1) || status=$?
	expect_eq "$what: exit status" $status 1
	expect_eq "$what: lines" "$(wc -l <<<"$said")" 1
	expect_match "$what: $said" "$said" "another weftd.*--bpffs"
}

refused "other directories" node --bpffs "$TMP/bpf/weft" --nic nic0
refused "another network namespace" elsewhere --bpffs "$TMP/bpf/weft"
refused "another path" node --bpffs "$TMP/same" --nic nic0
refused "taking it out under the other's feet" node --bpffs "$TMP/bpf/weft" --detach
weft status >/dev/null || fail "the first daemon suffered"
weftd_kill9
in_ns node "$OUT/weftd" --detach --run-dir "$TMP/run2" --bpffs "$TMP/bpf/weft" --cgroup "$CGROUP"
expect_eq "what a dead daemon left can be taken out from anywhere" "$(pinned)" ""

# What is locked for a moment only, as by a child of one that was killed, is waited for.
held() { ! flock -n "$1" true; }
for lock in "$TMP/state/weftd.lock" "$TMP/run/weftd.lock" "$TMP/bpf/weft"; do
	flock "$lock" sleep 0.3 &
	wait_until 5 held "$lock"
	weftd_start
	weftd_kill9
	say "ok: ${lock#"$TMP"/} was waited for"
done

weftd_start --state-dir "$TMP/run"
say "ok: one directory may be both"
