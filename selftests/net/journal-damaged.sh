#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A damaged journal keeps weftd from starting, and steering goes on by what is in force: no damage puts fewer rules into force.
. "${0%/*}/lib.sh"

node_up
JOURNAL=$TMP/state/rules.journal
pod_add client 1
pod_add one 2 app=echo
echo_start one 9000 one
weftd_start
{
	rules_pods
	rules_service echo 10
} | apply
rules_service other 11 | apply
weftd_stop
cp "$JOURNAL" "$TMP/good"

# flip OFFSET: one bit
flip() {
	local byte
	byte=$(od -An -tu1 -j "$1" -N 1 "$JOURNAL")
	printf "\\x$(printf %x $((byte ^ 16)))" | dd of="$JOURNAL" bs=1 seek="$1" conv=notrunc status=none
}

# refused WHAT PATTERN
refused() {
	local status=0 said before
	before=$(sha256sum <"$JOURNAL")
	# shellcheck disable=SC2046 # words are meant
	said=$(in_ns node timeout 20 "$OUT/weftd" $(weftd_options) 2>&1) || status=$?
	expect_eq "$1: exit status" $status 1
	expect_match "$1: $said" "$said" "$2"
	expect_eq "$1: the journal" "$(sha256sum <"$JOURNAL")" "$before"
	expect_eq "$1: steering goes on" "$(load client "$(vip 4 10)" 9000 -n 10 -s hello)" '{"one":10}'
}

flip 100
refused "a bit in the first of two transactions" 'rules.journal is damaged'
cp "$TMP/good" "$JOURNAL"
truncate -s 100 "$JOURNAL"
for round in first second; do
	refused "nothing but a torn transaction, $round start" 'nothing is left of the stored rules'
done
expect_eq "what is torn is kept" "$(stat -c %s "$TMP/state/rules.journal.bad")" 92
truncate -s 3 "$JOURNAL"
refused "not even a header" 'nothing is left of the stored rules'

cp "$TMP/good" "$JOURNAL"
truncate -s -1 "$JOURNAL"
weftd_start
expect_eq "a torn end: what is in front of it is there" "$(weft get svc -o json | jq -r '.items[].metadata.name')" echo
[ -s "$TMP/state/rules.journal.bad" ] || fail "the torn end is not kept"
rules_service other 11 | apply
weftd_stop
weftd_start
expect_eq "and it can be added to" "$(weft get svc -o json | jq -r '.items[].metadata.name' | sort | paste -sd' ')" "echo other"
