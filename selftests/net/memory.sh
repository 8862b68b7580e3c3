#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What weft takes of a node's memory with 1,000 services and 10,000 endpoints.
. "${0%/*}/lib.sh"

MIB=1048576

# rss PID: bytes resident, those of files and shared maps included
rss() { awk '/^VmRSS/ { print $2 * 1024 }' "/proc/$1/status"; }

rss_within() { (($(rss "$1") <= $2)); }

# within WHAT BYTES MIB
within() { expect_between "$1, of $3 MiB" "$2" 1 $(($3 * MIB)); }

# What the kernel says is used has been true since 6.4.
tells_memory() {
	local major minor
	IFS=.- read -r major minor _ <<<"$(uname -r)"
	((major > 6 || (major == 6 && minor >= 4)))
}

node_up
pod_add client 1
pod_add one 2 app=echo
http_echo_start one 8080 one
weftd_start --workers 8
within "weft-proxy at rest" "$(rss "$(proxy_pid)")" 12
{
	rules_pods
	PROTOCOL=http rules_service echo 10 8080
	rules_subsets echo v1
	PROTOCOL=http rules_weights echo v1
	rules_many 1000 10
} | apply
# what a change has needed for a moment goes back once it has been answered
wait_until 5 rss_within "$WEFTD" $((22 * MIB))
within "weftd" "$(rss "$WEFTD")" 22
expect_eq "OpenSSL, which only certificates need, in weftd" "$(grep -c libcrypto "/proc/$WEFTD/maps" || true)" 0
within "weft-proxy, with rules" "$(rss "$(proxy_pid)")" 12
if tells_memory; then
	"$ROOT/selftests/bench/map-memory.sh" "$TMP/bpf/weft" >"$TMP/maps"
	cat "$TMP/maps"
	expect_between "maps: they are all there" "$(grep -c . "$TMP/maps")" 30 200
	within "maps" "$(awk '$2 == "all" { print $1 }' "$TMP/maps")" 32
fi

weftd_stop
weftd_start --workers 8
within "weftd that has started with all of them" "$(rss "$WEFTD")" 22
