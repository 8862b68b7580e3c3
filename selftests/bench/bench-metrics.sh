#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a scrape costs weftd at so many services: processor time of weftd, and how much it sends, by how many rows of requests there are
# (each is told by both reporters, 134 time series), as text and packed, when none has counted since the last one and when all have;
# medians. Nothing else runs beside it but the scrapes. Then, what requests and connections wait for scrapes: their latency with a scraper
# at 10 Hz and without, in turn. Writes RESULTS-METRICS.md beside this file.
#
#   BENCH_SERVICES   (1000)                               BENCH_ROWS      (0 10 100 500 1000)
#   BENCH_SCRAPES    in each measurement (30)             BENCH_ROUNDS    (3)
#   BENCH_TURNS      with and without a scraper (20)      BENCH_LOOKS     measurements in each (20)
#   BENCH_SECONDS    length of one of those (0.1)
#   BENCH_PROXY_CPU  weftd's core (0), and weft-proxy's, where it is not apart from it
#   BENCH_LOAD_CPU   the others' (1)
. "${0%/*}/lib.sh"

SERVICES=${BENCH_SERVICES:-1000}
ROWS=${BENCH_ROWS-0 10 100 500 1000}
SCRAPES=${BENCH_SCRAPES:-30}
ROUNDS=${BENCH_ROUNDS:-3}
TURNS=${BENCH_TURNS:-20}
LOOKS=${BENCH_LOOKS:-20}
SECONDS_EACH=${BENCH_SECONDS:-0.1}
PROXY_CPU=${BENCH_PROXY_CPU:-0}
LOAD_CPU=${BENCH_LOAD_CPU:-1}
BENCH=$ROOT/selftests/bench
RESULTS=${BENCH_RESULTS:-$BENCH/RESULTS-METRICS.md}
ADDRESS=127.0.0.1:15020
URL=http://$ADDRESS/metrics
BOTH=3
CONNS=32
SCRAPED_ROWS=100
KINDS="requests apart connections"
declare -A VIP=([requests]=10 [apart]=10 [connections]=11) RATE # of each kind of load

node_with_services() {
	node_up
	hosts
	pod_add client 1
	# It calls the same endpoints itself and by weft-proxy, whose ports are none of these (docs/connections.md).
	in_ns client sysctl -qw net.ipv4.ip_local_port_range="32768 60999"
	http_endpoints "$LOAD_CPU"
	same_tcp
}

start_weft() {
	FILL=(/usr/bin/python3 "$BENCH/traffic-fill.py" "$TMP/bpf/weft") # ROWS REPORTERS [more]
	weft_up "$PROXY_CPU" --workers 1 --metrics $ADDRESS --metrics-series-max 10000000
	wait_until 5 pods_attached
	{
		rules_pods
		PROTOCOL=http rules_service echo "${VIP[requests]}" 8000:8080
		PROTOCOL=http rules_routes echo "- {match: [{uri: {prefix: /bytes}}], route: [{destination: {host: echo}}]}"
		rules_service plain "${VIP[connections]}" 8000:8080 app=echo
		rules_many "$SERVICES" 3
	} >"$TMP/rules.yaml"
	weft apply -f "$TMP/rules.yaml" >/dev/null
}

# ---- what a scrape costs ----

# spent: processor time of weftd so far, ns, by its own clock, as clock_getcpuclockid() has it
spent() { /usr/bin/python3 -c 'import sys, time; print(int(time.clock_gettime((~int(sys.argv[1]) << 3) | 2) * 1e9))' "$WEFTD"; }

scrape() { in_ns node taskset -c "$LOAD_CPU" curl -sS -o "$TMP/scraped" "$@" "$URL"; }

scrapes() { in_ns node taskset -c "$LOAD_CPU" /usr/bin/python3 "$BENCH/scrape.py" "$ADDRESS" "$@"; }

