#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Segments that an open connection's receiver would not accept (a copy of its SYN, one out of the window, an old one) change
# nothing: the connection goes on, and its place comes back when the endpoint or the client really ends it.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2
weftd_start
{
	rules_pods
	rules_service one 10
	rules_subsets one "" "connectionPool: {tcp: {maxConnections: 1}}"
	rules_door 31400 one 9000
} | apply

active_is() { [ "$(cluster_stat '' upstream_cx_active one)" = "$1" ]; }
soon() { # PLACES: within a second
	for _ in $(seq $((20 * SLOWER))); do
		active_is "$1" && return
		sleep 0.05
	done
}

# Each: what is sent in between, of a connection that has sent "xxx...\n" of 10 bytes and got its answer.
scripts=(
	"a copy of the SYN|syn"
	"three copies of the SYN|syn syn syn"
	"a SYN with another number, in the window|oldsyn:1000"
	"a SYN with another number, out of the window|oldsyn:-100000"
	"a SYN of another connection, far ahead|oldsyn:1000000000"
	"a FIN that is out of the window|oddfin:200000"
	"a FIN from before|oddfin:-300000"
	"a FIN that comes before the data in front of it|oddfin:1000"
	"a RST that is out of the window|oddrst:2000000"
	"a RST from before|oddrst:-5"
	"a RST in the window, but not the next|oddrst:1000"
	"an old acknowledgement and data that was there already|seq:-10 data:10"
	"all of it|syn oldsyn:-100000 oddfin:200000 oddrst:2000000 seq:-10 data:10 syn"
)
open="syn synack ack data:10 answer:14"

# started FROM TO PORT SPORT STEP...: a connection by hand in the background; $HAND is its process
started() {
	raw "$1" "$2" "$4" "$3" "${@:5}" >"$TMP/hand" 2>&1 &
	HAND=$!
}

# try WHAT FROM TO PORT SPORT STRAY: the connection goes on after it, holds its place, and gives it back at the endpoint's RST
try() {
	local what=$1 from=$2 to=$3 port=$4 sport=$5 log
	shift 5
	log=$(mktemp "$TMP/echo.XXXXXX")
	start_in one "$APPS/tcp-echo" --abort 9000 one >"$log"
	local server=$STARTED
	wait_until 5 grep -q listening "$log"
	# shellcheck disable=SC2086 # words are meant
	started "$from" "$to" "$port" "$sport" $open $1 sleep:100 norst data:10 answer:28 sleep:250 wantrst
	sleep 0.2
	for _ in $(seq 20); do
		in_ns one ss -Htn state established | grep -q . && break
		sleep 0.05
	done
	sleep 0.15
	row "$what: places" "$(cluster_stat '' upstream_cx_active one)" "${2:-1}"
	kill -9 "$server"
	wait "$server" 2>/dev/null || true
	if wait "$HAND"; then row "$what: goes on" fine fine; else row "$what: goes on" "$(<"$TMP/hand")" fine; fi
	soon 0
	row "$what: places after the endpoint's RST" "$(cluster_stat '' upstream_cx_active one)" 0
}
