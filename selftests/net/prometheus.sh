#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A real Prometheus, configured as the manifest configures it, scrapes two nodes under the Bookinfo tutorials: what it has counted is what
# the applications and callers have, every query of Istio's dashboards and of weft's has an answer or a reason to have none, no series
# lacks a label that Kiali wants, and the alert rules fire when they should.
. "${0%/*}/lib.sh"

SCRAPE=1      # seconds
METRICS=15020 # port of each weftd
TCP=9000
HERE=$ROOT/selftests/net
URL=http://productpage:9080
prometheus=$OUT/prometheus/prometheus promtool=$OUT/prometheus/promtool
declare -A EXPECTED=() # "REPORTER SERVICE VERSION CODE" -> requests

# ---- two nodes ----

book() { both "${@/#/$BOOKINFO/}"; }

pki_up() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/root.key" -out "$TMP/root.crt" -subj /O=root -days 30 2>/dev/null
}

# What there is beside Bookinfo. Ghosts have no endpoint.
services() {
	rules_pods
	rules_service echo-near 41 $TCP version=near
	rules_service echo-far 42 $TCP version=far
	rules_service tcp-ghost 44 $TCP app=ghost
	PROTOCOL=http rules_service ghost 43 80 app=ghost
	PROTOCOL=http rules_routes ghost "- route: [{destination: {host: ghost}}]"
	rules_ingress 2 80:31380
	rules_strict
}

nodes_up() {
	local pod
	node_up
	node2_up
	pki_up
	pod_add sleep 10
	bookinfo_up ratings-v1 reviews-v3
	pod_add near 41 app=echo,version=near
	pod2_add far 42 app=echo,version=far
	for pod in near far; do
		echo_start $pod $TCP $pod
	done
	weftd_start --node-name one --ca-cert "$TMP/root.crt" --ca-key "$TMP/root.key" --metrics "$(hostport "$(addr 4 node)" $METRICS)"
	weftd2_start --ca-cert "$TMP/root.crt" --ca-key "$TMP/root.key" --metrics "$(hostport "$(addr 6 world)" $METRICS)"
	services >"$TMP/services.yaml"
	both "$BOOKINFO"/{bookinfo,destination-rule-all,bookinfo-gateway,virtual-service-all-v1}.yaml "$TMP/services.yaml"
}

# ---- Prometheus ----

# config NAME: a file of the ConfigMap that the manifest has for Prometheus
config() {
	"$OUT/weft" manifest generate --set addonComponents.prometheus.enabled=true | awk -v name="  $1: |" '
		/^---/ { of_map = 0 }
		$0 == "kind: ConfigMap" { of_map = 1 }
		of_map && /^  [^ ]/ { inside = $0 == name; next }
		/^[^ ]/ { inside = 0 }
		inside { print substr($0, 5) }'
}

# annotation NAME: of the agents
annotation() {
	"$OUT/weft" manifest generate | sed -n "s|^ *prometheus.io/$1: *\"*\([^\"]*\)\"*\$|\1|p"
}

