#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a look inside HTTP costs: a proxy that routes on the end-user header to one of two endpoints, against nginx and HAProxy
# with the same job, and against no proxy at all. The proxy has one core, client and endpoints the other; rounds of the
# ways alternated, medians. Then weft again while Prometheus would scrape it. Writes RESULTS-L7.md beside this file.
#
#   BENCH_ROUNDS      rounds (11)                         BENCH_SECONDS   length of one measurement (0.5)
#   BENCH_PROXY_CPU   the proxy's core (0)                BENCH_LOAD_CPU  the others' (1)
#   BENCH_BODIES      bytes (64 10240 1048576)            BENCH_CONNS     connections (1 32 1000)
#   BENCH_WAYS        direct nginx haproxy weft metrics
#   BENCH_BEFORE      what another checkout has built, its .output: its weft is measured, too
. "${0%/*}/lib.sh"

ROUNDS=${BENCH_ROUNDS:-11}
SECONDS_EACH=${BENCH_SECONDS:-0.5}
PROXY_CPU=${BENCH_PROXY_CPU:-0}
LOAD_CPU=${BENCH_LOAD_CPU:-1}
BODIES=${BENCH_BODIES:-64 10240 1048576}
CONNS=${BENCH_CONNS:-1 32 1000}
WAYS="${BENCH_WAYS:-direct nginx haproxy weft metrics}${BEFORE:+ before}"
METRICS=127.0.0.1:15020
SCRAPES=4 # a second
BENCH=$ROOT/selftests/bench
RESULTS=${BENCH_RESULTS:-$BENCH/RESULTS-L7.md}
# What a browser sends, more or less.
HEADERS=(-H "Host: echo:8000" -H "end-user: jason" -H "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0)" -H "Accept: text/html,*/*"
	-H "Accept-Language: en" -H "Accept-Encoding: gzip, deflate" -H "Cookie: session=0123456789abcdef0123456789abcdef")
declare -A PROXY # way: process id

# ---- a node for each way ----

node_with_endpoints() {
	PODS=()
	node_up
	pod_add client 1
	http_endpoints "$LOAD_CPU"
	same_tcp
}

proxy_answers() { http_load client "$(target "$1")" 8000 "${HEADERS[@]}" --print; }

start_nginx() {
	mkdir -p "$TMP/nginx/tmp"
	chmod 777 "$TMP/nginx/tmp"
	start_in node taskset -c "$PROXY_CPU" nginx -p "$TMP/nginx" -c "$BENCH/nginx.conf"
	wait_until 5 proxy_answers nginx
	PROXY[nginx]=$(ps -o pid= --ppid "$STARTED" | tr -d ' ')
}

start_haproxy() {
	start_in node taskset -c "$PROXY_CPU" haproxy -q -db -f "$BENCH/haproxy.cfg"
	wait_until 5 proxy_answers haproxy
	PROXY[haproxy]=$STARTED
}

weft_rules() {
	rules_pods
	PROTOCOL=http rules_service echo 10 8000:8080
	rules_subsets echo "v1 v2"
	PROTOCOL=http rules_routes echo "$(cat <<-END
	- match: [{headers: {end-user: {exact: jason}}}]
	  route: [{destination: {host: echo, subset: v2}}]
	- route: [{destination: {host: echo, subset: v1}}]
	END
	)"
}

weft_answers() { # OPTION...
	weft_up "$PROXY_CPU" --workers 1 "$@"
	weft_rules | apply
	wait_until 5 proxy_answers "$WAY"
	PROXY[$WAY]=$(proxy_pid)
}

start_weft() { weft_answers; }
start_before() { weft_answers; }

start_metrics() { weft_answers --metrics $METRICS; }
start_direct() { :; }

target() { # WAY
	case $1 in
	direct) addr 4 two ;;
	weft | metrics | before) vip 4 10 ;;
	*) addr 4 node ;;
	esac
}

port() { # WAY
	if [ "$1" = direct ]; then echo 8080; else echo 8000; fi
}

# ---- measurements ----

rss_kib() { # WAY
	awk '/^VmRSS/ { print $2 }' "/proc/${PROXY[$1]}/status"
}

# scraped_while COMMAND...: what Prometheus would be, on another machine, gives way to all else.
scraped_while() {
	local scraper before status=0
	: >"$TMP/scraped"
	start_in node chrt --idle 0 taskset -c "$PROXY_CPU" stdbuf -oL curl -sS --rate $SCRAPES/s -H 'Accept-Encoding: gzip' -o /dev/null -w '%{http_code}\n' \
		"http://$METRICS/metrics?[1-100000]" >"$TMP/scraped"
	scraper=$STARTED
	wait_until 5 test -s "$TMP/scraped"
	before=$(wc -l <"$TMP/scraped")
	"$@" || status=$?
	kill "$scraper"
	wait "$scraper" || true
	[ "$(wc -l <"$TMP/scraped")" -gt "$before" ] || fail "it was not scraped"
	return $status
}

