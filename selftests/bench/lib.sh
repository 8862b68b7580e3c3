# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the measurements share, on top of the net tests' lib.sh.

. "$(dirname "${BASH_SOURCE[0]}")/../net/lib.sh"

[ "$(id -u)" -eq 0 ] || fail "${0##*/}: root is needed"

# use WAY: the node that the functions of the net tests work on from now on
use() { ID=wt-$$-$1; }

# The median of the numbers of stdin, a dash for none.
median() { sort -g | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; else print "-" }'; }

# ratio A B
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (a == "-" || b + 0 == 0) print "-"; else printf "%.3f", a / b }'; }

# machine [VERSION...]: what was measured on, and with
machine() {
	local version
	printf '%s, %s, %s cores, %s; %s' "$(uname -sr)" "$(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" \
		"$(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)" "$(gcc --version | head -1)"
	for version; do
		printf '; %s' "$version"
	done
	printf '.\n'
}

revision() { git -C "$ROOT" rev-parse --short HEAD 2>/dev/null || echo "?"; }
