#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What L4 steering costs: against no mesh at all, and against iptables DNAT, in a bare node and in one with many rules of its own; how
# it grows with the number of services; how long rules take; how much memory. Everything that is measured runs on one core, rounds of
# the ways alternated, medians. Each way has a node of its own, which is made anew after some rounds: where its objects come to lie in
# memory is worth 3 % of a round trip either way. Writes RESULTS.md beside this file.
#
#   BENCH_ROUNDS   rounds (15)      BENCH_SECONDS  length of one measurement (0.5)      BENCH_CPU  the core (0)
#   BENCH_SETUPS   how often the nodes are made (5)
#   BENCH_RESULTS  the file to write instead
#   BENCH_BEFORE   what another checkout has built, its .output: its weft is measured, too
. "${0%/*}/lib.sh"

ROUNDS=${BENCH_ROUNDS:-15}
SETUPS=${BENCH_SETUPS:-5}
SECONDS_EACH=${BENCH_SECONDS:-0.5}
CPU=${BENCH_CPU:-0}
SERVICES="1 1000 10000"
GROWTH_ROUNDS=$(((2 * ROUNDS + 4) / 5))
CHURN_RATE=4000
FORWARD_RULES=2000
ENDPOINTS_EACH=10
BENCH=$OUT/bench/tcp-bench
RESULTS=${BENCH_RESULTS:-$ROOT/selftests/bench/RESULTS.md}
OTHERS=$(other_cpus "$CPU")

BARE="direct iptables weft${BEFORE:+ before} short${BEFORE:+ before-short} passed"
LOADED="loaded-direct loaded-iptables loaded-weft"

# ---- nodes, alike but for who steers ----

steers() { case $WAY in *direct | *iptables) return 1 ;; esac }

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

# As network policies write them: what is established passes, what is new goes by all of them.
forward_rules() {
	local tables net
	for tables in iptables ip6tables; do
		net=192.0.2.1
		[ $tables = iptables ] || net=2001:db8::1
		{
			echo "*filter"
			echo "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
			seq -f "-A FORWARD -s $net -p tcp -m tcp --dport %.0f -j DROP" $FORWARD_RULES
			echo COMMIT
		} | in_ns node $tables-restore --noflush
	done
}

pods_known() { ! weft status | grep -q "is not found"; }
cut_short() { weft status | grep -q "^short cut .*in use$"; }

weft_rules() {
	{
		rules_pods
		rules_service echo 10
		rules_subsets echo "v1 v2"
		rules_weights echo v1=80 v2=20
	} | apply
}

# steered OPTION...: this node, by weft
steered() {
	weft_up "$OTHERS" "$@"
	weft_rules
	wait_until 10 pods_known
}

# Each by the name of its way.
nodes_up() {
	local way
	for way in $BARE $LOADED; do
		use "$way"
		node_with_servers
		case $way in *iptables) iptables_rules ;; esac
		case $way in loaded-*) forward_rules ;; esac
		case $way in
		weft | before) steered --shortcut never ;;
		short | before-short | passed)
			steered --shortcut auto
			wait_until 5 cut_short
			;;
		loaded-weft) steered --shortcut auto ;;
		esac
	done
}

# target WAY FAMILY: what its client calls
target() {
	case $1 in
	*direct | passed) echo "$(addr "$2" one),$(addr "$2" two)" ;;
	*) vip "$2" 10 ;;
	esac
}

measure() ( # WAY rtt|conn|flow|churn FAMILY [SECONDS [RATE]]
	use "$1"
	in_ns client taskset -c "$CPU" "$BENCH" "$2" "$(target "$1" "$3")" 9000 "${4:-$SECONDS_EACH}" "${@:5}"
)

