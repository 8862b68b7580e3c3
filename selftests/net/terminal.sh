#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a terminal shows: weft top's views, its keys, a size that changes, a weftd that goes and comes; weft logs -f and weft conns -w with
# real traffic. The terminal is tmux's.
. "${0%/*}/lib.sh"

# term COMMAND...: tmux with a server of its own
term() { LC_ALL=C.UTF-8 tmux -f /dev/null -S "$TMP/tmux$TERMINAL" "$@"; }
TERMINAL=0 # which one: a server that was told to end may be about to
# screen: what is on it
screen() { term capture-pane -p -t it; }
screen_has() { screen | LC_ALL=C.UTF-8 grep -E -- "$1" >/dev/null; }
screen_lacks() { ! screen_has "$1"; }
# seen WHAT PATTERN: at last it is on the screen
seen() {
	screen >"$TMP/screen"
	wait_until 10 screen_has "$2"
	say "ok: $1"
}
press() { term send-keys -t it "$@"; }
# terminal_with WIDTH HEIGHT COMMAND...: a new one that runs it, and stays when it ends, with its exit status in $TMP/status: tmux has been
# seen not to notice an end
terminal_with() {
	term kill-server 2>/dev/null || true
	TERMINAL=$((TERMINAL + 1))
	rm -f "$TMP/status"
	# shellcheck disable=SC2016 # for the shell in the terminal
	term new-session -d -s it -x "$1" -y "$2" sh -c 'trap : INT; file=$1; shift; "$@"; echo $? >"$file"' sh "$TMP/status" "${@:3}"
	term set-option -t it remain-on-exit on >/dev/null
}
show_screen() {
	local status=$?
	set +e
	[ $status = 0 ] || { echo "---- screen ----"; screen; } >&2
	(exit $status)
	cleanup
}
ended() { [ -s "$TMP/status" ]; }
status_of() { cat "$TMP/status"; }

node_up
mkdir "$TMP/fake"
trap show_screen EXIT

# ---- weft top, of a weftd that always tells the same ----

fake_start() {
	: >"$TMP/fake.log"
	python3 "$ROOT/selftests/net/terminal-weftd.py" "$TMP/fake/weftd.sock" >"$TMP/fake.log" &
	FAKE=$!
	wait_until 10 grep -q listening "$TMP/fake.log"
}
fake_start
top=("$OUT/weft" --run-dir "$TMP/fake" top)

terminal_with 120 30 "${top[@]}" --interval 0.5
seen "the rate of a service, its errors and times" "^shop/reviews +(9[0-9]|10[0-9]) +[3-6]\.[0-9]% +1[0-9]ms +(5[0-9]|[6-9][0-9])ms +0 +0 .*█"
seen "another, with no errors" "^shop/ratings +(19|2[0-9]) +0% +3.0ms +5.0ms"
seen "all of it" "^1[6-9][0-9] requests/s  [23]\.[0-9]% errors  p50 [0-9.]+ms  p99 [0-9]+ms  tcp 4.0kB/s  generation 7"
expect_match "the busiest first" "$(screen | sed -n 4p)" "^shop/reviews "
press 2
seen "workloads" "^weft top - workloads"
seen "a workload" "^shop/reviews-v1 +(9[0-9]|10[0-9]) "
press 3
seen "who calls whom" "^shop/sleep -> shop/reviews-v1 +(9[0-9]|10[0-9]) "
press 4
seen "the node" "^connections by packets +30 of 1000 +\[ +\] +3%"
press Tab
seen "views in a circle" "^weft top - services"
press s
seen "sorted by errors" "sorted by errors"
press S S
seen "by name" "sorted by name"
seen "which begins with the first" "^shop/db "
seen "connections without requests" "^shop/db +0 +- +- +- +(1.9|2(\.[0-9])?) +4.0k"
press r
seen "the other way round" "sorted by name, reversed"
expect_match "the last name first" "$(screen | sed -n 4p)" "^shop/reviews "
press j j j
wait_until 5 screen_lacks "^shop/ratings "
say "ok: further rows"
press Home / rat Enter
seen "a filter" "filter: rat"
wait_until 5 screen_lacks "^shop/reviews "
seen "what it leaves" "^shop/ratings "
press Escape
seen "without it" "^shop/reviews "
press '?'
seen "help" "^q +quit; \?: this help"
press '?' p
seen "paused" "paused"
press p +
seen "more often" "every 0.25s"
term resize-window -t it -x 70 -y 12
seen "another size" "^shop/reviews +[0-9]+ +[45]\.[0-9]%"
expect_eq "as many lines as there is room for" "$(screen | wc -l)" 12
expect_match "its last line" "$(screen | tail -1)" "^1 services"
wait_until 5 screen_lacks "█"
say "ok: a narrow one goes without the bars"
term resize-window -t it -x 120 -y 30
seen "and has them again" "█"
kill "$FAKE"
seen "no weftd" "^no weftd runs on "
fake_start
seen "another one" "requests/s"
press q
wait_until 5 ended
expect_eq "q ends it" "$(status_of)" 0

