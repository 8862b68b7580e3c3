#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What Prometheus scrapes of weftd: requests and connections exactly as they were made, by Istio's names with every label that Kiali wants,
# in either format and packed; promtool has nothing against it; while the event loop is busy, answers come all the same; and there are
# never more series than there may be.
. "${0%/*}/lib.sh"

URL=http://127.0.0.1:15020/metrics
KIALI="source_workload_namespace source_workload source_canonical_service source_canonical_revision destination_service_namespace
destination_service destination_service_name destination_workload_namespace destination_workload destination_canonical_service
destination_canonical_revision response_flags request_protocol source_cluster destination_cluster source_principal
destination_principal source_app source_version destination_app destination_version connection_security_policy reporter"
ECHO=echo.default.svc.cluster.local
promtool=$OUT/prometheus/promtool

ask() { in_ns node curl -sS --max-time $((5 * SLOWER)) "$@"; }

# sum NAME [LABEL="VALUE"...]: of all series of that name that have these labels
sum() {
	ask "$URL" | awk -v want="$*" '
	BEGIN { n = split(want, w, " ") }
	{
		at = index($0, "{"); name = at ? substr($0, 1, at - 1) : $1
		if (name != w[1]) next
		for (i = 2; i <= n; i++) if (!index($0, w[i])) next
		total += $NF
	}
	END { printf "%.15g\n", total + 0 }'
}

# comes WHAT WANT NAME [LABEL="VALUE"...]: within a short time
comes() {
	local i
	for ((i = 0; i < 40 * SLOWER; i++)); do
		[ "$(sum "${@:3}")" != "$2" ] || break
		sleep 0.1
	done
	expect_eq "$1" "$(sum "${@:3}")" "$2"
}

# pods: as a cluster has them, whose Deployments tell more than their names
pods() {
	rules_pods | sed 's/^  name: \(one\|two\)$/&\n  ownerReferences: [{apiVersion: apps\/v1, kind: ReplicaSet, name: \1-7d9f, uid: x, controller: true}]/
		s/^    version: .*/&\n    pod-template-hash: 7d9f/'
}

rules() {
	pods
	PROTOCOL=http rules_service echo 10 80:8080
	rules_subsets echo "v1 v2 none"
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: echo, namespace: default}
	spec:
	  hosts: [echo]
	  http:
	  - match: [{uri: {prefix: /none}}]
	    route: [{destination: {host: echo, subset: none}}]
	  - match: [{uri: {prefix: /status}}, {uri: {prefix: /bytes}}]
	    route: [{destination: {host: echo, subset: v1}}]
	END
	rules_service plain 20 9000 app=plain
}

requests() { http_load client "$(vip "$1" 10)" 80 -H 'Host: echo' -n "$2" -p "$3" >/dev/null; }

node_up
hosts
pod_add client 1 app=sleep
pod_add one 2 app=echo,version=v1
pod_add two 3 app=plain,version=v1
http_echo_start one 8080 one
echo_start two 9000 two
"${0%/*}/prometheus-programs" "${promtool%/*}"
weftd_start --metrics :15020
rules | apply

say "what was done is told"
for family in 4 6; do
	requests $family 7 /status/200
	requests $family 3 /status/404
	requests $family 2 /none
	requests $family 4 /of/no/rule
	load client "$(vip $family 20)" 9000 -n 5 -s hello >/dev/null
done
FROM='source_workload="client"' TO='destination_workload="one"'
for reporter in source destination; do
	R="reporter=\"$reporter\""
	comes "$reporter: requests" 14 istio_requests_total "$R" "$FROM" "$TO" 'response_code="200"' "destination_service=\"$ECHO\"" \
		'source_app="sleep"' 'destination_version="v1"' 'destination_service_name="echo"' 'source_workload_namespace="default"' \
		'request_protocol="http"' 'response_flags="-"'
	comes "$reporter: of the application's own 404" 6 istio_requests_total "$R" "$TO" 'response_code="404"'
	comes "$reporter: times" 14 istio_request_duration_milliseconds_count "$R" "$TO" 'response_code="200"'
	comes "$reporter: the last bucket" 14 istio_request_duration_milliseconds_bucket "$R" "$TO" 'response_code="200"' 'le="+Inf"'
	comes "$reporter: connections" 10 istio_tcp_connections_opened_total "$R" "$FROM" 'destination_workload="two"' \
		'destination_service="plain.default.svc.cluster.local"' 'request_protocol="tcp"'
	comes "$reporter: connections that have ended" 10 istio_tcp_connections_closed_total "$R" 'destination_workload="two"'
	comes "$reporter: bytes to the endpoint" 60 istio_tcp_received_bytes_total "$R" 'destination_workload="two"'
