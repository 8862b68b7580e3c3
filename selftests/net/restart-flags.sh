#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# weftd is started again with another option than before: what it is given holds from then on, or it says in one line why not
# and ends. No connection notices, unless it was of a pod that is left out.
#
#   --max-connections  refused: connections are in the table       --pods, --nic       taken
#   --bpffs            refused: the programs there steer on        --workers           another weft-proxy, with as many
#   --run-dir          refused: weft-proxy serves there            --log-level   another weft-proxy
#   --state-dir        taken, with a warning: its rules hold    --unseen, --shortcut   taken
#   --cgroup           refused: the programs on it steer on
. "${0%/*}/lib.sh"

ROOM=200

node_up
pod_add client 1
pod_add one 2 app=echo
echo_start one 9000 one
weftd_start --max-connections $ROOM
{
	rules_pods
	rules_service echo 10
} | apply
ip_in node <<<"link add nic1 type veth peer name nic1-peer"
ip_in node <<<"link set nic1 up"

# refused WHAT PATTERN OPTION...
refused() {
	local what=$1 pattern=$2 status=0 said
	shift 2
	# shellcheck disable=SC2046 # words are meant
	said=$(in_ns node timeout 20 "$OUT/weftd" $(weftd_options) "$@" 2>&1) || status=$?
	REFUSED=$said
	expect_eq "$what: exit status" $status 1
	expect_eq "$what: lines" "$(wc -l <<<"$said")" 1
	expect_match "$what: $said" "$said" "$pattern"
}

# restart OPTION...
restart() {
	weftd_stop
	weftd_start "$@"
}

# pinned_total: connections that were let in so far, without a daemon to ask
pinned_total() { map_dump dests | jq '[.[] | (.formatted // .).value.cx_total] | add'; }

status_of() { weft status -o json | jq -c "$1"; }

# has_program INTERFACE: by a link of weft's, or before 6.6 by a filter
has_program() {
	local index
	index=$(ip -n "$(netns node)" -j link show dev "$1" | jq '.[0].ifindex')
	[ -e "$TMP/bpf/weft/link/$index" ] || [ -n "$(in_ns node tc filter show dev "$1" ingress 2>/dev/null)" ]
}

# attached: the interfaces that have programs of weft's
attached() {
	local name found=()
	for name in nic0 nic1 veth1 veth2; do
		if has_program $name; then found+=("$name"); fi
	done
	echo "${found[*]}"
}

holders=()
for family in 4 6; do
	load_start client "$TMP/held.$family" "$(vip $family 10)" 9000 -n 5 -c 5 -s hello -e hold --every 100 --ready "$TMP/ready.$family"
	holders+=("$STARTED")
	wait_until 5 test -e "$TMP/ready.$family"
done

weftd_stop
refused "a larger table" "room for $ROOM.*--max-connections $ROOM.*--detach" --max-connections 2000
refused "a smaller table" "room for $ROOM.*--max-connections $ROOM.*--detach" --max-connections 100
mkdir "$TMP/bpf/other"
refused "other pins" "$TMP/bpf/weft.*--detach" --bpffs "$TMP/bpf/other/weft"
refused "another weft-proxy" "$TMP/run.*--detach" --run-dir "$TMP/run2"
mkdir "$CGROUP/other" # goes with the test's own
refused "another cgroup" "--cgroup.*$CGROUP( |:|;|,|\\.|$)" --cgroup "$CGROUP/other"
expect_match "another cgroup: it is named, too" "$REFUSED" "$CGROUP/other"
expect_eq "another cgroup: programs on it" "$(bpftool cgroup show "$CGROUP/other")" ""
for family in 4 6; do
	places=$(pinned_total)
	expect_eq "IPv$family: steering goes on" "$(load client "$(vip $family 10)" 9000 -n 10 -s hello)" '{"one":10}'
	expect_eq "IPv$family: and is counted" $(($(pinned_total) - places)) 10
done
expect_eq "nothing else is pinned" "$(ls "$TMP/bpf/other")" ""
weftd_start --max-connections $ROOM
expect_eq "the table as it was, asked for" "$(status_of .max_connections)" $ROOM
restart
expect_eq "and unasked" "$(status_of .max_connections)" $ROOM

for workers in 1 3; do
	restart --workers $workers
	expect_eq "workers" "$(status_of .proxy.workers)" $workers
	expect_eq "their threads" "$(find "/proc/$(proxy_pid)/task" -mindepth 1 -maxdepth 1 | wc -l)" $((workers + 1))
done
for option in "--access-log $TMP/access" "--access-log $TMP/access --access-log-format json" "--access-log -" ""; do
	was=$(proxy_pid)
	# shellcheck disable=SC2086 # words are meant
	restart --workers 3 $option
	expect_eq "${option:-no access log}: weft-proxy goes on with it" "$(proxy_pid)" "$was"
done
was=$(proxy_pid)
restart --workers 3 --log-level debug
[ "$(proxy_pid)" != "$was" ] || fail "--log-level debug: weft-proxy goes on without it"
was=$(proxy_pid)
restart --workers 3 --log-level debug
expect_eq "--log-level debug: once is enough" "$(proxy_pid)" "$was"

short_cut() { weft status | sed -n 's/^short cut *//p'; }
short_cut_is() { [ "$(short_cut)" = "$1" ]; }
for options in "--shortcut always --unseen refuse" "--shortcut never --unseen steer" ""; do
	# shellcheck disable=SC2086 # words are meant
	restart $options
	case $options in
	*always*) want=always word=ECONNREFUSED ;;
	*never*) want=never word=one ;;
	*) want="auto: in use" word=one ;;
	esac
	wait_until 5 short_cut_is "$want"
	for family in 4 6; do
		expect_eq "IPv$family: ${options:-neither given}: unseen" "$(outside load client "$(vip $family 10)" 9000 -n 10 -s hello)" "{\"$word\":10}"
		expect_eq "IPv$family: ${options:-neither given}: seen" "$(load client "$(vip $family 10)" 9000 -n 10 -s hello)" '{"one":10}'
	done
done

for family in 4 6; do
	expect_eq "IPv$family: new connections" "$(load client "$(vip $family 10)" 9000 -n 10 -s hello)" '{"one":10}'
done
for pid in "${holders[@]}"; do
	kill -TERM "$pid"
	wait "$pid"
done
for family in 4 6; do
	expect_eq "IPv$family: connections go on" "$(<"$TMP/held.$family")" '{"one":5}'
done

# A pod that is none of weft's any more has no connections of weft's, either.
pods=("${PODS[@]}")
PODS=("${pods[0]}")
restart --pods veth1
PODS=("${pods[@]}")
expect_eq "fewer pods" "$(status_of .pods)" 1
expect_eq "fewer pods: interfaces" "$(attached)" "nic0 veth1"
restart --pods auto --nic nic1
expect_eq "another NIC: interfaces" "$(attached)" "nic1 veth1 veth2"
restart --nic nic0
expect_eq "NIC and pods as they were" "$(attached)" "nic0 veth1 veth2"

restart --state-dir "$TMP/state2"
expect_match "other rules" "$(tail -5 "$TMP/weftd.log")" "nothing is stored in the state directory.* go"
expect_eq "other rules: none" "$(status_of .objects)" '{}'
