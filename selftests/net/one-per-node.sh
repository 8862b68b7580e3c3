#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A second weftd in the same network namespace is refused with a word, whatever its directories, and its --detach takes nothing
# away from the first; in another network namespace it is let in.
. "${0%/*}/lib.sh"

second() { # NAMESPACE OPTION...
	local ns=$1
	shift
	in_ns "$ns" timeout 20 "$OUT/weftd" --state-dir "$TMP/state2" --run-dir "$TMP/run2" --bpffs "$TMP/bpf/second" \
		--cgroup "$CGROUP/second" "$@"
}
works() { # WHAT
	local family result
	for family in 4 6; do
		result=$(http_load client "$(vip $family 10)" 80 -n 5)
		expect_eq "IPv$family: HTTP $1" "$(json '.statuses."200"' "$result")" 5
	done
	weft verify-install >/dev/null || fail "$1: verify-install: $(weft verify-install)"
}
in_node() { in_ns node ip rule; in_ns node ip -6 rule; in_ns node tc filter show dev veth1 ingress; in_ns node tc filter show dev veth1 egress; }

node_up
ns_add elsewhere
mkdir "$CGROUP/second"
pod_add client 1
pod_add one 2
http_echo_start one 8080 one

for WEFT_ATTACH in tcx clsact; do
	export WEFT_ATTACH
	weftd_start
	{
		rules_pods
		PROTOCOL=http rules_service one 10 80:8080
		rules_subsets one "" "connectionPool: {http: {maxRetries: 3}}"
	} | apply
	works "to begin with"
	before=$(in_node)

	status=0
	said=$(second node --nic nic0 2>&1) || status=$?
	expect_eq "$WEFT_ATTACH: exit status" $status 1
	expect_eq "$WEFT_ATTACH: lines" "$(wc -l <<<"$said")" 1
	expect_match "$WEFT_ATTACH: $said" "$said" "another weftd \(process $WEFTD\).*network namespace"
	expect_eq "$WEFT_ATTACH: what it has pinned" "$(find "$TMP/bpf/second" -type f | wc -l)" 0
	works "beside one that was refused"
	second node --detach
	expect_eq "$WEFT_ATTACH: rules and filters after its --detach" "$(diff <(echo "$before") <(in_node) && echo same)" same
	works "after its --detach"
	expect_eq "$WEFT_ATTACH: nothing was to be put back" "$(weft stats weft.guard | awk '{ n += $2 } END { print n }')" 0

	(in_ns_exec elsewhere "$OUT/weftd" --state-dir "$TMP/state2" --run-dir "$TMP/run2" --bpffs "$TMP/bpf/second" \
		--cgroup "$CGROUP/second") 2>>"$TMP/second.log" &
	wait_until 30 "$OUT/weft" --run-dir "$TMP/run2" status --wait
	say "ok: $WEFT_ATTACH: in another network namespace it is let in"
	second elsewhere --detach
	works "after the end of that one"

	# The next one need not wait for what a dead one held.
	weftd_kill9
	weftd_start
	works "after a restart"
	in_ns node "$OUT/weftd" --detach --run-dir "$TMP/run" --bpffs "$TMP/bpf/weft"
	wait "$WEFTD" || true
	WEFTD=
done

# ---- any process may take the name ----

start_in node setpriv --reuid 65534 --regid 65534 --clear-groups -- /usr/bin/python3 -c 'import socket, time
held = [socket.socket(socket.AF_UNIX) for _ in range(2)]
for i, s in enumerate(held):
    s.bind("\0weftd/%d" % i)
    s.listen(1)
print("listening", flush=True)
time.sleep(600)' >"$TMP/squatter"
wait_until 5 grep -q listening "$TMP/squatter"
weftd_start
say "ok: names that another user has taken do not keep weftd from starting"
status=0
second node --nic nic0 2>/dev/null || status=$?
expect_eq "nor a second one from being refused: exit status" $status 1