# The result of a measurement: every request was answered, by the endpoint that the header asks for.
loaded() { # WAY BODY CONNS [OPTION...]
	local way=$1 body=$2 conns=$3 result beside=
	shift 3
	use "$way"
	[ "$way" != metrics ] || beside=scraped_while
	result=$($beside taskset -c "$LOAD_CPU" nsenter --net="/run/netns/$(netns client)" "$APPS/http-load" "$(target "$way")" "$(port "$way")" \
		"${HEADERS[@]}" -p "/bytes/$body" --count x-served-by -c "$conns" --warm -d "$SECONDS_EACH" -t 60000 \
		${PROXY[$way]:+--cpu-of ${PROXY[$way]}} "$@")
	[ "$(jq -r '(.errors | length) == 0 and (.words | keys) == ["two"] and (.statuses | keys) == ["200"]' <<<"$result")" = true ] ||
		fail "not all requests were answered: $result"
	echo "$result"
}

# note_cpu RESULT NAME: its CPU time per request, if it has one
note_cpu() {
	jq '.cpu_us // empty | . / $r.answered' --argjson r "$1" <<<"$1" >>"$TMP/$2"
}

full_load() { # WAY BODY CONNS
	local result
	result=$(loaded "$@")
	jq .rate <<<"$result" >>"$TMP/rate.$1.$2.$3"
	note_cpu "$result" "cpu.$1.$2.$3"
	[ "$1" = direct ] || rss_kib "$1" >>"$TMP/rss.$1.$3"
}

# Requests per second: half of what the slower of HAProxy and weft does.
half_rate() { # BODY CONNS
	local way
	for way in haproxy weft; do
		[ ! -e "$TMP/rate.$way.$1.$2" ] || median <"$TMP/rate.$way.$1.$2"
	done | sort -g | awk 'NR == 1 { printf "%d\n", $1 / 2 }'
}

# Not for servers for which that rate would be too much.
half_load() { # WAY BODY CONNS
	local result rate
	rate=$(half_rate "$2" "$3")
	median <"$TMP/rate.$1.$2.$3" | awk -v rate="$rate" '{ exit $1 < rate * 1.2 }' || return 0
	result=$(loaded "$@" -r "$rate")
	note_cpu "$result" "half-cpu.$1.$2.$3"
	jq .latency_us.p50 <<<"$result" >>"$TMP/p50.$1.$2.$3"
	jq .latency_us.p99 <<<"$result" >>"$TMP/p99.$1.$2.$3"
}

rounds() { # MEASURE
	local round body conns way
	for round in $(seq "$ROUNDS"); do
		for body in $BODIES; do
			for conns in $CONNS; do
				for way in $WAYS; do
					"$1" "$way" "$body" "$conns"
				done
			done
		done
		echo "$1, round $round of $ROUNDS" >&2
	done
}

BESIDE="rate cpu half-cpu p50"

# ---- the report ----

# of FILE: the median of what was measured
of() {
	if [ -e "$TMP/$1" ]; then median <"$TMP/$1"; else echo -; fi
}

# number FORMAT N, or a dash
number() { if [ "$2" = - ]; then echo -; else printf "$1" "$2"; fi; }

size() {
	case $1 in
	*[!0-9]* | ? | ?? | ???) echo "$1 B" ;;
	*) if (($1 >= 1048576)); then echo "$(($1 / 1048576)) MiB"; else echo "$(($1 / 1024)) KiB"; fi ;;
	esac
}

each_row() { # COMMAND...: what a row has after body and connections, which the command gets
	local body conns
	for body in $BODIES; do
		for conns in $CONNS; do
			printf '| %s | %s |' "$(size "$body")" "$conns"
			"$@" "$body" "$conns"
		done
	done
}

compared() { # WHAT FORMAT BODY CONNS
	local way
	for way in direct nginx haproxy weft; do
		case $1.$way in
		*cpu.direct) ;;
		*) printf ' %s |' "$(number "$2" "$(of "$1.$way.$3.$4")")" ;;
		esac
	done
	printf ' %s |\n' "$(ratio_of "$TMP/$1.weft.$3.$4" "$TMP/$1.haproxy.$3.$4")"
}

half_cpu() { # BODY CONNS
	printf ' %s |' "$(half_rate "$@")"
	compared half-cpu %.1f "$@"
}

