#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What keeps weftd from starting is said in one clear line, with exit status 1.
. "${0%/*}/lib.sh"

node_up
pod_add client 1

# refused WHAT PATTERN COMMAND...
refused() {
	local what=$1 pattern=$2 status=0 said
	shift 2
	said=$(timeout 20 "$@" 2>&1) || status=$?
	expect_eq "$what: exit status" $status 1
	expect_eq "$what: lines" "$(wc -l <<<"$said")" 1
	expect_match "$what: $said" "$said" "$pattern"
}

in_node=(nsenter --net="/run/netns/$(netns node)")
read -ra options <<<"$(weftd_options)"

refused "unprivileged" 'root|privilege|permission|CAP_' \
	"${in_node[@]}" setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all -- "$OUT/weftd" "${options[@]}"
refused "a kernel too old" 'Linux 2\.6\..* is too old' "${in_node[@]}" setarch "$(uname -m)" --uname-2.6 "$OUT/weftd" "${options[@]}"
refused "no BTF" 'BTF|btf' \
	"${in_node[@]}" unshare --mount sh -c 'mount -t tmpfs none /sys/kernel/btf && exec "$@"' sh "$OUT/weftd" "${options[@]}"
refused "no bpffs" 'bpffs|BPF file system|not mounted|mount' \
	"${in_node[@]}" "$OUT/weftd" "${options[@]}" --bpffs "$TMP/nowhere/weft"
refused "unknown interface" 'nosuch0' \
	"${in_node[@]}" "$OUT/weftd" "${options[@]}" --nic nosuch0
refused "an interface that is no NIC" 'lo: its packets are neither Ethernet frames nor bare IP' \
	"${in_node[@]}" "$OUT/weftd" "${options[@]}" --nic auto,nic0,lo

weftd_start
refused "second daemon" 'running|in use|another|second|already' "${in_node[@]}" "$OUT/weftd" "${options[@]}"
weft status >/dev/null || fail "the first daemon suffered"

status=0
"${in_node[@]}" timeout 20 "$OUT/weftd" "${options[@]}" --no-such-option >/dev/null 2>"$TMP/out" || status=$?
expect_eq "wrong usage: exit status" $status 2
status=0
"${in_node[@]}" timeout 20 "$OUT/weftd" "${options[@]}" --shortcut sometimes >/dev/null 2>"$TMP/out" || status=$?
expect_eq "wrong value: exit status" $status 2
expect_match "wrong value" "$(<"$TMP/out")" '^weftd: --shortcut: auto, always or never is expected, not "sometimes"$'
for program in weft weftd; do
	"$OUT/$program" --help >"$TMP/out" || fail "$program --help"
	expect_match "$program --help" "$(<"$TMP/out")" usage
	expect_match "$program --version" "$("$OUT/$program" --version)" '[0-9]+\.[0-9]+'
done
status=0
weft --run-dir "$TMP/nobody" status >/dev/null 2>"$TMP/out" || status=$?
expect_eq "no daemon: exit status" $status 1
