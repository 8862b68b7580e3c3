#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What L4 steering costs: against no mesh at all, and against iptables DNAT; how it grows with the number of services; how long
# rules take. Everything on one core, rounds of the three ways alternated, medians. Writes RESULTS.md beside this file.
#
#   BENCH_ROUNDS   rounds (15)      BENCH_SECONDS  length of one measurement (0.5)      BENCH_CPU  the core (0)
. "${0%/*}/lib.sh"

ROUNDS=${BENCH_ROUNDS:-15}
SECONDS_EACH=${BENCH_SECONDS:-0.5}
CPU=${BENCH_CPU:-0}
SERVICES="1 1000 10000"
GROWTH_ROUNDS=9
ENDPOINTS_EACH=10
BENCH=$OUT/bench/tcp-bench
RESULTS=$ROOT/selftests/bench/RESULTS.md

pinned_to_core() { taskset -c "$CPU" "$@"; }

# ---- three nodes, alike but for who steers ----

node_with_servers() {
	local pod log
	PODS=()
	node_up
	pod_add client 1
	pod_add one 2 app=echo,version=v1
	pod_add two 3 app=echo,version=v2
	for pod in one two; do
		log=$(mktemp "$TMP/serve.XXXXXX")
		start_in $pod taskset -c "$CPU" "$BENCH" serve 9000 >"$log"
		wait_until 5 grep -q listening "$log"
	done
	same_tcp
}

iptables_rules() {
	local family tables to
	for family in 4 6; do
		tables=iptables
		[ $family = 4 ] || tables=ip6tables
		to=("$tables" -t nat -A PREROUTING -d "$(vip $family 10)" -p tcp --dport 9000)
		in_ns node "${to[@]}" -m statistic --mode random --probability 0.8 \
			-j DNAT --to-destination "$(hostport "$(addr $family one)" 9000)"
		in_ns node "${to[@]}" -j DNAT --to-destination "$(hostport "$(addr $family two)" 9000)"
	done
}

weft_rules() {
	{
		rules_pods
		rules_service echo 10
		rules_subsets echo "v1 v2"
		rules_weights echo v1=80 v2=20
	} | apply
}

measure() { # direct|iptables|weft|passed rtt|conn|flow FAMILY
	local to
	use "${1/passed/weft}"
	case $1 in
	direct | passed) to=$(addr "$3" one) ;;
	*) to=$(vip "$3" 10) ;;
	esac
	pinned_to_core nsenter --net="/run/netns/$(netns client)" "$BENCH" "$2" "$to" 9000 "$SECONDS_EACH"
}

compare() {
	local round family what way
	for round in $(seq "$ROUNDS"); do
		for family in 4 6; do
			for what in rtt conn flow; do
				for way in direct iptables weft passed; do
					measure $way $what $family >>"$TMP/$way.$what.$family"
				done
			done
		done
		echo "round $round of $ROUNDS" >&2
	done
}

row() { # WHAT FAMILY TEXT
	local way
	printf '| %s, IPv%s |' "$3" "$2"
	for way in direct iptables weft passed; do
		printf ' %s |' "$(median <"$TMP/$way.$1.$2")"
	done
	printf ' %s |' "$(ratio_of "$TMP/weft.$1.$2" "$TMP/direct.$1.$2")" \
		"$(ratio_of "$TMP/weft.$1.$2" "$TMP/iptables.$1.$2")" "$(ratio_of "$TMP/passed.$1.$2" "$TMP/direct.$1.$2")"
	echo
}

comparison() {
	local family
	echo "| | direct | iptables | weft | passed | weft / direct | weft / iptables | passed / direct |"
	echo "|---|---|---|---|---|---|---|---|"
	for family in 4 6; do
		row rtt $family "round trip, p50, µs"
		row conn $family "connections per second"
		row flow $family "one connection, Gbit/s"
	done
}

# ---- many services ----

# Milliseconds that COMMAND takes.
time_ms() {
	local start=${EPOCHREALTIME/./}
	"$@" >/dev/null
	echo $(((${EPOCHREALTIME/./} - start) / 1000))
}

# Bytes of all maps; map by map in the file that is named.
map_bytes() {
	"$ROOT/selftests/bench/map-memory.sh" "$TMP/bpf/weft" >"$1"
	awk '$2 == "all" { print $1 }' "$1"
}

mib() { awk -v n="$1" 'BEGIN { printf "%.1f", n / 1048576 }'; }

rss_bytes() { awk '/^VmRSS/ { print $2 * 1024 }' "/proc/$WEFTD/status"; }

growth() {
	local round count
	for count in $SERVICES; do
		rules_many "$count" $ENDPOINTS_EACH >"$TMP/many.$count"
	done
	for round in $(seq $GROWTH_ROUNDS); do
		for count in $SERVICES; do
			use weft
			weft apply -f "$TMP/many.$count" >/dev/null
			for _ in 1 2 3; do
				measure weft conn 4
			done | median >>"$TMP/services.$count"
			rss_bytes >>"$TMP/rss.$count"
			map_bytes "$TMP/map.$count" >>"$TMP/maps.$count"
			weft delete -f "$TMP/many.$count" >/dev/null
		done
		echo "services, round $round of $GROWTH_ROUNDS" >&2
	done
}

growth_rows() {
	local count
	echo "| services | endpoints | connections per second | cost, against one service | weftd, MiB | maps, MiB |"
	echo "|---|---|---|---|---|---|"
	for count in $SERVICES; do
		echo "| $count | $((count * ENDPOINTS_EACH)) | $(median <"$TMP/services.$count") |" \
			"$(ratio_of "$TMP/services.1" "$TMP/services.$count") |" \
			"$(mib "$(head -1 "$TMP/rss.$count")") | $(mib "$(head -1 "$TMP/maps.$count")") |"
	done
}

# ---- how long rules take ----

apply_times() {
	local n weight
	use weft
	for n in 1 2 3; do
		time_ms weft apply -f "$TMP/many.10000" >>"$TMP/apply.all"
		for weight in 70 60 50 40 80; do
			rules_weights echo v1=$weight v2=$((100 - weight)) >"$TMP/one"
			time_ms weft apply -f "$TMP/one" >>"$TMP/apply.one"
		done
		weft delete -f "$TMP/many.10000" >/dev/null
		echo "apply, round $n of 3" >&2
	done
}

report() {
	cat <<-END
	# L4: what steering costs

	Written by \`make bench-l4\` on $(date -u +%F) at $(revision).
	$(machine "$(clang --version | head -1)")

	Pod to pod on one node, all of it on core $CPU; medians of $ROUNDS rounds of $SECONDS_EACH s each, the ways taking turns.
	*direct*: routed by the node, no mesh. *iptables*: DNAT 80/20 with \`-m statistic\`. *weft*: a route with weights 80/20.
	*passed*: on weft's node, but from pod to pod without a service, which is none of weft's business.
	Ratios are medians of each round's. TCP's congestion control is Reno in all.

	$(comparison)

	A connection is opened, exchanges a byte each way and is reset, one after the other.

	## More services

	$(growth_rows)

	## Rules

	\`weft apply\` of 10,000 services with $((10000 * ENDPOINTS_EACH)) endpoints: $(median <"$TMP/apply.all") ms.
	One changed rule on top of them: $(median <"$TMP/apply.one") ms.
	END
}

use iptables
node_with_servers
iptables_rules
use direct
node_with_servers
use weft
node_with_servers
weftd_start
weft_rules

compare
growth
apply_times
report >"$TMP/results"
cp "$TMP/results" "$RESULTS"
cat "$RESULTS"
