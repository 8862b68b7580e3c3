#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A weftd finds what an earlier version has pinned. Counters whose rows have changed begin at 0, and nothing else is noticed; what
# holds connections or names is not taken over in another form: weftd does not start, and the kernel steers on.
. "${0%/*}/lib.sh"

pin_of() { echo "$TMP/bpf/weft/$1"; }
id_of() { bpftool -j map show pinned "$(pin_of "$1")" | jq .id; }
of_map() { bpftool -j map show pinned "$(pin_of "$1")" | jq ".$2"; }

# older NAME ROW-BYTES ROWS: so many fewer, in a map that takes the place of the one that is pinned
older() {
	local name=$1 type value rows flags
	type=$(of_map "$name" type | tr -d '"')
	value=$(($(of_map "$name" bytes_value) - $2))
	rows=$(($(of_map "$name" max_entries) - $3))
	flags=$(of_map "$name" flags)
	rm "$(pin_of "$name")"
	bpftool map create "$(pin_of "$name")" type "$type" key "$(of_map_key "$name")" value $value entries $rows name "$name" \
		flags "$flags"
}
of_map_key() { case $1 in conns) echo 40 ;; *) echo 4 ;; esac; }

both_sides_up
weftd_start
both_sides_rules | apply
for family in 4 6; do
	http_works $family || fail "IPv$family: HTTP does not work to begin with"
	load_start client "$TMP/held$family" "$(vip $family 20)" 9000 -n 5 -c 5 -s hello -e hold --every 100 --ready "$TMP/ready$family"
	held[family]=$STARTED
	wait_until 5 test -e "$TMP/ready$family"
done
expect_eq "requests counted" "$(cluster_stat '' upstream_rq_total one 80)" 10

# ---- counters ----

weftd_stop
older http_clusters 96 0
older http_routes 8 0
older http_traffic 8 0
older reasons 0 1
weftd_start
for map in http_clusters http_routes http_traffic reasons; do
	expect_match "the log tells of $map" "$(<"$TMP/weftd.log")" "/$map was made by another version of weft, with other rows: it is made anew"
done
expect_eq "what HTTP has counted" "$(cluster_stat '' upstream_rq_total one 80)" 0
expect_eq "what TCP has counted" "$(cluster_stat '' upstream_cx_active two)" 10
for family in 4 6; do
	http_works $family || fail "IPv$family: HTTP does not work any more"
	expect_eq "IPv$family: TCP" "$(load client "$(vip $family 20)" 9000 -n 5 -s hello)" '{"two":5}'
done
expect_eq "it is counted again" "$(cluster_stat '' upstream_rq_total one 80)" 10
weft verify-install >/dev/null || fail "something is missing: $(weft verify-install)"

# ---- reasons in another order ----

# reason_put ROW NAME COUNT, reason NAME: the count of that name
reason_put() {
	local row=$1 name=$2 count=$3 bytes=() i
	for ((i = 0; i < 32; i++)); do
		bytes+=("$([ $i -lt ${#name} ] && printf %d "'${name:i:1}" || echo 0)")
	done
	bpftool map update pinned "$(pin_of reasons)" key "$row" 0 0 0 value "${bytes[@]}" "$count" 0 0 0 0 0 0 0
}
reason() { weft stats weft.reason -o json | jq -c ".[\"weft.reason.$1\"]"; }

weftd_stop
reason_put 1 overflow 5
reason_put 3 of_old 7
weftd_start
expect_eq "a reason that is what it was goes on" "$(reason overflow)" 5
expect_eq "a reason that another version had there is gone" "$(reason of_old)" null
expect_eq "the one that is there now begins at 0" "$(reason no_cluster)" 0

# ---- what holds connections, names or rules, beside a map of counters ----

# of_old MAP: one in another form, where it is pinned
of_old() {
	local at="$TMP/bpf/kept/table"
	case $1 in
	gen_*)
		bpftool map create "$at" type array key 4 value 48 entries 1 name table
		bpftool map create "$(pin_of "$1")" type array_of_maps key 4 value 4 entries 4 name "$1" inner_map pinned "$at"
		bpftool map update pinned "$(pin_of "$1")" key 2 0 0 0 value pinned "$at"
		rm "$at"
		;;
	*) bpftool map create "$(pin_of "$1")" type hash key 4 value 8 entries 64 name "$1" flags 1 ;;
	esac
}

weftd_stop
cp "$TMP/weftd.log" "$TMP/before"
mkdir "$TMP/bpf/kept"
for map in conns clusters endpoints gen_rules; do
	mv "$(pin_of $map)" "$TMP/bpf/kept/"
	of_old $map
	older http_clusters 96 0
	mine=$(id_of http_clusters)
	status=0
	# shellcheck disable=SC2046 # words are meant
	said=$(in_ns node timeout 20 "$OUT/weftd" $(weftd_options) 2>&1) || status=$?
	expect_eq "$map: exit status" $status 1
	expect_match "$map: the remedy is named" "$said" "/$map was made by another version of weft.*weftd --detach"
	expect_eq "$map: counters stay for the version that has made them" "$(id_of http_clusters)" "$mine"
	expect_eq "$map: the kernel steers on" "$(load client "$(vip 4 20)" 9000 -n 5 -s hello)" '{"two":5}'
	http_works 6 || fail "$map: weft-proxy does not serve any more"
	rm "$(pin_of $map)"
	mv "$TMP/bpf/kept/$map" "$(pin_of $map)"
done
weftd_start
for family in 4 6; do
	kill -TERM "${held[family]}"
	wait "${held[family]}"
	expect_eq "IPv$family: those that were held noticed nothing" "$(<"$TMP/held$family")" '{"two":5}'
done
