#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a scrape costs weftd at so many services: processor time of weftd, and how much it sends, by how many rows of requests there are
# (each is told by both reporters, 134 time series), as text and packed; medians. Nothing else runs beside it but the scrapes. Writes
# RESULTS-METRICS.md beside this file.
#
#   BENCH_SERVICES  (1000)     BENCH_ROWS  (0 10 100 500 1000 2000)     BENCH_SCRAPES  in each measurement (20)     BENCH_ROUNDS (5)
. "${0%/*}/lib.sh"

SERVICES=${BENCH_SERVICES:-1000}
ROWS=${BENCH_ROWS:-0 10 100 500 1000 2000}
SCRAPES=${BENCH_SCRAPES:-20}
ROUNDS=${BENCH_ROUNDS:-5}
BENCH=$ROOT/selftests/bench
RESULTS=${BENCH_RESULTS:-$BENCH/RESULTS-METRICS.md}
URL=http://127.0.0.1:15020/metrics
BOTH=3

# spent: processor time of weftd so far, ns, by its own clock, as clock_getcpuclockid() has it
spent() { /usr/bin/python3 -c 'import sys, time; print(int(time.clock_gettime((~int(sys.argv[1]) << 3) | 2) * 1e9))' "$WEFTD"; }

scrape() { in_ns node curl -sS -o "$TMP/scraped" "$@" "$URL"; }

# cost [curl's options]: milliseconds of weftd for a scrape, less what it does without
cost() {
	local from begun took i idle
	scrape "$@"
	from=$(spent) begun=$(milliseconds)
	for ((i = 0; i < SCRAPES; i++)); do scrape "$@"; done
	took=$(($(milliseconds) - begun)) from=$(($(spent) - from))
	idle=$(spent)
	sleep "$(awk "BEGIN { print $took / 1000 }")"
	awk "BEGIN { printf \"%.2f\n\", ($from - ($(spent) - $idle)) / $SCRAPES / 1e6 }"
}

measure() {
	local rows=$1 round
	for ((round = 0; round < ROUNDS; round++)); do
		cost >>"$TMP/text-$rows"
		cost -H 'Accept-Encoding: gzip' >>"$TMP/gzip-$rows"
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

node_up
hosts
pod_add client 1
weftd_start --metrics 127.0.0.1:15020 --metrics-series-max 10000000
{
	rules_pods
	rules_many "$SERVICES" 3
} >"$TMP/rules.yaml"
weft apply -f "$TMP/rules.yaml" >/dev/null
{
	echo "# What /metrics costs"
	echo
	echo "\`make bench-metrics\` at $(revision), $(date -u +%F). $SERVICES services of three endpoints; $SCRAPES scrapes in each of $ROUNDS rounds, medians:"
	echo "milliseconds of processor time of weftd for one scrape, writing to the socket included."
	echo
	echo "| rows of requests | lines | bytes as text | packed | ms, text | ms, packed |"
	echo "|---|---|---|---|---|---|"
	for rows in $ROWS; do
		/usr/bin/python3 "$BENCH/traffic-fill.py" "$TMP/bpf/weft" "$rows" $BOTH
		measure "$rows"
		read -r lines text packed <<<"$(sizes)"
		echo "| $rows | $lines | $text | $packed | $(median <"$TMP/text-$rows") | $(median <"$TMP/gzip-$rows") |"
	done
	echo
	machine
} >"$TMP/results.md"
cp "$TMP/results.md" "$RESULTS"
cat "$RESULTS"
