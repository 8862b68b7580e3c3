#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# weft-proxy's life: sandboxed when weftd starts it, replaced when it dies, taken over by the next weftd, gone after --detach.
. "${0%/*}/lib.sh"

proxy_restarts() { weft status -o json | jq .proxy.restarts; }
status_of() { awk -v name="$2:" '$1 == name { $1 = ""; print substr($0, 2) }' "/proc/$1/status"; }
another_than() {
	local now
	now=$(proxy_pid) && [ "$now" != 0 ] && [ "$now" != "$1" ]
}
ended() { ! [ -e "/proc/$1" ] || [ "$(status_of "$1" State)" = "Z (zombie)" ]; }
sealed() { [ "$(status_of "$1" Seccomp)" = 2 ]; }
detach() { in_ns node "$OUT/weftd" --detach --run-dir "$TMP/run" --bpffs "$TMP/bpf/weft"; }

node_up
pod_add client 1
weftd_start --workers 3
first=$(proxy_pid)

# ---- the sandbox ----

user=$(id -u weft 2>/dev/null || echo 60969)
expect_eq "its user" "$(status_of "$first" Uid)" "$user $user $user $user"
expect_eq "its groups" "$(status_of "$first" Groups)" ""
for set in CapPrm CapEff; do
	expect_eq "$set: CAP_NET_RAW" "$(status_of "$first" $set)" 0000000000002000
done
for set in CapInh CapBnd CapAmb; do
	expect_eq "$set: nothing" "$(status_of "$first" $set)" 0000000000000000
done
expect_eq "new privileges" "$(status_of "$first" NoNewPrivs)" 1
sealed "$first" || fail "its system calls are not limited"
for task in /proc/"$first"/task/*; do
	expect_eq "system calls of thread ${task##*/}" "$(awk '$1 == "Seccomp:" { print $2 }' "$task/status")" 2
done
expect_eq "files in its root" "$(find "/proc/$first/root/" -mindepth 1)" ""
(: >"/proc/$first/root/file") 2>/dev/null && fail "its root can be written to"
expect_eq "mounts that it keeps busy" "$(awk '$5 != "/"' "/proc/$first/mountinfo")" ""
expect_match "core dumps" "$(<"/proc/$first/limits")" '^Max core file size +0 +0 '
expect_eq "what is open but sockets and its own" \
	"$(find "/proc/$first/fd" -type l -printf '%l\n' | grep -v '^socket:\|^anon_inode:\|^pipe:\|^/dev/null$' || true)" ""

# ---- its end ----

expect_match "weft status tells of it" "$(weft status)" "proxy +process $first, 3 workers, restarted 0 times"
expect_match "weft verify-install, too" "$(weft verify-install)" "ok +weft-proxy runs \(process $first, 3 workers\)"
kill -9 "$first"
wait_until 5 another_than "$first"
second=$(proxy_pid)
wait_until 5 sealed "$second"
expect_eq "restarts after kill -9" "$(proxy_restarts)" 1
expect_eq "lines about it in the log" "$(grep -c "weft-proxy (process $first) was killed by signal 9" "$TMP/weftd.log")" 1

# ---- the next weftd ----

weftd_kill9
weftd_start --workers 3
expect_eq "after kill -9 of weftd the proxy is" "$(proxy_pid)" "$second"
kill -9 "$second"
wait_until 5 another_than "$second"
third=$(proxy_pid)
weftd_stop
ended "$third" && fail "the proxy has ended with weftd"
weftd_start --workers 2 --log-level debug --access-log "$TMP/access.log"
wait_until 5 ended "$third"
fourth=$(proxy_pid)
expect_match "one with other options is replaced" "$(weft status)" "proxy +process $fourth, 2 workers"
expect_eq "mode of the access log" "$(stat -c %a "$TMP/access.log")" 640
expect_eq "the proxy has it open" "$(find "/proc/$fourth/fd" -lname "$TMP/access.log" | wc -l)" 1

stop_process "$fourth"
weftd_kill9
weftd_start --workers 2 --log-level debug --access-log "$TMP/access.log"
expect_eq "one that does not answer is replaced" "$(ended "$fourth" && another_than "$fourth" && echo yes)" yes
weftd_stop

# ---- one that can't live ----

mkdir "$TMP/bin"
cp "$OUT"/{weft,weftd,weft-proxy} "$TMP/bin/"
OUT=$TMP/bin
weftd_start --workers 2
fourth=$(proxy_pid)
mv "$TMP/bin/weft-proxy" "$TMP/bin/good"
printf '#!/bin/sh\nexit 7\n' >"$TMP/bin/weft-proxy"
chmod +x "$TMP/bin/weft-proxy"
kill -9 "$fourth"
# Each start is a process that has, for a moment, everything open that weftd has: connections of the CLI, too.
status=0
timeout 4 bash -c 'while "$0" --run-dir "$1" status -o json >/dev/null; do :; done' "$OUT/weft" "$TMP/run" || status=$?
expect_eq "weftd answers all the while, until timeout ends it" $status 124
expect_eq "and afterwards" "$(timeout 5 "$OUT/weft" --run-dir "$TMP/run" status -o json | jq .ready)" true
# At once, and after 10, 20, 40, 80, 160, 320, 640, 1000, 1000 ms.
expect_between "tries within 4 s" "$(proxy_restarts)" 4 13
mv "$TMP/bin/good" "$TMP/bin/weft-proxy"
lives() {
	local pid
	pid=$(proxy_pid) && [ "$pid" != 0 ] && sealed "$pid"
}
wait_until 5 lives
fourth=$(proxy_pid)

# ---- the end ----

detach
wait "$WEFTD" || true
WEFTD=
ended "$fourth" || fail "--detach leaves the proxy running"
expect_eq "sockets after --detach" "$(find "$TMP/run" -type s)" ""

weftd_start
last=$(proxy_pid)
weftd_stop
detach
ended "$last" || fail "--detach without weftd leaves the proxy running"
expect_eq "sockets after --detach without weftd" "$(find "$TMP/run" -type s)" ""

# ---- what keeps it from running ----

# shellcheck disable=SC2046 # words are meant
refused() { # PATTERN COMMAND...
	local pattern=$1 status=0
	shift
	in_ns node timeout 20 "$@" $(weftd_options) 2>"$TMP/refused" || status=$?
	expect_eq "${*##*/}: exit status" $status 1
	expect_match "$(tail -2 "$TMP/refused")" "$(<"$TMP/refused")" "$pattern"
	detach
}
refused 'weft-proxy: error: sandbox: change the root: Operation not permitted' setpriv --bounding-set=-sys_chroot "$OUT/weftd"
mkdir "$TMP/alone"
cp "$OUT/weftd" "$TMP/alone/"
refused "weft-proxy is neither in $TMP/alone nor in $TMP/alone/../libexec/weft" "$TMP/alone/weftd"
