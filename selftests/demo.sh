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

title "The kernel has counted them, without a proxy: bpftool map dump pinned …/dests"
bpftool -j map dump pinned "$TMP/bpf/weft/dests" |
	jq -r '.[].formatted.value | select(.cx_total > 0) | "  \(.cx_total) connections by \(.route) to \(.cluster)"'

title "weft stats --filter '^cluster\..*\|v[12]\|.*upstream_cx_total$'"
weft stats --filter '^cluster\..*\|v[12]\|.*upstream_cx_total$' | sed 's/^/  /'

title "weft get vs,dr,gw"
weft get vs,dr,gw | sed 's/^/  /'

title "weft explain --from sleep --to tcp-echo:9000"
weft explain --from sleep --to tcp-echo:9000 | sed 's/^/  /'

title "That was weft: connections split by Istio's rules, with no proxy in their way. What the demo made goes now."
cat <<'END'
  Try next, .output/weft being weft:
    weft validate -R -f YOUR-RULES      would weft take the rules that you have? Neither root nor weftd is needed
    weft explain -f YOUR-RULES --from default --to HOST:PORT
                                        what they would do to a connection
    sudo make install                   the daemon on this machine: README.md, from "Install it" on
END
