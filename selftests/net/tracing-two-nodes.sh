#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A page of Bookinfo whose pods are on two nodes is one tree in the collector that both tell: in clear, where the caller's node tells
# both spans of a request, and by mutual TLS, where each tells its own.
. "${0%/*}/lib.sh"
. "$ROOT/selftests/net/tracing-lib"

node_up
node2_up
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/root.key" -out "$TMP/root.crt" -subj /O=root -days 30 2>/dev/null
pod_add sleep 10
bookinfo_up ratings-v1 reviews-v3
outside_add otel 9
collector_start otel
options=(--ca-cert "$TMP/root.crt" --ca-key "$TMP/root.key" --tracing-sampling 100 --tracing-endpoint "http://$(addr 4 otel):4318")
weftd_start --node-name one "${options[@]}"
weftd2_start "${options[@]}"
rules_pods >"$TMP/pods.yaml"
rules_strict >"$TMP/strict.yaml"
both "$BOOKINFO"/{bookinfo,destination-rule-all,virtual-service-all-v1,virtual-service-reviews-v3}.yaml "$TMP/pods.yaml"

for family in 4 6; do
	bookinfo_hosts $family
	page sleep "clear-$family" "$URL/productpage"
	expect_eq "IPv$family, in clear: a page is one tree" "$(tree_of "clear-$family" 8)" "$(tree_below "CLIENT sleep.default")"
done

both "$TMP/strict.yaml"
by_mutual_tls() { page sleep ready "$URL/productpage" && [ "$(bookinfo_seen "$TMP/page")" = "red stars" ]; }
wait_until 20 by_mutual_tls
for family in 4 6; do
	bookinfo_hosts $family
	page sleep "mutual-$family" "$URL/productpage"
	expect_eq "IPv$family, by mutual TLS: a page is one tree" "$(tree_of "mutual-$family" 8)" "$(tree_below "CLIENT sleep.default")"
	expect_eq "IPv$family: the endpoint of another node" "$(received count "guid:x-request-id=mutual-$family" kind=SERVER service=reviews.default \
		k8s.node.name=two)" 1
done
