#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The whole cluster applied again and again with one pod changed each time: neither memory nor the journal grows.
. "${0%/*}/lib.sh"

PODS_IN_DUMP=3000
ROUNDS=$(rounds 60 12)

# dump ROUND: as `kubectl get pods -o yaml` prints it; one pod has the round as a label
dump() {
	printf 'apiVersion: v1\nkind: List\nitems:\n'
	awk -v n=$PODS_IN_DUMP -v round="$1" 'BEGIN {
		for (i = 0; i < n; i++)
			printf "- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: pod-%d\n    labels: {app: a%d, round: \"%d\"}\n" \
				"  spec:\n    containers:\n    - name: main\n      ports:\n      - {name: http, containerPort: 8080}\n" \
				"  status: {phase: Running, podIP: 10.%d.%d.%d}\n", i, i % 50, i == round ? round : 0, \
				20 + i / 62500, i / 250 % 250, 1 + i % 250
	}'
}

rss() { awk '$1 == "VmRSS:" { print $2 }' "/proc/$WEFTD/status"; } # KiB
journal() { stat -c %s "$TMP/state/rules.journal"; }

node_up
weftd_start
dump 0 | apply
once_rss=$(rss)
once_journal=$(journal)
most_journal=0
for round in $(seq "$ROUNDS"); do
	dump "$round" | apply
	now=$(journal)
	((now <= most_journal)) || most_journal=$now
done
expect_between "KiB of memory after $ROUNDS applies (once: $once_rss)" "$(rss)" 1 $((3 * once_rss))
expect_between "bytes of the journal at most (once: $once_journal)" "$most_journal" 1 $((3 * once_journal + (2 << 20)))
weftd_stop
weftd_start
expect_eq "the last one is in force" "$(weft get pod "pod-$ROUNDS" -o json | jq -r .metadata.labels.round)" "$ROUNDS"
