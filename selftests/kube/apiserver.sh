#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A real Kubernetes API server on 127.0.0.1, without nodes; ready in seconds.
#
#   apiserver.sh start DIR [PART...]    parts: etcd apiserver controllers; all of them, in this order, unless named
#   apiserver.sh stop DIR [PART...]     the same, in reverse; DIR's data stays
#
# Environment: TESTKUBE the binary (.output/cluster/testkube), API_PORT (16443), ETCD_PORT (12379), APISERVER_FLAGS more flags.
# DIR gets kubeconfig, admin.token, ca.crt, url, and PART.pid and PART.log of each part. An API server that was stopped and
# started again has lost its watch history; while a watch is open, it takes 2 s to stop.
set -euo pipefail

verb=${1:?start or stop}
KUBE_DIR=$(realpath -m "${2:?a directory}")
shift 2
root=$(cd "${0%/*}/../.." && pwd)
TESTKUBE=${TESTKUBE:-$root/.output/cluster/testkube}
. "$root/selftests/kube/lib.sh"

stop_part() {
	local pid try
	pid=$(cat "$KUBE_DIR/$1.pid" 2>/dev/null) || return 0
	rm -f "$KUBE_DIR/$1.pid"
	kill "$pid" 2>/dev/null || return 0
	for ((try = 0; try < 20; try++)); do
		kill -0 "$pid" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -9 "$pid" 2>/dev/null || true
}

stop() {
	local part
	[ $# -gt 0 ] || set -- controllers apiserver etcd
	for part; do
		stop_part "$part"
	done
}

start_part() {
	case $1 in
	etcd) kube_etcd ;;
	apiserver)
		kube_apiserver 127.0.0.1 127.0.0.1 --endpoint-reconciler-type none
		kube_apiserver_ready
		;;
	controllers) kube_controllers ;;
	*) echo "apiserver.sh: no part is called $1" >&2; return 2 ;;
	esac
}

start() {
	local part status
	[ $# -gt 0 ] || set -- etcd apiserver controllers
	for part; do
		status=0
		start_part "$part" || status=$?
		echo "$STARTED" >"$KUBE_DIR/$part.pid"
		[ $status -ne 0 ] || continue
		tail -n 5 "$KUBE_DIR/$part.log" >&2
		stop
		exit $status
	done
}

case $verb in
start)
	[ -x "$TESTKUBE" ] || { echo "apiserver.sh: $TESTKUBE is missing: selftests/cluster/prepare kube" >&2; exit 1; }
	umask 077
	mkdir -p "$KUBE_DIR"
	kube_keys IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc
	kube_config "https://127.0.0.1:$API_PORT"
	start "$@"
	;;
stop) stop "$@" ;;
*) echo "apiserver.sh: start or stop" >&2; exit 2 ;;
esac
