#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Another cluster at the same URL, with the same authority: what was known of the one before goes, and is not begun with.
. "${0%/*}/node.sh"

in_force() { weft get "$@" >/dev/null 2>&1; }

# another_cluster: nothing of etcd's stays
another_cluster() {
	local part
	for part in "${!KUBE_PIDS[@]}"; do
		kube_stop "$part"
	done
	rm -rf "$KUBE_DIR/etcd"
	kube_etcd_start
	kube_api_start
}

node_up
kube_up
rules_service old 60 | kube_apply
weftd_kube
in_force svc old || fail "the first cluster is not read"

# weftd begins with what it last knew, and has none of it left once the server has answered.
weftd_stop
another_cluster
rules_service newest 80 | kube_apply
weftd_kube
wait_until 90 in_force svc newest
in_force svc old && fail "a service of the cluster before is in force after a restart"
expect_match "the log says so" "$(cat "$TMP/weftd.log")" 'that of another cluster than before'

# Nor while it runs: its watches are of versions that the next cluster will not come to for long.
in_ns node curl -fsS "http://127.0.0.1:$ETCD_PORT/v3/kv/put?[1-3000]" -d '{"key": "YQ==", "value": "YQ=="}' >/dev/null
kube create namespace late >/dev/null
rules_service late 81 | kube_apply
wait_until 30 in_force svc late
stop_process "$WEFTD" # it asks no server that is still starting
another_cluster
kill -CONT "$WEFTD"
rules_service last 90 | kube_apply
wait_until 120 in_force svc last
in_force svc newest && fail "a service of the cluster before is in force"
in_force svc late && fail "a service of the cluster before is in force"
weftd_stop
