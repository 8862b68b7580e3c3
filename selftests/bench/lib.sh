# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the measurements share, on top of the net tests' lib.sh.

. "$(dirname "${BASH_SOURCE[0]}")/../net/lib.sh"

[ "$(id -u)" -eq 0 ] || fail "${0##*/}: root is needed"

# ---- the ways that are measured: each on a node of its own, which a weft of its own steers, if any does ----

WAY= # none: one weft, all by the names that the net tests have
declare -A DAEMON # process ids of weftd, by way
BEFORE=${BENCH_BEFORE:-} # what another checkout has built, its .output: the weft of the ways whose name begins with `before`

# use WAY: the node that the functions of the net tests work on from now on; what this shell starts is one of its pods' processes
use() {
	tmp_up
	WAY=$1
	ID=wt-$$-$1
	WEFTD=${DAEMON[$1]:-}
	mkdir -p "$CGROUP/$1" "$TMP/$1"/{run,state}
	echo "$BASHPID" >"$CGROUP/$1/cgroup.procs"
}

built() { case $WAY in before*) echo "$BEFORE" ;; *) echo "$OUT" ;; esac }
weft() { "$(built)/weft" --run-dir "$TMP/${WAY:+$WAY/}run" "$@"; }
map_dump() { bpftool -j map dump pinned "$TMP/bpf/${WAY:-weft}/$1"; }
weftd_options() {
	local dir=$TMP/${WAY:+$WAY/}
	echo --state-dir "${dir}state" --run-dir "${dir}run" --bpffs "$TMP/bpf/${WAY:-weft}" --cgroup "$CGROUP/$WAY" --nic nic0
}

# weft_up CPUS OPTION...: this way's weftd, and the weft-proxy that it starts, on these cores
weft_up() {
	# shellcheck disable=SC2046 # words are meant
	(in_ns_exec node taskset -c "$1" "$(built)/weftd" $(weftd_options) "${@:2}") 2>>"$TMP/weftd.log" &
	WEFTD=$!
	DAEMON[${WAY:-weft}]=$WEFTD
	wait_until 30 weft status --wait
}

# Where weftd and weft-proxy run beside what is measured on core CPU: on the other cores, if there are any.
other_cpus() { # CPU
	local others
	others=$(seq 0 $(($(nproc) - 1)) | grep -vx "$1" | paste -sd,) || true
	echo "${others:-$1}"
}

# The median of the numbers of stdin, a dash for none.
median() { sort -g | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; else print "-" }'; }

# The median of the ratios of what was measured in the same round, of file A to file B: the machine's speed, which changes
# meanwhile, cancels out.
ratio_of() {
	if [ -e "$1" ] && [ -e "$2" ]; then
		paste "$1" "$2" | awk '$2 > 0 { print $1 / $2 }' | median | awk '{ if ($1 == "-") print; else printf "%.3f", $1 }'
	else
		echo -
	fi
}

# Reno is what every namespace may use, and is not paced by a clock (BBR, where it is the machine's choice).
same_tcp() {
	local where
	for where in node client one two; do
		in_ns "$where" sysctl -qw net.ipv4.tcp_congestion_control=reno
	done
}

# http_endpoints CORE: pods `one` and `two`, with versions v1 and v2 of the app `echo` at port 8080, on that core
http_endpoints() {
	local pod log
	pod_add one 2 app=echo,version=v1
	pod_add two 3 app=echo,version=v2
	for pod in one two; do
		log=$(mktemp "$TMP/serve.XXXXXX")
		start_in $pod taskset -c "$1" "$APPS/http-echo" 8080 $pod >"$log"
		wait_until 5 grep -q listening "$log"
	done
}

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

# revision [DIR]: of the tree that it is in
revision() { git -C "${1:-$ROOT}" rev-parse --short HEAD 2>/dev/null || echo "?"; }