latencies() { # BODY CONNS
	local way
	for way in direct nginx haproxy weft; do
		printf ' %s / %s |' "$(number %.0f "$(of "p50.$way.$1.$2")")" "$(number %.0f "$(of "p99.$way.$1.$2")")"
	done
	echo
}

# What one way's is of another's, in each row and in all.
beside_rows() { # WAY OF
	local body conns what row
	for body in $BODIES; do
		for conns in $CONNS; do
			printf '| %s | %s |' "$(size "$body")" "$conns"
			for what in $BESIDE; do
				row=$body.$conns
				printf ' %s |' "$(ratio_of "$TMP/$what.$1.$row" "$TMP/$what.$2.$row")"
				! [ -e "$TMP/$what.$1.$row" ] || paste "$TMP/$what.$1.$row" "$TMP/$what.$2.$row" >>"$TMP/$what.$1-$2"
			done
			echo
		done
	done
	printf '| all | |'
	for what in $BESIDE; do
		printf ' %s |' "$(ratio_of <(cut -f 1 "$TMP/$what.$1-$2") <(cut -f 2 "$TMP/$what.$1-$2"))"
	done
	echo
}

is_measured() { [[ " $WAYS " == *" $1 "* ]]; }

beside_table() { # WAY OF TITLE TEXT
	is_measured "$1" && is_measured "$2" || return 0
	cat <<-END

	## $3

	$4

	| body | connections | requests per second | CPU time, each as fast as it can | CPU time at the same rate | p50 |
	|---|---|---|---|---|---|
	$(beside_rows "$1" "$2")
	END
}

memory_rows() {
	local conns way
	for conns in $CONNS; do
		printf '| %s |' "$conns"
		for way in nginx haproxy weft; do
			printf ' %s |' "$(of "rss.$way.$conns" | awk '{ if ($1 == "-") print; else printf "%.1f\n", $1 / 1024 }')"
		done
		echo
	done
}

write_report() {
	cat <<-END
	# L7: what a look inside HTTP costs

	Written by \`make bench-l7\` on $(date -u +%F) at $(revision).
	$(machine "$(nginx -v 2>&1 | sed 's/.*: //')" "HAProxy $(haproxy -v | awk '{ print $3; exit }')")

	Pod to pod on one node: routing on the \`end-user\` header to one of two endpoints, connections kept on both sides, no access
	log. The proxy is on core $PROXY_CPU, client and endpoints are on core $LOAD_CPU; medians of $ROUNDS rounds of $SECONDS_EACH s each, the ways taking turns.
	Ratios are medians of each round's. TCP's congestion control is Reno in all.
	*direct*: no proxy. *nginx*, *HAProxy*: the client calls them on the node's address (\`nginx.conf\`, \`haproxy.cfg\`). *weft*: the client calls the service.

	## CPU time of the proxy, µs per request

	At the same rate for all, half of what the slower of HAProxy and weft does (a dash: too much for nginx):

	| body | connections | requests per second | nginx | HAProxy | weft | weft / HAProxy |
	|---|---|---|---|---|---|---|
	$(each_row half_cpu)

	Each as fast as it can (see below). A proxy whose core is full finds more requests waiting each time it looks, and so needs
	less time for each than one that has time left:

	| body | connections | nginx | HAProxy | weft | weft / HAProxy |
	|---|---|---|---|---|---|
	$(each_row compared cpu %.1f)

	## Requests per second

	Client and endpoints share a core: where the proxy is fast, they are the limit.

	| body | connections | direct | nginx | HAProxy | weft | weft / HAProxy |
	|---|---|---|---|---|---|---|
	$(each_row compared rate %.0f)

	## Latency, µs, p50 / p99

	At the same rate for all, that of the first table; counted from when a request should have been sent.

	| body | connections | direct | nginx | HAProxy | weft |
	|---|---|---|---|---|---|
	$(each_row latencies)

	## Memory of the proxy, MiB resident

	| connections | nginx | HAProxy | weft |
	|---|---|---|---|
	$(memory_rows)
	END
	beside_table metrics weft "Metrics" "weft with \`--metrics\`, scraped $SCRAPES times a second while it is measured, against weft without. CPU time is weft-proxy's; weftd is on the same core."
	beside_table weft before "Before" "weft against what was built at $(revision "$BEFORE"), in the same rounds."
}

for way in $WAYS; do
	use "$way"
	node_with_endpoints
	"start_$way"
done
rounds full_load
rounds half_load
write_report >"$TMP/results"
cp "$TMP/results" "$RESULTS"
cat "$RESULTS"
