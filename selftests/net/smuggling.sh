#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Requests that two readers could understand differently are answered with 400 and the connection is closed; none reaches an endpoint,
# whether it comes in one piece, byte by byte, or behind a good request.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
http_echo_start one 8080 one --log "$TMP/received"
weftd_start
{
	rules_pods
	PROTOCOL=http rules_service echo 10 80:8080
	rules_subsets echo v1
	PROTOCOL=http rules_weights echo v1
} | apply

smuggle() { in_ns client "$APPS/http-smuggle" "$(vip "$1" 10)" 80 "${@:2}"; }

complete() { json .requests "$(http_echo_ask one 8080 /_stats)"; }

# others RESULT PATTERN: the lines that say something else
others() { grep -Ev "$2" <<<"$1" || true; }

expect_eq "a good request" "$(json '.words.one' "$(http_load client "$(vip 4 10)" 80)")" 1

for family in 4 6; do
	: >"$TMP/received"
	result=$(smuggle $family)
	expect_between "IPv$family: requests" "$(wc -l <<<"$result")" 100 10000
	expect_eq "IPv$family: not refused" "$(others "$result" $'^(400|417) closed\t')" ""
	expect_eq "IPv$family: bytes that reached the endpoint" "$(wc -c <"$TMP/received")" 0

	before=$(complete)
	: >"$TMP/received"
	result=$(smuggle $family --second)
	expect_eq "IPv$family, behind a good request: not refused" "$(others "$result" $'^200 (400|417) closed\t')" ""
	expect_eq "IPv$family: good requests that reached the endpoint" "$(grep -c '^GET /good ' "$TMP/received")" "$(wc -l <<<"$result")"
	expect_eq "IPv$family: other ones" "$(grep -Ec '^[A-Z]+ ' "$TMP/received")" "$(wc -l <<<"$result")"
	expect_eq "IPv$family: complete ones" "$(complete)" $((before + $(wc -l <<<"$result")))

	# The head of one with bad chunks may be on its way before they come: it never becomes whole.
	before=$(complete)
	: >"$TMP/received"
	result=$(smuggle $family --bytewise)
	expect_eq "IPv$family, byte by byte: not refused" "$(others "$result" $'^(400|417) closed\t')" ""
	expect_eq "IPv$family: complete ones" "$(complete)" "$before"
	expect_eq "IPv$family: smuggled ones" "$(grep -c smuggled "$TMP/received" || true)" 0
done

result=$(http_load client "$(vip 4 10)" 80 -t 60000)
expect_eq "a good request still: $result" "$(json '.words.one' "$result")" 1