# It must be weft that has been measured.
expect_steered() {
	local way
	for way in weft short loaded-weft ${BEFORE:+before before-short}; do
		use "$way"
		[ "$(cluster_stat v1 upstream_cx_total)" -gt 0 ] || fail "$way: no connection has been steered"
	done
	use short
	cut_short || fail "short: the short cut has not been in use all the time"
	use passed
	[ "$(cluster_stat v1 upstream_cx_total)" = 0 ] || fail "passed: connections have been steered"
}

compare() { # WAYS
	local round family what way
	for round in $(seq $(((ROUNDS + SETUPS - 1) / SETUPS))); do
		for family in 4 6; do
			for what in rtt conn flow; do
				for way in $1; do
					measure "$way" $what $family >>"$BENCH_DATA/$way.$what.$family"
				done
			done
		done
		echo "${1%% *} and others, round $round" >&2
	done
}

# row WHAT FAMILY TEXT WAYS RATIOS: a ratio as way/way
row() {
	local way ratio
	printf '| %s, IPv%s |' "$3" "$2"
	for way in $4; do
		printf ' %s |' "$(median <"$BENCH_DATA/$way.$1.$2")"
	done
	for ratio in $5; do
		printf ' %s |' "$(ratio_of "$BENCH_DATA/${ratio%/*}.$1.$2" "$BENCH_DATA/${ratio#*/}.$1.$2")"
	done
	echo
}