done
comes "what found no endpoint keeps its service" 4 istio_requests_total "destination_service=\"$ECHO\"" 'response_code="503"' \
	'response_flags="UH"' 'destination_workload="unknown"'
comes "and so does what no rule holds for" 8 istio_requests_total "destination_service=\"$ECHO\"" 'response_code="404"' \
	'response_flags="NR"' 'destination_workload="unknown"'
expect_eq "HTTP is no TCP" "$(sum istio_tcp_connections_opened_total "destination_service=\"$ECHO\"")" 0
expect_eq "the version" "$(ask "$URL" | grep -c '^istio_build{component="weft",tag="'"$(weft status -o json | jq -r .version)"'"} 1$')" 1
expect_eq "the generation" "$(sum weft_generation)" "$(weft status -o json | jq .generation)"
expect_eq "changes" "$(sum weft_changes_total 'result="applied"')" 1
expect_eq "pods" "$(sum weft_pods 'state="here"')" 3
expect_eq "refusals by reason" "$([ "$(ask "$URL" | grep -c '^weft_refusals_total{reason="')" -gt 5 ] && echo many)" many
for map in conns socks clusters endpoints http_traffic tcp_traffic pods; do
	for what in entries max_entries memory_bytes; do
		expect_eq "$map: $what" "$(ask "$URL" | grep -c "^weft_map_$what{map=\"$map\"} [0-9]")" 1
	done
done
expect_between "entries of clusters" "$(sum weft_map_entries 'map="clusters"')" 3 20
ask "$URL" >"$TMP/all"
for name in process_cpu_seconds_total process_resident_memory_bytes process_open_fds weft_proxy_resident_memory_bytes \
	weft_sweep_duration_seconds_count weft_proxy_running weft_connections weft_ejections_total; do
	grep -Eq "^$name(\\{.*\\})? [0-9]" "$TMP/all" || fail "$name is not told"
	say "ok: $name is told"
done

say "every label is there"
cp "$TMP/all" "$TMP/plain"
for label in $KIALI; do
	row "$label" "$(grep '^istio_[rt]' "$TMP/plain" | grep -c -v "[{,]$label=\"[^\"]")" 0
done
row "response_code of requests" "$(grep '^istio_re' "$TMP/plain" | grep -c -v ',response_code="[0-9]')" 0
row "grpc_response_status of requests" "$(grep '^istio_re' "$TMP/plain" | grep -c -v ',grpc_response_status="')" 0
rows_end

say "as Prometheus likes it"
# Istio's name of the duration is not one that promtool would choose.
expect_eq "promtool" "$("$promtool" check metrics <"$TMP/plain" 2>&1 | grep -v 'istio_request_duration_milliseconds use base unit "seconds"' || true)" ""
twice=$(grep -v '^#' "$TMP/plain" | sed 's/ [^ ]*$//' | sort | uniq -d)
expect_eq "no series comes twice" "$twice" ""

say "by HTTP"
ask -D "$TMP/head" -H 'Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5' "$URL" >"$TMP/open"
expect_match "OpenMetrics: its type" "$(cat "$TMP/head")" '^Content-Type: application/openmetrics-text; version=1.0.0'
expect_eq "its end" "$(tail -n 1 "$TMP/open")" "# EOF"
expect_eq "counters are called without _total" "$(grep -c '^# TYPE istio_requests counter$' "$TMP/open")" 1
expect_eq "a unit" "$(grep -c '^# UNIT istio_request_bytes bytes$' "$TMP/open")" 1
expect_eq "as many series" "$(grep -c '^istio_r' "$TMP/open")" "$(grep -c '^istio_r' "$TMP/plain")"
ask -D "$TMP/head" "$URL" >/dev/null
expect_match "text: its type" "$(cat "$TMP/head")" '^Content-Type: text/plain; version=0.0.4'
ask -D "$TMP/head" -H 'Accept-Encoding: gzip' "$URL" >"$TMP/packed"
expect_match "packed" "$(cat "$TMP/head")" '^Content-Encoding: gzip'
series() { grep '^istio_' | sed 's/ [^ ]*$//' | sort; } # without their values
series <"$TMP/plain" >"$TMP/plain.series"
# Twice, of which the second one has what the first one has packed; and with the other format between them.
for how in "" "" "Accept: application/openmetrics-text" ""; do
	ask -H 'Accept-Encoding: gzip' ${how:+-H "$how"} "$URL" >"$TMP/packed"
	ask ${how:+-H "$how"} "$URL" >"$TMP/unpacked"
	gzip -dc "$TMP/packed" >"$TMP/again" || fail "what was packed can't be unpacked"
	expect_eq "packed, values are the same${how:+, by OpenMetrics}" "$(grep '^istio_' "$TMP/again" | diff - <(grep '^istio_' "$TMP/unpacked") | head -5)" ""
