#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Endpoints change in place: without a generation, at once, and no connection ever gets another Service's while they do.
. "${0%/*}/node.sh"

SECONDS_LONG=$(rounds 20 5)
KEYS=(a1 a2 a3 b1 b2 b3)

node_up
pod_add client 1
for i in "${!KEYS[@]}"; do
	pod_add "${KEYS[i]}" $((i + 2)) app="${KEYS[i]%?}"
	echo_start "${KEYS[i]}" 9000 "${KEYS[i]}"
done
kube_up
kube_crds_up v1
kube_pods
kube label namespace default istio-injection=enabled >/dev/null
{
	rules_service a 10
	rules_service b 11
	rules_service large 12
} | kube_apply

changes() { in_ns node "${0%/*}/changes.py" "$KUBE_DIR" "$API_PORT" "$@"; }
ips() { # NAME...
	local name out=
	for name in "$@"; do out+=,$(addr 4 "$name"); done
	echo "${out#,}"
}
answers() { load client "$(vip 4 "$1")" 9000 -n 40 -s hello --sequence | sort -u | paste -sd' '; }
answers_are() { [ "$(answers "$1")" = "$2" ]; }
# How many connections the kernel has counted for it.
counted() {
	bpftool -j map dump pinned "$TMP/bpf/weft/endpoints" |
		jq ".[].formatted.value | select((.name | if type == \"array\" then map(select(. > 0)) | implode else . end) == \"$(addr 4 "$1"):9000\") | .cx_total"
}
kernel_tables() { python3 "${0%/*}/tables.py" "$TMP/bpf/weft" >"$1"; }

changes endpoints a "$(ips a1)"
changes endpoints b "$(ips b1)"
weftd_kube
wait_until 10 answers_are 10 a1

# ---- one change ----
before=$(generation)
load_start client "$TMP/held" "$(vip 4 10)" 9000 -n 3 -s hello --every 100 -e hold --ready "$TMP/ready"
held=$STARTED
wait_until 5 test -e "$TMP/ready"
changes endpoints a "$(ips a2 a3)"
wait_until 5 answers_are 10 "a2 a3"
expect_eq "another Service's stay" "$(answers 11)" b1
changes endpoints a ""

wait_until 5 answers_are 10 ECONNREFUSED
changes endpoints a "$(ips a3)"
wait_until 5 answers_are 10 a3
expect_eq "what endpoints change makes no generation" "$(generation)" "$before"
[ "$(counted a3)" -ge 40 ] || fail "what comes is not counted: '$(counted a3)'"
expect_match "explain says the same" "$(weft explain --from default/client --to "$(vip 4 10):9000")" "$(addr 4 a3):9000"
kill -TERM "$held"
wait "$held" || true
expect_eq "connections to what has left a Service go on" "$(cat "$TMP/held")" '{"a1":3}'

# ---- very many, until the rows are gathered, and more than once ----
changes shuffle "$SECONDS_LONG" a="$(ips a1 a2 a3)" b="$(ips b1 b2 b3)" large="$(seq -s, -f 192.0.2.%g 250)" &
shuffle=$!
for ((i = 10; i <= 11; i++)); do
	load_start client "$TMP/load.$i" "$(vip 4 $i)" 9000 -d "$SECONDS_LONG" -c 4 -s hello
	jobs[i]=$STARTED
done
for ((i = 10; i <= 11; i++)); do wait "${jobs[i]}"; done
wait "$shuffle"
for service in 10:a 11:b; do
	got=$(<"$TMP/load.${service%:*}")
	say "${service#*:}: $got"
	expect_eq "${service#*:}: only its own answer" "$(jq -r 'keys[]' <<<"$got" | sort | paste -sd' ')" \
		"${service#*:}1 ${service#*:}2 ${service#*:}3"
done
made=$(($(generation) - before))
expect_between "generations, each of which gathers the rows" "$made" 1 $((SECONDS_LONG * 3))
wait_until 5 answers_are 10 "a1 a2 a3"
wait_until 5 answers_are 11 "b1 b2 b3"
kernel_tables "$TMP/changed"
weftd_stop
weftd_kube
kernel_tables "$TMP/anew"
expect_eq "the tables are those of a weftd that begins" "$(diff "$TMP/changed" "$TMP/anew" | head -n 5)" ""
