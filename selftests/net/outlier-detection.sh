#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An endpoint that answers 5xx so often in a row is left alone for baseEjectionTime; never more than maxEjectionPercent of them at a time;
# when all are out, the client is told so.
. "${0%/*}/lib.sh"

EJECTED_S=$((SLOWER * (3 + $(slowdown)))) # must not be over before a busy machine has looked

node_up
pod_add client 1
number=1
for pod in a b c d; do
	number=$((number + 1))
	pod_add $pod $number app=echo
	http_echo_start $pod 8080 $pod
done
weftd_start

# policy ERRORS PERCENT
policy() {
	echo "outlierDetection: {consecutive5xxErrors: $1, interval: 1s, baseEjectionTime: ${EJECTED_S}s, maxEjectionPercent: $2}"
}

{
	rules_pods
	PROTOCOL=http rules_service half 10 80:8080 app=echo
	rules_subsets half "" "$(policy 3 50)"
	PROTOCOL=http rules_service all 11 80:8080 app=echo
	rules_subsets all "" "$(policy 1 100)"
} | apply

# ask FAMILY SERVICE REQUESTS [OPTION...]: one after the other
ask() { http_load client "$(vip "$1" "$2")" 80 -n "$3" --count x-served-by "${@:4}"; }

fails() { http_echo_ask "$1" 8080 "/_set?status=$2" >/dev/null; }
heals() { http_echo_ask "$1" 8080 /_set >/dev/null; }

requests_of() { json .requests "$(http_echo_ask "$1" 8080 /_stats)"; }

# answers_again FAMILY POD SERVICE
answers_again() { [ "$(json ".words.$2" "$(ask "$1" "$3" 40)")" != 0 ]; }

names() { jq -r '.words | keys | join(" ")' <<<"$1"; }

for family in 4 6; do
	result=$(ask $family 10 100)
	expect_eq "IPv$family: who answers" "$(names "$result")" "a b c d"

	fails a 500
	before=$(requests_of a)
	since=$(milliseconds)
	result=$(ask $family 10 100)
	expect_eq "IPv$family: errors until it is ejected" "$(json '.statuses."500"' "$result")" 3
	expect_eq "IPv$family: requests it got" $(($(requests_of a) - before)) 3
	expect_eq "IPv$family: ejected" "$(cluster_stat '' outlier_detection.ejections_active half 80)" 1

	heals a
	wait_until $((EJECTED_S * 2 + 4)) answers_again $family a 10 # a second time takes twice as long
	expect_between "IPv$family: ms until it was back" $(($(milliseconds) - since)) $((EJECTED_S * 1000)) 60000
	expect_eq "IPv$family: ejected, afterwards" "$(cluster_stat '' outlier_detection.ejections_active half 80)" 0
done

# A good answer in between: it is the errors in a row that count.
http_echo_ask b 8080 "/_set?status=500&times=2" >/dev/null
result=$(ask 4 10 200)
expect_eq "two errors are not three" "$(json '.statuses."500"' "$result")" 2
expect_eq "all answer" "$(names "$result")" "a b c d"

# Three of four fail, half of them may be out. Requests that are under way there stay, and are marked.
under_way() { weft conns -o json | jq '[.[] | select(.method)]'; }
all_under_way() { [ "$(under_way | jq length)" = 8 ]; }
http_load_start client "$TMP/slow" "$(vip 4 10)" 80 -p /delay/$((3000 * SLOWER * $(slowdown))) -n 8 -c 8 -t 300000
slow=$STARTED
wait_until 5 all_under_way
expect_eq "under way at endpoints that are ejected" "$(under_way | jq '[.[] | select(.ejected)] | length')" 0
for pod in b c d; do fails $pod 503; done
ask 4 10 200 >/dev/null
result=$(ask 4 10 100)
expect_eq "out, of at most half" "$(cluster_stat '' outlier_detection.ejections_active half 80)" 2
expect_eq "lines for those" "$(weft conns | grep -c '^- .* ejected, for [0-9]*s more ')" 2
expect_between "under way there" "$(under_way | jq '[.[] | select(.ejected and .ejected_until)] | length')" 1 6
wait "$slow"
expect_eq "those that are asked" "$(jq '.words | length' <<<"$result")" 2
expect_match "the good one is" "$(names "$result")" "a"
expect_between "errors of the other" "$(json '.statuses."503"' "$result")" 10 90

# All fail, all may be out.
fails a 503
result=$(ask 6 11 100)
expect_eq "errors until all are out" "$(json '[.words.a, .words.b, .words.c, .words.d] | add' "$result")" 4
expect_eq "the others" "$(json .words.none "$result")" 96
http_load client "$(vip 6 11)" 80 --print >"$TMP/answer"
expect_match "status" "$(head -1 "$TMP/answer")" "^HTTP/1.1 503 "
expect_eq "what the client is told" "$(tail -1 "$TMP/answer")" "no healthy upstream"

for pod in a b c d; do heals $pod; done
wait_until 30 answers_again 6 a 11
