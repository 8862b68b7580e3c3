#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An apply that keeps weftd busy for longer than a peer may be silent is answered in full all the same.
. "${0%/*}/lib.sh"

STALL_S=10 # WIRE_STALL_S

node_up
weftd_start

pods() {
	awk -v n="$1" 'BEGIN {
		for (i = 0; i < n; i++)
			printf "---\napiVersion: v1\nkind: Pod\nmetadata: {name: pod-%d}\nspec: {}\nstatus: {podIP: 10.%d.%d.%d}\n", \
				i, 20 + i / 62500, i / 250 % 250, 1 + i % 250
	}'
}

# As many as this machine is still busy with after half a second.
for count in 40000 80000 160000 320000 640000; do
	pods $count >"$TMP/pods.yaml"
	weft apply -f "$TMP/pods.yaml" >"$TMP/said" &
	applying=$!
	sleep 0.5
	! kill -0 $applying 2>/dev/null || break
done
kill -0 $applying 2>/dev/null || fail "every apply was over too soon"
# Standing in for a slower machine: weftd stops in the middle of its work.
stop_process "$WEFTD"
sleep $((STALL_S + 2))
kill -CONT "$WEFTD"
wait $applying || fail "weft apply ended with status $?"
expect_eq "objects in the answer" "$(wc -l <"$TMP/said")" $count
