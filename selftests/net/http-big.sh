#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The proxy takes as little memory for a body of any size as for a small one, little for a connection that waits, and no more
# after many requests than after some.
. "${0%/*}/lib.sh"

MIB=$(rounds 4224 128) # more than 32 bits can count
IDLE=$(rounds 10000 500)
REQUESTS=$(rounds 100000 10000) # were 32 bytes lost with each connection of half of them, it would be more than may be kept
PATIENCE=(-t 60000)

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
http_echo_start one 8080 one
weftd_start
{
	rules_pods
	PROTOCOL=http rules_service echo 10 80:8080
	rules_subsets echo v1
	PROTOCOL=http rules_weights echo v1
} | apply
TO=("$(vip 4 10)" 80 "${PATIENCE[@]}")
PROXY=

memory() { awk -v what="$1:" '$1 == what { print $2 }' "/proc/$PROXY/status"; } # VmRSS|VmHWM, in KiB
forget_peak() { echo 5 >"/proc/$PROXY/clear_refs"; }
descriptors() { find "/proc/$PROXY/fd" -type l | wc -l; }

# moved WHAT RESULT
moved() { expect_eq "$1: whole, and as it was" "$(jq -c '[.statuses, .errors]' <<<"$2")" '[{"200":1},{}]'; }

expect_eq "a first answer" "$(json .words.one "$(http_load client "${TO[@]}")")" 1
PROXY=$(proxy_pid)

# A body of any size: small ones first, for what they take.
http_load client "${TO[@]}" -p /bytes/1048576 --verify >/dev/null
http_load client "${TO[@]}" -p /upload --upload 1048576 >/dev/null
for family in 4 6; do
	# The other family is there to be tried once, not to take as long again.
	[ $family = 4 ] || MIB=$((MIB / 16))
	TO[0]=$(vip $family 10)
	BYTES=$((MIB * 1048576))
	forget_peak
	before=$(memory VmHWM)
	moved "IPv$family: $MIB MiB down" "$(http_load client "${TO[@]}" -p /bytes/$BYTES --verify)"
	moved "IPv$family: $((MIB / 16)) MiB down, chunked" "$(http_load client "${TO[@]}" -p /chunks/$((BYTES / 16)) --verify)"
	moved "IPv$family: $MIB MiB up" "$(http_load client "${TO[@]}" -p /upload --upload $BYTES)"
	moved "IPv$family: $((MIB / 16)) MiB up, chunked" "$(http_load client "${TO[@]}" -p /upload --chunked --upload $((BYTES / 16)))"
	expect_between "IPv$family: KiB of memory that this took, at its peak" $(($(memory VmHWM) - before)) -100000 2048
done

# Connections that wait.
TO[0]=$(vip 4 10)
before=$(descriptors)
http_load_start client "$TMP/idle" "${TO[@]}" -n 0 --idle "$IDLE" --hold --ready "$TMP/ready"
holder=$STARTED
wait_until 60 test -e "$TMP/ready"
expect_between "descriptors with $IDLE connections waiting" "$(descriptors)" "$IDLE" $((IDLE + IDLE / 5 + 500))
expect_between "KiB of memory then" "$(memory VmRSS)" 1 $((100 * 1024))
result=$(http_load client "$(vip 6 10)" 80 "${PATIENCE[@]}" -n 1000 -c 10)
expect_eq "requests beside them" "$(json '.statuses."200"' "$result")" 1000
kill "$holder"
wait "$holder" || true
expect_eq "connections that were lost" "$(json .idle_lost "$(<"$TMP/idle")")" 0
expect_eq "and that were kept" "$(json .idle "$(<"$TMP/idle")")" "$IDLE"
few_descriptors() { (($(descriptors) < before + IDLE / 5 + 500)); }
wait_until 20 few_descriptors

# Many requests. What the first ones make it keep is not growth.
many() { # N
	local kept=$(($1 / 2)) result
	result=$(http_load client "${TO[@]}" -n $kept -c 32 -H "a: b" -p /bytes/64)
	expect_eq "requests over kept connections" "$(json '.statuses."200"' "$result")" $kept
	result=$(http_load client "${TO[@]}" -n $(($1 - kept)) -c 32 --close -p /upload -b text)
	expect_eq "with a connection each" "$(json '.statuses."200"' "$result")" $(($1 - kept))
}

many "$(rounds $((REQUESTS / 10)) "$REQUESTS")"
memory_before=$(memory VmRSS)
descriptors_before=$(descriptors)
many "$REQUESTS"
expect_between "descriptors more after $REQUESTS requests" $(($(descriptors) - descriptors_before)) -100000 64
expect_between "KiB of memory more" $(($(memory VmRSS) - memory_before)) -100000 1024
expect_eq "the proxy is still the same" "$(proxy_pid)" "$PROXY"
