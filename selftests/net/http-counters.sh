#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the proxy counts lies in maps that outlive it, is shown by weft stats under Envoy's names, together with what the
# kernel has counted for the same cluster.
. "${0%/*}/lib.sh"

CLUSTER="outbound|9000|v1|echo.default.svc.cluster.local"
ROUTE="default/echo/http[0]"

# word NUMBER: as a map has it
word() { printf '%d 0 0 0 0 0 0 0 ' "$1"; }

# bytes TEXT SIZE: with zeros behind it
bytes() {
	local i
	for ((i = 0; i < $2; i++)); do
		if ((i < ${#1})); then printf '%d ' "'${1:i:1}"; else printf '0 '; fi
	done
}

# fields MAP: the names of its counters and how many words each takes, a line each, in their order. A gauge has a number of 32 bits for
# each weft-proxy that there may be.
fields() {
	bpftool -j map lookup pinned "$TMP/bpf/weft/$1" key 1 0 0 0 | jq -r '.formatted.value | to_entries[]
		| if .value | type == "number" then "\(.key) 1"
		  elif .value | type == "array" and all(type == "number") then "\(.key) \(.value | length / 2)"
		  else empty end'
}

# put MAP NAME ROOM [FIELD=VALUE...]: makes row 1, with 4 requests of 5 ms
put() {
	local map=$1 name=$2 room=$3 field size value words="" i
	shift 3
	while read -r field size; do
		value=0
		for i in "$@"; do [ "${i%=*}" != "$field" ] || value=${i#*=}; done
		words+=$(word "$value")' '
		for ((i = 1; i < size; i++)); do words+=$(word 0)' '; done
	done < <(fields "$map")
	for ((i = 0; i < 64; i++)); do words+=$(word $((i == 5 ? 4 : 0)))' '; done
	# No endpoint is out.
	[ "$map" != http_clusters ] || for ((i = 0; i < 24; i++)); do words+=$(word 0)' '; done
	# shellcheck disable=SC2046,SC2086
	bpftool map update pinned "$TMP/bpf/weft/$map" key 1 0 0 0 value $(bytes "$name" "$room") $words
}

another_than() {
	local now
	now=$(proxy_pid) && [ "$now" != 0 ] && [ "$now" != "$1" ]
}

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
echo_start one 9000 one
weftd_start
{
	rules_pods
	rules_service echo 10
	rules_subsets echo v1
	rules_weights echo v1
} | apply

load client "$(vip 4 10)" 9000 -n 7 -s hello >/dev/null
expect_eq "the kernel's connections" "$(stat_of "cluster.$CLUSTER.upstream_cx_total")" 7
expect_eq "nothing of the proxy's is shown before it has counted" "$(weft stats upstream_rq | wc -l)" 0

put http_clusters "$CLUSTER" 224 upstream_cx_total=5 upstream_cx_active=2 upstream_rq_total=9 upstream_rq_active=3 \
	upstream_rq_pending_overflow=6 ejections_active=1 ejections_enforced_total=8
put http_routes "$ROUTE" 160 rq_total=11 aborts_injected=10 upstream_rq_5xx=12
expect_eq "connections of both" "$(stat_of "cluster.$CLUSTER.upstream_cx_total")" 12
expect_eq "lines that say so" "$(weft stats "$CLUSTER.upstream_cx_total" | grep -c ^cluster)" 1
expect_eq "open ones" "$(stat_of "cluster.$CLUSTER.upstream_cx_active")" 2
expect_eq "requests" "$(stat_of "cluster.$CLUSTER.upstream_rq_total")" 9
expect_eq "refused ones" "$(stat_of "cluster.$CLUSTER.upstream_rq_pending_overflow")" 6
expect_eq "ejections" "$(stat_of "cluster.$CLUSTER.outlier_detection.ejections_enforced_total")" 8
expect_eq "requests of the route" "$(stat_of "route.$ROUTE.rq_total")" 11
expect_eq "faults" "$(stat_of "route.$ROUTE.fault.aborts_injected")" 10
expect_eq "times" "$(weft stats "$CLUSTER.upstream_rq_time:")" "cluster.$CLUSTER.upstream_rq_time: P0(nan,5) P25(nan,5.25) \
P50(nan,5.5) P75(nan,5.75) P90(nan,5.9) P95(nan,5.95) P99(nan,5.99) P99.5(nan,5.995) P99.9(nan,5.999) P100(nan,6)"
expect_eq "the same as JSON" "$(weft stats "route.$ROUTE" -o json | jq -c '[to_entries[] | .value | type] | unique')" \
	'["number","string"]'
expect_eq "by a regular expression" "$(weft stats -E 'upstream_rq_(5xx|total): (9|12)$' | wc -l)" 2
expect_eq "a pattern that is in no line is a regular expression" "$(weft stats '^cluster.*upstream_rq_(5xx|total)$' | wc -l)" 2
expect_eq "one that is in a line is that text" "$(weft stats "$CLUSTER.upstream_rq_total" | wc -l)" 1
expect_eq "as Envoy's filter takes it: by the name" "$(weft stats --filter 'upstream_rq_(5xx|total)$' | wc -l)" 4
expect_eq "a filter does not see values" "$(weft stats --filter ': 9$' | wc -l)" 0
expect_eq "what has not counted is left out" "$(weft stats --nonzero | grep -E ': (0|No recorded values)$' || true)" ""
expect_eq "healthy endpoints: one less than there are" "$(weft stats --filter "membership_(total|healthy)$" "$CLUSTER" | sort | sed 's/.*: //' | paste -sd' ')" \
	"1 2"
expect_eq "with nothing but bpftool" "$(dumped http_clusters "$CLUSTER" upstream_rq_total)" 9

first=$(proxy_pid)
kill -9 "$first"
wait_until 5 another_than "$first"
wait_until 5 eval '[ "$(stat_of "cluster.$CLUSTER.upstream_rq_active")" = 0 ]'
expect_eq "what the next proxy finds open" "$(stat_of "cluster.$CLUSTER.upstream_cx_active")" 0
expect_eq "endpoints that it finds out" "$(stat_of "cluster.$CLUSTER.outlier_detection.ejections_active")" 0
expect_eq "connections go on being counted" "$(stat_of "cluster.$CLUSTER.upstream_cx_total")" 12
expect_eq "requests, too" "$(stat_of "cluster.$CLUSTER.upstream_rq_total")" 9