# cost ENCODING [COMMAND]: milliseconds of weftd for a scrape, less what it does without; COMMAND is run before each
cost() {
	local from begun took idle
	scrapes 1 "$1"
	from=$(spent) begun=$(milliseconds)
	scrapes "$SCRAPES" "$@"
	took=$(($(milliseconds) - begun)) from=$(($(spent) - from))
	idle=$(spent)
	sleep "$(awk "BEGIN { print $took / 1000 }")"
	awk "BEGIN { printf \"%.2f\n\", ($from - ($(spent) - $idle)) / $SCRAPES / 1e6 }"
}

measure() { # ROWS
	local round
	for ((round = 0; round < ROUNDS; round++)); do
		cost identity >>"$TMP/text-$1"
		cost gzip >>"$TMP/same-$1"
		cost gzip "${FILL[@]}" "$1" $BOTH more >>"$TMP/counted-$1"
	done
}

# sizes ROWS: lines, bytes as text and packed
sizes() {
	scrape -H 'Accept-Encoding: gzip'
	local packed
	packed=$(stat -c %s "$TMP/scraped")
	scrape
	echo "$(wc -l <"$TMP/scraped") $(stat -c %s "$TMP/scraped") $packed"
}

cost_rows() {
	local rows lines text packed
	for rows in $ROWS; do
		"${FILL[@]}" "$rows" $BOTH
		measure "$rows"
		read -r lines text packed <<<"$(sizes)"
		echo "| $rows | $lines | $text | $packed | $(median <"$TMP/text-$rows") | $(median <"$TMP/counted-$rows") |" \
			"$(median <"$TMP/same-$rows") |"
	done
}

# ---- what waits for scrapes ----

# place KIND: weft-proxy on its core, which weftd has, too, or on that of client and endpoints, apart from weftd
place() {
	local cpu=$PROXY_CPU
	[ "$1" != apart ] || cpu=$LOAD_CPU
	taskset -a -p -c "$cpu" "$PROXY" >/dev/null
}

# loaded KIND SECONDS [http-load's options]: the result; every request was answered
loaded() {
	local kind=$1 seconds=$2 result
	shift 2
	if [ "$kind" = connections ]; then set -- --close "$@"; else set -- --warm --cpu-of "$PROXY" "$@"; fi
	result=$(taskset -c "$LOAD_CPU" nsenter --net="/run/netns/$(netns client)" "$APPS/http-load" "$(vip 4 "${VIP[$kind]}")" 8000 \
		-H "Host: echo:8000" -p /bytes/64 -c "$CONNS" -d "$seconds" -t 60000 "$@")
	[ "$(jq -r '(.errors | length) == 0 and (.statuses | keys) == ["200"]' <<<"$result")" = true ] ||
		fail "not all requests were answered: $result"
	[ "$kind" = connections ] || [ "$(jq '.cpu_us > .answered' <<<"$result")" = true ] || fail "weft-proxy had nothing to do: $result"
	echo "$result"
}

scrapes_so_far() { in_ns node curl -sS "$URL" | awk '$1 == "weft_metrics_scrapes_total" { print $2 }'; }

# As Prometheus asks, over one connection. It would be on another machine: it gives way to all else. Its core is weftd's, so that neither
# has to wake another core for the other, which a virtual machine may take longer for than a request takes.
scraper_start() {
	start_in node chrt --idle 0 taskset -c "$PROXY_CPU" curl -sS --rate 10/s -H 'Accept-Encoding: gzip' -o /dev/null "$URL?[1-100000]"
	wait_until 5 asked_since "$(scrapes_so_far)" 2
}

# asked_since BEFORE N: N times, beside this question
asked_since() { [ "$(($(scrapes_so_far) - $1))" -gt "$2" ]; }

scraper_stop() {
	kill "$STARTED"
	wait "$STARTED" || true
}

