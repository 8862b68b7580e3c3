#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The spans of one Bookinfo page are one tree in a real OpenTelemetry collector: of pods, of the Gateway, with faults; as many are
# sampled as was asked for; a weftd or weft-proxy that is replaced goes on; a collector that is down or slow makes no request wait, and
# what it does not get is counted. Without Go to build the collector it is not run.
. "${0%/*}/lib.sh"
. "$ROOT/selftests/net/tracing-lib"

rules() { weft apply -f "$BOOKINFO/$1.yaml" >/dev/null; }

# told NAME: as /metrics has it
told() { in_ns node curl -sS http://127.0.0.1:15020/metrics | awk -v name="$1" '$1 == name { print $2 }'; }
dropped() { echo $(($(told 'weft_spans_dropped_total{reason="collector"}') + $(told 'weft_spans_dropped_total{reason="overflow"}'))); }

# start SAMPLING [URL]
start() {
	weftd_start --metrics 127.0.0.1:15020 --tracing-sampling "$1" --tracing-endpoint "${2:-http://$(hostport "$(addr 4 world)" 4318)}"
}

# nothing ID: no span of it comes
nothing() {
	sleep 2
	expect_eq "$1: spans" "$(spans_of "$1")" 0
}

node_up
pod_add sleep 10
bookinfo_up
collector_start world
start 100
bookinfo_rules
rules_pods | apply
rules virtual-service-all-v1
rules virtual-service-reviews-v3

for family in 4 6; do
	bookinfo_hosts $family
	page sleep "page-$family" "$URL/productpage"
	expect_eq "IPv$family: a page is one tree" "$(tree_of "page-$family" 8)" "$(tree_below "CLIENT sleep.default")"
	page world "outside-$family" "http://$(addr $family node | sed 's/.*:.*/[&]/')/productpage"
	expect_eq "IPv$family: a page by the Gateway" "$(tree_of "outside-$family" 8)" "$(tree_below "SERVER istio-ingressgateway.istio-system")"
done
bookinfo_hosts 4
family=4

# What Envoy says of a request.
attributes=(http.method=GET http.url=http://details:9080/details/0 http.protocol=HTTP/1.1 http.status_code=200 response_flags=-
	component=proxy downstream_cluster=- "peer.address=$(addr 4 productpage-v1)" istio.canonical_service=productpage
	istio.canonical_revision=v1 istio.namespace=default istio.mesh_id=cluster.local istio.cluster_id=Kubernetes
	"upstream_cluster=outbound|9080|v1|details.$(sed 's/:.*//' <<<"$HOSTS")" k8s.pod.name=productpage-v1 k8s.namespace.name=default
	"node_id=sidecar~$(addr 4 productpage-v1)~productpage-v1.default~default.svc.cluster.local")
expect_eq "attributes of a caller's span" "$(received count guid:x-request-id=page-4 kind=CLIENT "${attributes[@]}")" 1
expect_eq "of an endpoint's" "$(received count guid:x-request-id=page-4 kind=SERVER istio.canonical_service=details \
	'upstream_cluster=inbound|9080||' "peer.address=$(addr 4 productpage-v1)")" 1

# Who follows the access log takes nothing from the spans, even when nobody looks any more.
weft logs >/dev/null
sleep 7
page sleep logged "$URL/productpage"
expect_eq "after weft logs: a page is one tree" "$(tree_of logged 8)" "$(tree_below "CLIENT sleep.default")"

# The trace of who calls goes on, in each of the forms.
TRACE=0af7651916cd43dd8448eb211c80319c PARENT=b7ad6b7169203331
page sleep w3c -H "traceparent: 00-$TRACE-$PARENT-01" http://details:9080/details/0
page sleep b3 -H "b3: $TRACE-$PARENT-1" http://details:9080/details/0
page sleep b3-fields -H "x-b3-traceid: $TRACE" -H "x-b3-spanid: $PARENT" -H "x-b3-sampled: 1" http://details:9080/details/0
for form in w3c b3 b3-fields; do
	wait_until 10 spans_are $form 2
	expect_eq "$form: the trace" "$(received traces guid:x-request-id=$form)" $TRACE
done

# What is not to be sampled is not.
page sleep no-w3c -H "traceparent: 00-$TRACE-$PARENT-00" "$URL/productpage"
page sleep no-b3 -H "b3: 0" "$URL/productpage"
page sleep no-b3-fields -H "x-b3-sampled: 0" "$URL/productpage"
for form in no-w3c no-b3 no-b3-fields; do nothing $form; done

# A fault is its span's.
rules virtual-service-ratings-test-abort
page sleep fault -H "end-user: jason" http://reviews:9080/reviews/0
expect_eq "a fault" "$(tree_of fault 3)" "CLIENT sleep.default reviews.$HOSTS/* 200 0
  SERVER reviews.default reviews.$HOSTS/* 200 0
    CLIENT reviews.default ratings.$HOSTS/* 500 2"
expect_eq "its flags" "$(received count guid:x-request-id=fault response_flags=FI error=true http.status_code=500)" 1
rules virtual-service-ratings-test-delay
page sleep delay -H "end-user: jason" http://reviews:9080/reviews/0
expect_eq "one that its caller gives up" "$(tree_of delay 3)" "CLIENT sleep.default reviews.$HOSTS/* 200 0
  SERVER reviews.default reviews.$HOSTS/* 200 0
    CLIENT reviews.default ratings.$HOSTS/* 0 2"
expect_eq "its flags" "$(received count guid:x-request-id=delay response_flags=DI,DC error=true)" 1
rules virtual-service-all-v1

# Another weft-proxy goes on.
pid=$(proxy_pid)
kill -9 "$pid"
wait_until 10 eval '[ "$(proxy_pid)" != 0 ] && [ "$(proxy_pid)" != $pid ]'
page sleep replaced --retry 5 --retry-connrefused http://details:9080/details/0
wait_until 10 spans_are replaced 2
say "ok: another weft-proxy goes on"

# What comes while there is no weftd the next one sends, and goes on.
weftd_kill9
page sleep between http://details:9080/details/0
start 1
wait_until 10 spans_are between 2
expect_eq "who has made a span of before" "$(received count guid:x-request-id=between service=details.default)" 1

# As many traces are sampled as was asked for.
before=$(received count kind=CLIENT)
n=$(rounds 1000 500)
http_load sleep "$(vip 4 22)" 9080 -p /details/0 -n "$n" -c 4 >/dev/null
sleep 3
expect_between "1 % of $n" $(($(received count kind=CLIENT) - before)) 1 $((n / 25))

# A collector that is down: no request waits, and what it does not get is counted.
weftd_stop
start 100
latency() { # p50 and p99 in microseconds
	local result
	result=$(http_load sleep "$(vip 4 22)" 9080 -p /details/0 -n "$n" -c 2)
	[ "$(json '.statuses."200"' "$result")" = "$n" ] || fail "requests failed: $result"
	jq -r '"\(.latency_us.p50 | floor) \(.latency_us.p99 | floor)"' <<<"$result"
}
before=$(told weft_spans_sent_total)
read -r p50 p99 < <(latency)
all_sent() { [ $(($(told weft_spans_sent_total) + $(dropped) - before)) = $((2 * n)) ]; }
wait_until 20 all_sent
expect_eq "spans that were dropped" "$(dropped)" 0
collector_stop
read -r down50 down99 < <(latency)
all_told() { [ $(($(told weft_spans_sent_total) + $(dropped) - before)) = $((4 * n)) ]; }
wait_until 30 all_told
expect_between "a collector that is down: spans that were dropped" "$(dropped)" 1 $((2 * n))
say "p50/p99 in us: $p50/$p99 with a collector, $down50/$down99 without"
expect_between "p50 without a collector, us" "$down50" 0 $((2 * p50 + 1000))
expect_match "weftd says so" "$(<"$TMP/weftd.log")" "takes no spans, which are dropped: .*onnect"

# One that takes connections and says nothing.
start_in world /usr/bin/python3 -c 'import socket, sys, time
s = socket.create_server(("10.1.0.2", 4318))
print("listening", flush=True)
time.sleep(1000)' >"$TMP/silent.log"
SILENT=$STARTED
wait_until 5 grep -q listening "$TMP/silent.log"
read -r slow50 slow99 < <(latency)
say "p50/p99 in us: $slow50/$slow99 with a silent collector"
expect_between "p50 with a silent collector, us" "$slow50" 0 $((2 * p50 + 1000))
kill "$SILENT"
wait "$SILENT" 2>/dev/null || true

# It is there again.
collector_start world
page sleep again http://details:9080/details/0
wait_until 40 spans_are again 2
say "ok: the collector is there again"

# Without an endpoint nothing is told, and what an application says of its trace goes on as it came.
weftd_stop
weftd_start --tracing-sampling 100
page sleep untold http://details:9080/details/0
nothing untold
[ ! -e "$TMP/run/spans" ] || fail "the FIFO is still there"
