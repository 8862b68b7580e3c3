#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Names that DNS answers: weftd looks them up again and again, by IPv4 and IPv6, keeps the last good answer whatever happens to the
# server, and waits for nothing meanwhile.
. "${0%/*}/lib.sh"

SERVER=
server_start() {
	(in_ns_exec world "$ROOT/selftests/apps/dns-server.py" 5353 "$TMP/zones") &
	SERVER=$!
}
# zones JSON: what the server says from now on
zones() {
	printf '%s' "$1" >"$TMP/zones.new"
	mv "$TMP/zones.new" "$TMP/zones"
}
# names: what weftd knows, a line each
names() { weft status -o json | jq -r '.dns.names[] | "\(.name)=\(.addresses | join(","))"'; }
error_of() { weft status -o json | jq -r --arg n "$1" '.dns.names[] | select(.name == $n) | .error'; }
knows() { [ "$(names | sort)" = "$1" ]; }
failing() { [ "$(weft status -o json | jq .dns.failing)" = "$1" ]; }
count_names() { [ "$(weft status -o json | jq .dns.count)" = "$1" ]; }
# external NAME HOST
external() { printf -- '---\napiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {type: ExternalName, externalName: %s, ports: [{port: 80, name: tcp}]}\n' "$1" "$2"; }

node_up
zones '{"one.example": {"a": ["192.0.2.2", "192.0.2.1"], "aaaa": ["2001:db8::1"], "ttl": 1}, "two.example": {"mode": "nxdomain"}}'
server_start
weftd_start --dns "$(addr 4 world):5353"
expect_eq "no name is wanted" "$(weft status -o json | jq -c '[.dns.count, .dns.servers]')" '[0,""]'
{
	external one ONE.example
	external two two.example
} | apply
wait_until 5 failing 1
expect_eq "names" "$(names | sort)" "one.example=192.0.2.2,192.0.2.1,2001:db8::1
two.example="
expect_eq "why one has none" "$(error_of two.example)" "there is no such name (NXDOMAIN)"
expect_eq "who is asked" "$(weft status -o json | jq -r .dns.servers)" "$(addr 4 world):5353"
expect_match "for people" "$(weft status)" "one.example is at 192.0.2.2, 192.0.2.1, 2001:db8::1, answered [0-9]+s ago"
expect_eq "counted" "$(stat_of weft.dns.names)" 2
expect_eq "changes" "$(stat_of weft.dns.changes)" 1

zones '{"one.example": {"a": ["192.0.2.1", "192.0.2.2"], "aaaa": ["2001:db8::1"], "ttl": 1}, "two.example": {"a": ["192.0.2.7"], "ttl": 1}}'
wait_until 10 failing 0
expect_eq "another order is no change" "$(names | sort)" "one.example=192.0.2.2,192.0.2.1,2001:db8::1
two.example=192.0.2.7"
expect_eq "one more change" "$(stat_of weft.dns.changes)" 2
zones '{"*": {"a": ["192.0.2.9"], "ttl": 1}}'
wait_until 10 knows "one.example=192.0.2.9
two.example=192.0.2.9"
expect_eq "a change is noticed" "$(error_of one.example)" ""

say "the server is silent: the last answers stay, and nothing waits"
stop_process "$SERVER"
wait_until 30 failing 2
expect_eq "the last good answers" "$(names | sort)" "one.example=192.0.2.9
two.example=192.0.2.9"
expect_eq "why" "$(error_of one.example)" "no server answers"
start=$(milliseconds)
external three three.example | apply
expect_took "a rule meanwhile" $(($(milliseconds) - start)) 0 1000

say "the server is gone, and weftd begins anew"
kill -9 "$SERVER"
wait "$SERVER" 2>/dev/null || true
weftd_kill9
weftd_start --dns "[$(addr 6 world)]:5353"
expect_eq "a later weftd knows the last good answers" "$(names | sort)" "one.example=192.0.2.9
three.example=
two.example=192.0.2.9"
wait_until 10 failing 3
expect_match "why" "$(error_of one.example)" "no server"

zones '{"*": {"a": ["192.0.2.10"], "mode": "truncated"}}'
server_start
wait_until 60 failing 0
expect_eq "the server is back, over IPv6; its answers come by TCP" "$(names | sort | tr '\n' ' ')" \
	"one.example=192.0.2.10 three.example=192.0.2.10 two.example=192.0.2.10 "

say "a thousand names"
before=$(awk '/^VmRSS/ { print $2 }' "/proc/$WEFTD/status")
zones '{"*": {"a": ["192.0.2.11"], "aaaa": ["2001:db8::11"], "ttl": 60}}'
for i in {1..1000}; do external "s$i" "n$i.example"; done | apply
wait_until 5 count_names 1003
wait_until 30 failing 0
all_answered() { [ "$(stat_of weft.dns.update_success)" -ge 1003 ]; }
wait_until 30 all_answered
start=$(milliseconds)
weft status >/dev/null
expect_took "status" $(($(milliseconds) - start)) 0 500
after=$(awk '/^VmRSS/ { print $2 }' "/proc/$WEFTD/status")
expect_between "KiB more for a thousand names and their Services" $((after - before)) 0 8192

for i in {1..1000}; do external "s$i" "n$i.example"; done | weft delete -f - >/dev/null
wait_until 5 count_names 3
expect_eq "names that no object has are forgotten" "$(stat_of weft.dns.names)" 3
weftd_stop
expect_eq "what is kept" "$(cut -d' ' -f1 "$TMP"/*/dns.answers | tr '\n' ' ')" "weft-d1 one.example three.example two.example "