done
expect_between "series" "$(wc -l <"$TMP/plain.series")" 100 100000
expect_eq "packed, they are the same" "$(gzip -dc "$TMP/packed" | series | diff - "$TMP/plain.series" | head -5)" ""
# A reader that takes little at a time gets labels in parts.
ask --limit-rate 1M "$URL" >"$TMP/slow"
expect_eq "read slowly, too" "$(series <"$TMP/slow" | diff - "$TMP/plain.series" | head -5)" ""
expect_eq "as ztunnel has it" "$(ask "${URL%/*}/stats/prometheus" | grep -c '^# TYPE istio_requests_total')" 1
expect_eq "elsewhere" "$(ask -o /dev/null -w '%{http_code}' "${URL%/*}/")" 404
expect_eq "POST" "$(ask -o /dev/null -w '%{http_code}' -d x "$URL")" 405
expect_eq "HEAD" "$(ask -I -o /dev/null -w '%{http_code} %{size_download}' "$URL")" "200 0"
expect_eq "IPv6" "$(ask -o /dev/null -w '%{http_code}' "http://[::1]:15020/metrics")" 200
expect_eq "by the node's address" "$(in_ns world curl -sS -o /dev/null -w '%{http_code}' "http://$(addr 4 node):15020/metrics")" 200

say "while the event loop has other work"
rules_many 2000 10 >"$TMP/many.yaml"
weft apply -f "$TMP/many.yaml" >"$TMP/applied" &
applying=$!
slowest=0
while kill -0 $applying 2>/dev/null; do
	ms=$(milliseconds)
	[ "$(sum istio_requests_total "$FROM" "$TO" 'response_code="200"')" = 28 ] || fail "a scrape had other numbers"
	ms=$(($(milliseconds) - ms))
	((ms <= slowest)) || slowest=$ms
done
wait $applying
expect_took "the slowest scrape" "$slowest" 0 500
expect_between "scrapes without the loop's part" "$(sum weft_metrics_late_scrapes_total)" 1 100000
weft delete -f "$TMP/many.yaml" >/dev/null

say "requests go on, connections that the kernel counts begin at 0"
weftd_stop
weftd_start --metrics 127.0.0.1:15020
comes "after another weftd" 14 istio_requests_total 'reporter="source"' "$FROM" "$TO" 'response_code="200"'
expect_eq "connections" "$(sum istio_tcp_connections_opened_total)" 0
load client "$(vip 6 20)" 9000 -n 3 -s hello >/dev/null
comes "connections since then" 3 istio_tcp_connections_opened_total 'reporter="source"' "$FROM" 'destination_workload="two"'
comes "which have ended" 3 istio_tcp_connections_closed_total 'reporter="source"' "$FROM" 'destination_workload="two"'
expect_eq "at one address only" "$(ask -o /dev/null -w '%{http_code}' "http://$(addr 4 node):15020/metrics" 2>/dev/null || true)" 000

say "no more series than there may be"
weftd_stop
weftd_start --metrics 127.0.0.1:15020 --metrics-series-max 150
comes "series" 134 weft_metrics_series
folded=$(sum weft_metrics_folded_total)
expect_between "label sets that have none" "$folded" 3 20
comes "all requests are there" 52 istio_requests_total
comes "what has a series keeps it" 14 istio_requests_total 'reporter="source"' 'response_code="200"'
requests 4 5 /status/418
comes "what is new is told as unknown" 5 istio_requests_total 'reporter="source"' 'source_workload="unknown"' 'response_code="418"'
comes "and counted" $((folded + 2)) weft_metrics_folded_total

say "a port that is taken"
weftd_stop
start_in node /usr/bin/python3 -c 'import socket, time; s = socket.create_server(("127.0.0.1", 15020)); time.sleep(600)'
wait_until 5 eval 'in_ns node ss -Hltn "sport = 15020" | grep -q LISTEN'
# shellcheck disable=SC2046 # words are meant
in_ns node timeout 60 "$OUT/weftd" $(weftd_options) --metrics 127.0.0.1:15020 2>"$TMP/taken" && fail "weftd started"
expect_match "is an error" "$(cat "$TMP/taken")" '^weftd: .*--metrics: listen at 127.0.0.1:15020: Address already in use'