# target NODE ADDRESS: as Prometheus finds an agent in a cluster, by its pod
target() {
	local of=__meta_kubernetes_pod
	jq -n --arg address "$2" --arg node "$1" --arg scrape "$(annotation scrape)" --arg port "$(annotation port)" --arg path "$(annotation path)" "{
		targets: [\"\(\$address | if contains(\":\") then \"[\(.)]\" else . end):80\"],
		labels: {${of}_annotation_prometheus_io_scrape: \$scrape, ${of}_annotation_prometheus_io_port: \$port,
			${of}_annotation_prometheus_io_path: \$path, ${of}_ip: \$address, ${of}_phase: \"Running\",
			${of}_name: \"weft-\(\$node)\", ${of}_node_name: \$node, ${of}_label_app: \"weft\",
			__meta_kubernetes_namespace: \"weft-system\"}}"
}

# Debian's Prometheus is built without Kubernetes: a file tells it of pods, and of no services.
prometheus_start() {
	"$HERE/prometheus-programs" "$OUT/prometheus"
	mkdir "$TMP/prometheus"
	config weft.rules.yaml >"$TMP/prometheus/weft.rules.yaml"
	config prometheus.yml | sed "s,scrape_interval: .*,scrape_interval: ${SCRAPE}s,; s,scrape_timeout: .*,scrape_timeout: ${SCRAPE}s,
		s,evaluation_interval: .*,evaluation_interval: ${SCRAPE}s,; s,/etc/config,$TMP/prometheus,
		s,kubernetes_sd_configs,file_sd_configs,; s,- role: pod\$,- files: [$TMP/prometheus/pods.json],
		s,- role: endpointslice\$,- files: [$TMP/prometheus/none.json]," >"$TMP/prometheus/prometheus.yml"
	{ target one "$(addr 4 node)" && target two "$(addr 6 world)"; } | jq -s . >"$TMP/prometheus/pods.json"
	echo '[]' >"$TMP/prometheus/none.json"
	start_in node "$prometheus" --config.file="$TMP/prometheus/prometheus.yml" --storage.tsdb.path="$TMP/prometheus/data" \
		--web.listen-address=127.0.0.1:9090 2>"$TMP/prometheus/log"
	wait_until 30 both_scraped
}
both_scraped() { [ "$(ask 'count(up{app="weft"} == 1)')" = 2 ]; }

# answer QUERY: as JSON, of the time AT, or of now; ask QUERY: one number, "none" if there is none
AT=
answer() { in_ns node curl -sS --max-time 30 --data-urlencode "query=$1" ${AT:+-d "time=$AT"} http://127.0.0.1:9090/api/v1/query; }
ask() { answer "$1" | jq -r '.data.result[0].value[1] // "none"'; }

# ---- what callers do ----

# codes FROM URL [OPTION...]: "CODE BYTES" of each answer, to $TMP/codes as well
codes() { call "$1" -o /dev/null -w '%{http_code} %{size_download}\n' "${@:3}" "$2" | tee -a "$TMP/codes"; }

# lines POD [PATTERN]: of the log of an application
lines() { grep -c -- "${2:-}" "$TMP/$1.log" || true; }

# expect REPORTERS SERVICE VERSION CODE N: so many more
expect() {
	local reporter
	for reporter in $1; do
		EXPECTED["$reporter $2 $3 $4"]=$((${EXPECTED["$reporter $2 $3 $4"]:-0} + $5))
	done
}

# all_done POD PATTERN: the application has nothing under way that would still be logged
all_done() {
	local before
	before=$(lines "$1" "$2")
	sleep 3
	[ "$(lines "$1" "$2")" = "$before" ]
}

# a_round FAMILY: each kind of traffic; what others than the applications know of it is expected here
a_round() {
	local family=$1 n aborted late
	n=$(rounds 24 8)
	bookinfo_hosts "$family"
	hosts_more "$family"

	book virtual-service-all-v1.yaml virtual-service-reviews-50-v3.yaml
	expect_eq "IPv$family: pages" "$(codes sleep "$URL/productpage?[1-$n]" | cut -d' ' -f1 | sort | uniq -c | xargs)" "$n 200"
	codes sleep "http://details:9080/nothing?[1-3]" >"$TMP/details-404"
	expect_eq "IPv$family: a service says 404" "$(cut -d' ' -f1 "$TMP/details-404" | uniq -c | xargs)" "3 404"
	DETAILS_404=$(awk -v sum="$DETAILS_404" '{ sum += $2 } END { print sum }' "$TMP/details-404")

	# A fault: the endpoint is never asked.
	book virtual-service-ratings-test-abort.yaml
	aborted=$(lines reviews-v3 end-user=jason)
	call sleep -c "$TMP/jason" -d username=jason -o /dev/null "$URL/login"
	LOGINS=$((LOGINS + 1))
	codes sleep "$URL/productpage?[1-6]" -b "$TMP/jason" >/dev/null
	aborted=$(($(lines reviews-v3 end-user=jason) - aborted))
	expect source ratings unknown 500 $aborted

	# Timeouts: reviews answers, later than anything waits for.
	book virtual-service-all-v1.yaml request-timeout-1-reviews-v2.yaml request-timeout-2-ratings-delay.yaml request-timeout-3-reviews-timeout.yaml
	late=$(lines reviews-v2)
	codes sleep "$URL/productpage?[1-2]" >/dev/null
	wait_until 20 all_done reviews-v2 ''
	late=$(($(lines reviews-v2) - late))
	expect_eq "IPv$family: tries of pages that waited for reviews" "$late" 4
	expect "source destination" reviews v2 504 $late
	expect "source destination" reviews v2 200 -$late
	book virtual-service-all-v1.yaml

	# Without an endpoint, without a route; by the Gateway.
	expect_eq "IPv$family: no endpoint" "$(codes sleep "http://ghost/?[1-2]" | cut -d' ' -f1 | uniq -c | xargs)" "2 503"
	expect source ghost unknown 503 2
	expect_eq "IPv$family: no route" "$(codes world "http://$(hostport "$(addr "$family" node)" 80)/details/0" | cut -d' ' -f1)" 404
	NO_ROUTE=$((NO_ROUTE + 1))
	expect_eq "IPv$family: by the Gateway" "$(codes world "http://$(hostport "$(addr "$family" node)" 80)/productpage" | cut -d' ' -f1)" 200

	expect_eq "IPv$family: TCP to no endpoint" "$(load sleep "$(vip "$family" 44)" $TCP -n 3 -s hello)" '{"ECONNREFUSED":3}'
	REFUSED=$((REFUSED + 3))
	expect_eq "IPv$family: TCP on one node" "$(load sleep "$(vip "$family" 41)" $TCP -n 5 -s hello)" '{"near":5}'
	expect_eq "IPv$family: TCP to the other node" "$(load sleep "$(vip "$family" 42)" $TCP -n 5 -s hello)" '{"far":5}'
	CONNECTIONS=$((CONNECTIONS + 5))
}
hosts_more() { echo "$(vip "$1" 43) ghost" >>"$TMP/hosts"; }

# What the applications have answered, each seen by both sides.
expect_logged() {
	local pod code count service
	for pod in productpage-v1 details-v1 ratings-v1 reviews-v1 reviews-v2 reviews-v3; do
		service=${pod%-v*}
		while read -r count code; do
			expect "source destination" "$service" "${pod#"$service"-}" "$code" "$count"
		done < <(sed -n 's/^.* "[^"]*" \([0-9]*\) host=.*/\1/p' "$TMP/$pod.log" | sort | uniq -c)
	done
}

# ---- what Prometheus has counted ----

# counted: "REPORTER SERVICE VERSION CODE N" of each request to a service of the mesh
counted() {
	answer 'sum by (reporter, destination_service_name, destination_version, response_code) (istio_requests_total{destination_service_namespace="default"})' |
		jq -r '.data.result[] | select(.value[1] != "0") | "\(.metric.reporter) \(.metric.destination_service_name) \(.metric.destination_version) \(.metric.response_code) \(.value[1])"' | sort
}
expected() {
	local key
	for key in "${!EXPECTED[@]}"; do
		[ "${EXPECTED[$key]}" = 0 ] || echo "$key ${EXPECTED[$key]}"
	done | sort
}
# A scrape that takes too long on a busy machine leaves nothing behind until the next one: AT is when there was none of those.
all_counted() {
	AT=$EPOCHREALTIME
	diff <(expected) <(counted) >"$TMP/difference"
}
all_counted_within() { # SCRAPES
	local i
	for ((i = 0; i < $1 * SLOWER; i++)); do
		! all_counted || return 0
		sleep $SCRAPE
	done
	return 1
}

counts_are_exact() {
	all_counted_within 20 || true
	sleep $((2 * SCRAPE)) # nor any more than that
	all_counted_within 5 || { say "expected, and counted:" && cat "$TMP/difference" && fail "what is counted is not what there was"; }
	expected | sed 's/^/ok: counted: /'
}

# is WHAT QUERY VALUE
is() { row "$1" "$(ask "$2")" "$3"; }

sums_are_exact() {
	local reporter name
	local near='destination_service_name="echo-near"' far='destination_service_name="echo-far"'
	is "without a route" 'sum(istio_requests_total{response_flags="NR",response_code="404",source_workload="istio-ingressgateway"})' $NO_ROUTE
	is "a fault" 'sum(istio_requests_total{response_flags="FI"})' "${EXPECTED[source ratings unknown 500]}"
	is "a timeout" 'sum(istio_requests_total{response_flags="UT",reporter="source"})' "${EXPECTED[source reviews v2 504]}"
	is "no endpoint" 'sum(istio_requests_total{response_flags="UH",destination_service="ghost.default.svc.cluster.local"})' "${EXPECTED[source ghost unknown 503]}"
	is "bytes of a login" 'sum(istio_request_bytes_sum{reporter="source",destination_service_name="productpage",response_code="302"})' $((LOGINS * 14))
	is "bytes of a 404" 'sum(istio_response_bytes_sum{reporter="destination",destination_service_name="details",response_code="404"})' $DETAILS_404
	for name in istio_request_duration_milliseconds istio_request_bytes istio_response_bytes; do
		is "$name of every request" "sum(${name}_count) - sum(istio_requests_total)" 0
		is "the last bucket of $name" "sum(${name}_bucket{le=\"+Inf\"}) - sum(${name}_count)" 0
	done
	for reporter in source destination; do
		for name in near far; do
			is "$reporter, echo-$name: opened" "sum(istio_tcp_connections_opened_total{reporter=\"$reporter\",destination_service_name=\"echo-$name\"})" $CONNECTIONS
			is "$reporter, echo-$name: closed" "sum(istio_tcp_connections_closed_total{reporter=\"$reporter\",destination_service_name=\"echo-$name\"})" $CONNECTIONS
			is "$reporter, echo-$name: received" "sum(istio_tcp_received_bytes_total{reporter=\"$reporter\",destination_service_name=\"echo-$name\"})" $((6 * CONNECTIONS))
			is "$reporter, echo-$name: sent" "sum(istio_tcp_sent_bytes_total{reporter=\"$reporter\",destination_service_name=\"echo-$name\"})" $(((${#name} + 7) * CONNECTIONS))
		done
	done
	is "connections that were refused" 'sum(weft_refusals_total{node="one"})' $REFUSED
	is "an HTTP connection is none of TCP" 'sum(istio_tcp_connections_opened_total{destination_service_name=~"productpage|details|reviews|ratings"}) or vector(0)' 0
	is "mutual TLS between nodes" 'sum(istio_requests_total{destination_version="v3",connection_security_policy!="mutual_tls"}) or vector(0)' 0
	is "and on one none" 'sum(istio_requests_total{destination_service_name="details",connection_security_policy="mutual_tls"}) or vector(0)' 0
	AT=
	rows_end
}

# ---- labels, dashboards, rules ----

# What Kiali drops a series for if it isn't there, and what Istio's series have beside that.
labels_are_there() {
	local all='__name__=~"istio_.*",__name__!="istio_build"' of_requests='__name__=~"istio_requests?_.*|istio_response_.*"' label
	for label in reporter {source,destination}_{workload,canonical_service,canonical_revision,workload_namespace,principal,app,version,cluster} \
		destination_service destination_service_namespace destination_service_name request_protocol response_flags connection_security_policy app; do
		is "series without $label" "count({$all,$label=\"\"}) or vector(0)" 0
	done
	is "series of requests without response_code" "count({$of_requests,response_code=\"\"}) or vector(0)" 0
	is "callers of a namespace that have no name" "count({$all,source_workload_namespace!=\"unknown\",source_workload=\"unknown\",source_app=\"unknown\"}) or vector(0)" 0
	is "callers of no cluster" "count({$all,source_workload_namespace!=\"unknown\",source_cluster=\"unknown\"}) or vector(0)" 0
	is "failures that reached no endpoint, by the service's whole name" \
		'count(istio_requests_total{destination_workload="unknown",destination_service=~"^.+\\.default\\..+$",response_code="503"})' 1
	row "the types of istio's series" "$(in_ns node curl -sS "http://$(hostport "$(addr 4 node)" $METRICS)/metrics" |
		sed -n 's/^# TYPE istio_\(requests_total\|request_duration_milliseconds\|tcp_sent_bytes_total\|build\) //p' | sort | xargs)" "counter counter gauge histogram"
	rows_end
}

dashboards_answer() { # START END
	in_ns node /usr/bin/python3 "$HERE/dashboards.py" http://127.0.0.1:9090 "$1" "$2" $SCRAPE "$HERE/dashboards-empty.tsv" \
		"$HERE/dashboards-istio.tsv" "$ROOT"/.output/grafana/weft-*.json || fail "queries of dashboards have no answer"
}

rules_hold() {
	local rules
	"$promtool" check rules "$TMP/prometheus/weft.rules.yaml"
	cp "$HERE/prometheus-rules.yaml" "$TMP/prometheus/"
	(cd "$TMP/prometheus" && "$promtool" test rules prometheus-rules.yaml)
	rules=$(in_ns node curl -sS http://127.0.0.1:9090/api/v1/rules)
	row "rules that Prometheus can't evaluate" "$(jq '[.data.groups[].rules[] | select(.health != "ok")] | length' <<<"$rules")" 0
	row "alerts of a mesh that is well" "$(jq -r '[.data.groups[].rules[] | select(.state != "inactive" and .name != "WeftHttpErrors").name] | join(" ")' <<<"$rules")" ""
	row "tables that no rule is about, as they make room by themselves" "$(grep -o 'map!~"[^"]*"' "$TMP/prometheus/weft.rules.yaml" | cut -d'"' -f2 | tr '|' ' ')" \
		"$(awk '/BPF_MAP_TYPE_LRU_HASH/ { lru = 1 } lru && /^} / { print $2; lru = 0 }' "$ROOT/bpf/maps.h" | sort | xargs)"
	# Each metric that a rule asks for is there.
	while read -r rules; do
		row "there is a $rules" "$(ask "count($rules) > bool 0")" 1
	done < <(grep -o '\bweft_[a-z_]*' "$TMP/prometheus/weft.rules.yaml" | grep -v '^weft_kubernetes_' | sort -u) # which only a cluster has
	# Istio's name of the duration is not one that promtool would choose.
	row "what promtool says of the metrics" "$(in_ns node curl -sS "http://$(hostport "$(addr 6 world)" $METRICS)/metrics" | "$promtool" check metrics 2>&1 |
		grep -v 'istio_request_duration_milliseconds use base unit "seconds"' || true)" ""
	rows_end
}

DETAILS_404=0 LOGINS=0 NO_ROUTE=0 CONNECTIONS=0 REFUSED=0
nodes_up
prometheus_start
start=$EPOCHSECONDS
for family in 4 6 4; do
	a_round $family
	sleep $((2 * SCRAPE))
done
expect_logged
counts_are_exact
sums_are_exact
labels_are_there
dashboards_answer "$start" "$EPOCHSECONDS"
rules_hold