# Nanoseconds that weft-proxy's threads have waited for their core.
waited() { awk '{ ns += $2 } END { printf "%.0f\n", ns }' "/proc/$PROXY/task"/*/schedstat; }

# turn KIND without|with: short measurements, of which a machine that has other things to do for a moment spoils a few
turn() {
	local result from i
	for ((i = 0; i < LOOKS; i++)); do
		from=$(waited)
		result=$(loaded "$1" "$SECONDS_EACH" -r "${RATE[$1]}")
		jq --argjson ns $(($(waited) - from)) '$ns / 1000 / .answered' <<<"$result" >>"$TMP/waited.$1.$2"
		jq .latency_us.p50 <<<"$result" >>"$TMP/p50.$1.$2"
		jq .latency_us.p99 <<<"$result" >>"$TMP/p99.$1.$2"
	done
}

# A quarter of what one can have at most: at half of it requests wait for each other for a millisecond, scrapes or none.
find_rate() { RATE[$1]=$(loaded "$1" 1 | jq '.rate / 4 | floor'); }

turns() {
	local i kind before
	"${FILL[@]}" $SCRAPED_ROWS $BOTH
	PROXY=$(proxy_pid)
	for kind in $KINDS; do
		place $kind
		loaded $kind 1 >/dev/null
		find_rate $kind
	done
	for ((i = 0; i < TURNS; i++)); do
		for kind in $KINDS; do
			place $kind
			turn $kind without
			scraper_start
			before=$(scrapes_so_far)
			turn $kind with
			asked_since "$before" "$(awk "BEGIN { print int(5 * $LOOKS * $SECONDS_EACH) }")" || fail "it was asked less than half as often as it should be"
			scraper_stop
		done
		echo "turn $((i + 1)) of $TURNS" >&2
	done
}

waited_row() { printf '| %.2f | %.2f |\n' "$(median <"$TMP/waited.requests.without")" "$(median <"$TMP/waited.requests.with")"; }

latency_row() { # KIND WHAT
	local p
	printf '| %s | %s |' "$2" "${RATE[$1]}"
	for p in p50 p99; do
		printf ' %.0f | %.0f | %s |' "$(median <"$TMP/$p.$1.without")" "$(median <"$TMP/$p.$1.with")" \
			"$(ratio_of "$TMP/$p.$1.with" "$TMP/$p.$1.without")"
	done
	echo
}

# ---- the report ----

write_report() {
	cat <<-END
	# What /metrics costs

	\`make bench-metrics\` at $(revision), $(date -u +%F). $SERVICES services of three endpoints; $SCRAPES scrapes in each of $ROUNDS rounds, medians:
	milliseconds of processor time of weftd for one scrape, writing to the socket included. Packed, it depends on how many rows
	have counted since the scrape before: all of them, in all of their buckets, or none.

	| rows of requests | lines | bytes as text | packed | ms, text | ms, packed, all have counted | ms, packed, none has |
	|---|---|---|---|---|---|---|
	$(cat "$TMP/cost")

	## What waits for a scrape

	Latency, µs, with a scraper at 10 Hz, which asks for gzip as Prometheus does, and without, in turn; $SCRAPED_ROWS rows of requests. Medians of $TURNS turns of
	$LOOKS measurements of $SECONDS_EACH s each, and of their ratios. Pod to pod on one node, at a quarter of the rate that it can do at most, counted from when a request should have been
	sent. weftd is on core $PROXY_CPU with the scraper, which would be on another machine and gives way to all else (SCHED_IDLE); client and endpoints
	are on core $LOAD_CPU. weft-proxy is there, too, as on a node that has another core for a scrape, or shares core $PROXY_CPU with weftd. A p99
	of many times p50 without a scraper is of a machine that had other things to do.

	| | per second | p50 without | with | ratio | p99 without | with | ratio |
	|---|---|---|---|---|---|---|---|
	$(latency_row apart "HTTP requests through weft-proxy, $CONNS connections kept")
	$(latency_row requests "the same, weft-proxy and weftd on one core")
	$(latency_row connections "TCP: connect, a round trip, close")

	How long weft-proxy, ready to run, waited for the core that it shares with weftd, for each of those requests, µs:

	| without | with |
	|---|---|
	$(waited_row)

	$(machine)
	END
}

node_with_services
start_weft
cost_rows >"$TMP/cost"
turns
write_report >"$TMP/results.md"
cp "$TMP/results.md" "$RESULTS"
cat "$RESULTS"
