#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tcp-echo tutorial between network namespaces: two versions, a client in a pod, a client outside, and the rules of
# yaml-rules/tcp-echo. Run by `make demo`, as root. Leaves nothing behind.
[ "$(id -u)" -eq 0 ] || { echo "demo: root is needed: sudo make demo" >&2; exit 1; }
. "${0%/*}/net/lib.sh"
RULES=$ROOT/yaml-rules/tcp-echo
SERVICE=10.96.10.1

title() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# What a hundred connections of each client were answered with.
call() {
	printf '  100 × sleep pod ─► tcp-echo:9000    %s\n' "$(load sleep $SERVICE 9000 -n 100 -s hello)"
	printf '  100 × outside   ─► node:31400       %s\n' "$(load world "$(addr 4 node)" 31400 -n 100 -s hello)"
}

title "A node with two versions of tcp-echo, a sleep pod, and weftd"
node_up
pod_add sleep 10
pod_add tcp-echo-v1 11
pod_add tcp-echo-v2 12
echo_start tcp-echo-v1 9000,9001,9002 one
echo_start tcp-echo-v2 9000,9001,9002 two
weftd_start
weft apply -f "$RULES/services.yaml" -f "$RULES/gateway.yaml" | sed 's/^/  /'

title "Everything to v1: weft apply -f yaml-rules/tcp-echo/all-v1.yaml"
weft apply -f "$RULES/all-v1.yaml" | sed 's/^/  /'
call

title "A fifth to v2: weft apply -f yaml-rules/tcp-echo/20-v2.yaml"
weft apply -f "$RULES/20-v2.yaml" | sed 's/^/  /'
call

title "weft stats -E '^cluster.*\|v[12]\|.*upstream_cx_total'"
weft stats -E '^cluster.*\|v[12]\|.*upstream_cx_total' | sed 's/^/  /'

title "The same without weft: bpftool map dump pinned …/dests"
bpftool map dump pinned "$TMP/bpf/weft/dests" | sed 's/^/  /'