expect_match "a pipe is no terminal" "$("${top[@]}" 2>&1 | cat || true)" "standard output is no terminal: --once prints a table"

once() { "${top[@]}" --once --interval 0.5 "$@"; }
expect_match "once: a table" "$(once)" "^shop/reviews +(9[0-9]|10[0-9]) +[3-6]\.[0-9]% "
expect_match "another view" "$(once --view edges --sort name --filter RATINGS)" "^shop/sleep -> shop/ratings-v1 +(19|2[0-9]) "
expect_eq "only that" "$(once --view edges --filter ratings | wc -l)" 2
expect_eq "as JSON" "$(once -o json --filter reviews | jq -c '[.services[].name, .workloads[].name, .edges[].name, (.services[0].errors | . > 0.03 and . < 0.07)]')" \
	'["shop/reviews","shop/reviews-v1","shop/sleep -> shop/reviews-v1",true]'
expect_eq "of a namespace" "$(once -n other -o json | jq -c '.services')" '[]'
expect_match "no such view" "$("${top[@]}" --view x 2>&1 || true)" 'services, workloads, edges or node is expected, not "x"'
expect_match "no such column" "$("${top[@]}" --sort x 2>&1 || true)" '--sort: name, rate, errors, p50, p99, tcp or bytes is expected'

# ---- weft logs -f and weft conns -w, of a real one ----

pod_add client 1
pod_add one 2 app=web,version=v1
http_echo_start one 8080 one
echo_start one 9000 echo
weftd_start
{
	rules_pods
	PROTOCOL=http rules_service web 10 80:8080 app=web
	PROTOCOL=http rules_routes web "- route: [{destination: {host: web}}]"
	rules_service tcp 20 9000 app=web
} | apply

terminal_with 140 20 "$OUT/weft" --run-dir "$TMP/run" logs -f
sleep 1
http_load client "$(vip 4 10)" 80 -p /seen >/dev/null
seen "a request as it ends" "^[0-9:.]{12} default/client -> web.default \(default/one\) 200 GET /seen [0-9]+ms$"
http_echo_ask one 8080 "/_set?status=503" >/dev/null
http_load client "$(vip 4 10)" 80 -p /bad >/dev/null
seen "one that the endpoint refuses" "web.default \(default/one\) 503 GET /bad [0-9]+ms"
expect_match "in colour" "$(term capture-pane -e -p -t it | grep /bad)" $'\e\\[31m503'
press C-c
wait_until 5 ended
expect_eq "^C ends it" "$(status_of)" 0

http_echo_ask one 8080 "/_set?status=200" >/dev/null
http_load client "$(vip 4 10)" 80 -p /ok -n 30 >/dev/null
expect_eq "weft top has all of them" \
	"$(weft top --once --interval 0.25 -o json | jq -c '[.services[] | select(.name == "default/web") | .requests], [.edges[] | select(.name == "default/client -> default/one" and .requests > 0) | .requests]' | paste -sd' ')" \
	"[32] [32]"

terminal_with 160 20 "$OUT/weft" --run-dir "$TMP/run" conns -w --to tcp
seen "the headings" "^EVENT +CLIENT +SERVICE"
load_start client "$TMP/held" "$(vip 4 20)" 9000 -n 1 -s hello -k 3000
seen "a connection is opened" "^opened +default/client +default/tcp:9000 .* established "
wait "$STARTED" || true
seen "and closed" "^closed +default/client +default/tcp:9000 "
expect_eq "those of others are not shown" "$(weft conns --from one -o json | jq length)" 0
press C-c
wait_until 5 ended
term kill-server