# table_head COLUMN...: of a table
table_head() {
	local name
	printf '| |'
	for name; do
		name=${name//loaded-/}
		name=${name//short/short cut}
		printf ' %s |' "${name/\// / }"
	done
	printf '\n|---|'
	printf -- '---|%.0s' "$@"
	echo
}

# table WAYS RATIOS
table() {
	local family
	# shellcheck disable=SC2086 # words are meant
	table_head $1 $2
	for family in 4 6; do
		row rtt $family "round trip, p50, µs" "$1" "$2"
		row conn $family "connections per second" "$1" "$2"
		row flow $family "one connection, Gbit/s" "$1" "$2"
	done
}

# ---- processor time of new connections ----

# Nanoseconds that weftd and weft-proxy have run, on the other cores.
daemons_ns() {
	if steers && [ "$OTHERS" != "$CPU" ]; then
		cat "/proc/$WEFTD/task"/*/schedstat "/proc/$PROXY/task"/*/schedstat
	fi | awk '{ ns += $1 } END { printf "%.0f\n", ns }'
}

# Milliseconds per 1,000 connections.
churn_once() { # WAY FAMILY
	local before core
	use "$1"
	! steers || PROXY=$(proxy_pid)
	before=$(daemons_ns)
	core=$(measure "$1" churn "$2" "$SECONDS_EACH" $CHURN_RATE)
	awk -v core="$core" -v ns=$(($(daemons_ns) - before)) -v count="$CHURN_RATE" -v seconds="$SECONDS_EACH" \
		'BEGIN { printf "%.2f\n", core + ns / 1e3 / (count * seconds) }'
}

churn() {
	local round family way
	for round in $(seq "$ROUNDS"); do
		for family in 4 6; do
			for way in direct weft ${BEFORE:+before} short ${BEFORE:+before-short}; do
				churn_once "$way" $family >>"$BENCH_DATA/$way.churn.$family"
			done
		done
		echo "processor time, round $round of $ROUNDS" >&2
	done
}

churn_table() {
	local family ways="direct weft short" ratios="weft/direct short/direct"
	# shellcheck disable=SC2086 # words are meant
	table_head $ways $ratios
	for family in 4 6; do
		row churn $family "ms per 1,000 connections" "$ways" "$ratios"
	done
}

# ---- another tree's ----

before_rows() {
	local family ratios="weft/before short/before-short"
	table_head weft/before short/before
	for family in 4 6; do
		row rtt $family "round trip" "" "$ratios"
		row conn $family "connections per second" "" "$ratios"
		row flow $family "one connection, Gbit/s" "" "$ratios"
		row churn $family "processor time of new connections" "" "$ratios"
	done
}

before_table() {
	[ -n "$BEFORE" ] || return 0
	cat <<-END

	## Before

	Against what was built at $(revision "$BEFORE"), in the same rounds.

	$(before_rows)
	END
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

rss_bytes() { awk '/^VmRSS/ { print $2 * 1024 }' "/proc/$1/status"; }

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
			sleep 2 # weftd gives back what a change has needed
			rss_bytes "$WEFTD" >>"$TMP/rss.$count"
			rss_bytes "$(proxy_pid)" >>"$TMP/proxy.$count"
			map_bytes "$TMP/map.$count" >>"$TMP/maps.$count"
			weft delete -f "$TMP/many.$count" >/dev/null
		done
		echo "services, round $round of $GROWTH_ROUNDS" >&2
	done
}

growth_rows() {
	local count
	echo "| services | endpoints | connections per second | cost, against one service |"
	echo "|---|---|---|---|"
	for count in $SERVICES; do
		echo "| $count | $((count * ENDPOINTS_EACH)) | $(median <"$TMP/services.$count") |" \
			"$(ratio_of "$TMP/services.1" "$TMP/services.$count") |"
	done
}

# Of the first round: what is freed later may stay with the process.
memory_rows() {
	local count
	echo "| services | endpoints | weftd, MiB | weft-proxy, MiB | maps, MiB |"
	echo "|---|---|---|---|---|"
	for count in $SERVICES; do
		echo "| $count | $((count * ENDPOINTS_EACH)) | $(mib "$(head -1 "$TMP/rss.$count")") |" \
			"$(mib "$(head -1 "$TMP/proxy.$count")") | $(mib "$(head -1 "$TMP/maps.$count")") |"
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

	Pod to pod on one node, all of it on core $CPU; medians of $ROUNDS rounds of $SECONDS_EACH s each, the ways taking turns, each in a node
	of its own, made $SETUPS times. *direct*: routed by the node, no mesh. *iptables*: DNAT 80/20 with \`-m statistic\`. *weft*: a route with weights 80/20,
	\`--shortcut never\`. *short cut*: the same with \`--shortcut auto\`, which is in use. *passed*: on such a node, but from pod to pod without
	a service, which is none of weft's business. Without a service, the client itself calls the two endpoints in these shares. Ratios are
	medians of each round's. TCP's congestion control is Reno in all.

	$(table "$BARE" "weft/direct weft/iptables short/direct passed/direct")

	A connection is opened, exchanges a byte each way and is reset, one after the other.

	## A node with $FORWARD_RULES rules in FORWARD

	Each node tracks connections and lets pass what is established; what is new goes by all of the rules. No short cut is taken there.

	$(table "$LOADED" "loaded-weft/loaded-direct loaded-weft/loaded-iptables")

	## Processor time of new connections

	$CHURN_RATE connections a second, as above: all that the core did, and weftd and weft-proxy on the others; medians of $ROUNDS rounds.

	$(churn_table)

	## More services

	$(growth_rows)

	## Memory

	$(memory_rows)

	Resident, without any connection; what the kernel accounts for the maps, most of it for tables of a fixed size.

	## Rules

	\`weft apply\` of 10,000 services with $((10000 * ENDPOINTS_EACH)) endpoints: $(median <"$TMP/apply.all") ms.
	One changed rule on top of them: $(median <"$TMP/apply.one") ms.
	END
	before_table
}

# rounds: some of them, on nodes of their own; what they measure is appended in BENCH_DATA
if [ "${1:-}" = rounds ]; then
	nodes_up
	compare "$BARE"
	compare "$LOADED"
	expect_steered
	exit
fi

tmp_up
export BENCH_DATA=$TMP/data
mkdir "$BENCH_DATA"
for setup in $(seq "$SETUPS"); do
	echo "nodes $setup of $SETUPS" >&2
	"$0" rounds
done
nodes_up
churn
growth
apply_times
report >"$TMP/results"
cp "$TMP/results" "$RESULTS"
cat "$RESULTS"
