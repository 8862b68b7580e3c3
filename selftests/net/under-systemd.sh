#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What packaging/weftd.service takes for granted: weftd says when it is ready, gives its lines to the journal with their priority,
# and ends with status 0 when it is uninstalled, so that systemd does not start it again.
. "${0%/*}/lib.sh"
UNIT=$ROOT/packaging/weftd.service

for line in Type=notify Restart=on-failure RestartPreventExitStatus=2; do
	grep -qx "$line" "$UNIT" || fail "the unit has no $line"
done

# listen FILE: as systemd does on $NOTIFY_SOCKET; what came first goes into FILE
listen() {
	python3 -c '
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
text = s.recv(100)
open(sys.argv[2] + ".new", "wb").write(text)
os.rename(sys.argv[2] + ".new", sys.argv[2])' "$TMP/notify" "$1" &
	wait_until 5 test -S "$TMP/notify"
}

node_up
pod_add client 1
: >"$TMP/journal"
listen "$TMP/said"
# shellcheck disable=SC2046 # words are meant
NOTIFY_SOCKET=$TMP/notify JOURNAL_STREAM=$(stat -c %d:%i "$TMP/journal") \
	nsenter --net="/run/netns/$(netns node)" "$OUT/weftd" $(weftd_options) 2>>"$TMP/journal" &
WEFTD=$!
wait_until 30 test -e "$TMP/said"
expect_eq "what systemd is told" "$(<"$TMP/said")" READY=1
weft status >/dev/null || fail "weftd is not ready, but has said so"
expect_match "the journal's line" "$(grep ready: "$TMP/journal" | tail -1)" '^<6>weftd: ready: '

weft uninstall >/dev/null
status=0
wait "$WEFTD" || status=$?
WEFTD=
expect_eq "status after weft uninstall" $status 0

# Stderr that is no journal, whatever the environment says.
status=0
# shellcheck disable=SC2046
JOURNAL_STREAM=1:1 nsenter --net="/run/netns/$(netns node)" "$OUT/weftd" $(weftd_options) --nic nosuch0 2>"$TMP/out" || status=$?
expect_eq "status of what fails" $status 1
expect_match "what it says" "$(<"$TMP/out")" '^weftd: error: '
