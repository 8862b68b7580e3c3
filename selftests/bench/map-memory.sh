#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# map-memory.sh DIR: what the BPF maps that weftd has pinned in DIR take, as the kernel says it (bytes_memlock, from Linux 6.4
# on; before, that is what they may take at most). One line a map, the largest first, then their sum:
#
#   BYTES NAME TYPE ENTRIES, tab-separated; "+" behind a name is for the tables of its generations
set -euo pipefail

DIR=${1:-/sys/fs/bpf/weft}
PATH=$PATH:/usr/sbin:/sbin

# one NAME bpftool's arguments...
one() {
	local name=$1
	shift
	bpftool -j map show "$@" 2>/dev/null |
		jq -r --arg name "$name" '[.bytes_memlock // 0, $name, .type, .max_entries] | @tsv' || true # freed meanwhile
}

# The ids of inner maps, which bpftool shows as bytes. One may be in several slots.
inner() {
	bpftool -j map dump pinned "$1" | jq -r '.[].value | reverse | map(ltrimstr("0x")) | join("")' | sort -u
}

rows() {
	local map name id
	for map in "$DIR"/*; do
		[ -f "$map" ] || continue
		name=${map##*/}
		one "$name" pinned "$map"
		case $name in
		gen_*)
			for id in $(inner "$map"); do
				one "$name+" id $((16#$id))
			done
			;;
		esac
	done
}

rows | sort -rn | awk -F'\t' -v OFS='\t' '{ print; n += $1 } END { printf "%d\tall\n", n }'
