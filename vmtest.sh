#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# vmtest.sh [-as] [-k KERNEL] [-m MIB] [-- COMMAND...]: runs COMMAND in a virtual machine, as root in a copy of this repository, and
# exits with COMMAND's own status.
#
#   -k KERNEL  6.1 or 6.12 (Debian's packages, downloaded once into .output/vm, never installed), or the path of a
#              vmlinuz whose modules are in ../lib/modules. 6.1 unless given.
#   -s         a shell in the machine; COMMAND is not run
#   -a         without COMMAND: all tests
#
# Without COMMAND: the BPF program tests and the net tests, on 6.1 and on 6.12; without -a only those that a kernel may
# change, as emulated machines are slow.
#
# virtme-ng runs the machine where it is installed and the kernel has the file systems that it needs. Otherwise QEMU does, on a
# root file system in memory that holds what the tests use and nothing else; with KVM where that works, emulated where not.
set -euo pipefail

cd "${0%/*}"
ROOT=$PWD
OUT=$ROOT/.output
VM=$OUT/vm
PATH=$PATH:/usr/sbin:/sbin
kernel=
shell=
all=
memory=2048

# What a test may call, beside its own programs.
COMMANDS="awk base64 basename bash bpftool bridge cat chmod chrt cmp comm cp curl cut date dd df diff dirname dmesg du echo env expr false find flock free
	grep head id ip ip6tables iptables jq kill ln ls mkdir mkfifo mktemp modprobe mount mountpoint mv nproc nsenter od openssl
	paste ps readlink realpath rm rmdir sed seq setarch sha256sum setpriv setsid sh shuf sleep sort ss stat stty sync sysctl tac tail tc
	tee timeout touch tr true truncate umount uname uniq unshare wc wg xargs"
MODULES="veth dummy bridge 8021q ipvlan macvlan vxlan geneve ipip sit ip_gre wireguard sch_ingress cls_bpf sch_netem sch_tbf tun ip_tables iptable_filter iptable_nat ip6_tables ip6table_filter
	ip6table_nat nf_tables nft_compat nft_chain_nat nft_ct xt_tcpudp xt_statistic xt_nat ipt_REJECT ip6t_REJECT xt_REDIRECT
	xt_conntrack nf_conntrack inet_diag tcp_diag xt_MASQUERADE xt_comment xt_mark ipt_rpfilter ip6t_rpfilter iptable_raw ip6table_raw
	iptable_mangle ip6table_mangle mptcp_diag xfrm_user"

# What may differ from kernel to kernel: hooks, attaching and pinning, sockets, the node's own stack. 6.12 attaches by links, as newer ones
# do that `make test` runs on, and only that is looked at on it; 6.1 does not, and is the oldest. The rest is for -a: emulated machines need
# minutes for what takes seconds elsewhere. A machine for each row, two at a time, the one that needs least last.
MACHINES=("6.1 prog connect-matrix user-timeout keepalive mptcp pod-vanishes restarts bridge from-outside outside-xdp xdp-auto icmp-errors"
	"6.1 narrow-link fast-open shortcut http-beside-kube-proxy connection-policy-kind overlay"
	"6.12 prog connect-matrix restarts from-outside http-beside-kube-proxy outside-xdp")

die() {
	echo "vmtest: $*" >&2
	exit 1
}

usage() {
	sed -n '3,/^set /{/^#/s/^# \{0,1\}//p}' "$ROOT/vmtest.sh" >&2
	exit 2
}

# ---- kernels ----

# package_of 6.1|6.12: the package that the newest kernel of that series is in
package_of() {
	local meta=linux-image-cloud-amd64
	[ "$1" = 6.1 ] || meta=linux-image-$1-cloud-amd64
	apt-cache show --no-all-versions "$meta" 2>/dev/null |
		sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -1
}

# fetch SERIES: prints the path of a vmlinuz of that series, downloaded if it is not there yet
fetch() {
	local series=$1 dir=$VM/linux-$1 package
	if ! ls "$dir"/boot/vmlinuz-* >/dev/null 2>&1; then
		package=$(package_of "$series")
		if [ -z "$package" ] && [ "$(id -u)" -eq 0 ]; then
			apt-get -qq update >&2
			package=$(package_of "$series")
		fi
		[ -n "$package" ] || die "no package with Linux $series is known: apt-get update?"
		rm -rf "$dir" "$VM/download"
		mkdir -p "$VM/download"
		(cd "$VM/download" && apt-get -qq download "$package" 2>&1 | grep -v unsandboxed >&2) || true
		ls "$VM/download"/*.deb >/dev/null 2>&1 || die "$package could not be downloaded"
		dpkg -x "$VM/download"/*.deb "$dir.new"
		mv "$dir.new" "$dir"
		rm -rf "$VM/download"
	fi
	ls "$dir"/boot/vmlinuz-*
}

# ---- the root file system ----

# add_libraries FILE...: what these programs and shared objects are linked with
add_libraries() {
	local file lib
	for file; do
		for lib in $(ldd "$file" 2>/dev/null | grep -o '/[^ ]*'); do
			[ -e "$root$lib" ] || { mkdir -p "$root${lib%/*}" && cp -L "$lib" "$root$lib"; }
		done
	done
}

# add FILE...: copies host files to the same place under $root, with the libraries they need
add() {
	local file
	for file; do
		mkdir -p "$root${file%/*}"
		cp -L "$file" "$root$file" 2>/dev/null || continue
		add_libraries "$file"
	done
}

add_commands() {
	local name path
	mkdir -p "$root/bin"
	for name in $COMMANDS; do
		path=$(type -P "$name") || continue
		add "$path"
		[ "$path" = "/bin/$name" ] || ln -sf "$path" "$root/bin/$name"
	done
	add /usr/lib/"$(uname -m)"-linux-gnu/xtables/*.so /usr/lib/ssl/openssl.cnf
	mkdir -p "$root/sbin"
	ln -sf /bin/modprobe "$root/sbin/modprobe"
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >"$root/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
}

# python_files: what the packages of the sample applications consist of, without what only builds, documents or tests. The
# compiled form of a module is no package's file, but an emulated machine would need long to make it again.
python_files() {
	local file compiled
	apt-cache depends --recurse --installed --important python3-httpbin gunicorn |
		grep -xE '(lib)?python3.*|gunicorn' | grep -vE 'setuptools|lib2to3|distutils' | xargs dpkg -L |
		grep -E '^/(usr/bin|usr/lib/python3[.0-9]*|etc/python3.*)/' | grep -vE '/(tests?|idlelib|pydoc_data)/|_test|_codecs_' |
		sort -u | while read -r file; do
			compiled=${file%/*}/__pycache__/${file##*/}
			for file in "$file" "${compiled%.py}".*.pyc; do
				[ ! -f "$file" ] || echo "$file"
			done
		done
}

add_python() {
	local files
	files=$(python_files)
	cpio -p -d -m --quiet "$root" <<<"$files"
	# shellcheck disable=SC2046 # words are meant
	add_libraries /usr/bin/python3 $(grep '\.so$' <<<"$files")
	touch "$root/etc/hosts"
	echo 'hosts: files' >"$root/etc/nsswitch.conf"
}

# add_modules VMLINUZ
add_modules() {
	local version=${1##*/vmlinuz-} from=${1%/boot/*} name file
	depmod -b "$from" "$version" 2>/dev/null || true
	mkdir -p "$root/lib/modules/$version"
	cp "$from/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$root/lib/modules/$version/"
	for name in $MODULES; do
		modprobe -d "$from" -S "$version" --show-depends "$name" 2>/dev/null
	done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r file; do
		mkdir -p "$root/${file#"$from"/}"
		rmdir "$root/${file#"$from"/}"
		cp "$file" "$root/${file#"$from"/}"
	done
	depmod -b "$root" "$version"
}

add_repository() {
	local file
	mkdir -p "$root/weft/.output/apps" "$root/weft/.output/bpf"
	cp -r Makefile selftests yaml-rules "$root/weft/"
	rm -rf "$root/weft/selftests/"{unit,fuzz,rules/{bad,compile,good,http}}
	for file in .output/weft .output/weftd .output/weft-proxy .output/prog-tests .output/apps/* .output/bpf/*.bpf.o; do
		[ -f "$file" ] || continue
		cp "$file" "$root/weft/$file"
		add "$(realpath "$file")"
		rm -rf "${root:?}$(realpath "$file")"
	done
	add "$(/sbin/ldconfig -p | awk '$1 == "libcares.so.2" { print $NF; exit }')" # loaded when a name is looked up (user/lib/base/library.h)
}

write_init() {
	cat >"$root/init" <<-'END'
	#!/bin/bash
	export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=linux LANG=C.UTF-8
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mount -t devtmpfs dev /dev
	mkdir -p /dev/pts /dev/shm
	mount -t devpts pts /dev/pts
	mount -t tmpfs tmpfs /dev/shm
	mount -t tmpfs tmpfs /run
	mount -t tmpfs -o mode=1777 tmpfs /tmp
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mkdir -p /sys/kernel/debug && mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
	ln -s /proc/self/fd /dev/fd
	modprobe tun 2>/dev/null # no udev makes its device node here
	ip link set lo up
	ulimit -n 1048576
	cd /weft
	if [ -f /shell ]; then
		setsid bash -c 'exec bash -i </dev/ttyS0 >/dev/ttyS0 2>&1'
		status=0
	else
		stty -F /dev/ttyS0 -onlcr
		bash /command </dev/null >/dev/ttyS0 2>&1
		status=$?
	fi
	echo "$status" >/dev/ttyS2
	sync
	echo o >/proc/sysrq-trigger
	sleep 60
	END
	chmod +x "$root/init"
}

# build_root VMLINUZ COMMAND...: writes $dir/initrd
build_root() {
	local vmlinuz=$1
	shift
	root=$dir/root
	mkdir -p "$root"/{proc,sys,dev,run,tmp,etc,root,weft}
	ln -s usr/lib64 "$root/lib64"
	ln -s usr/lib "$root/lib"
	mkdir -p "$root/usr/lib" "$root/usr/lib64"
	add_commands
	add_python
	add_modules "$vmlinuz"
	add_repository
	write_init
	{
		env | grep '^WEFT_' | grep -v '^WEFT_OUT=' | sed "s/'/'\\\\''/g; s/=/='/; s/\$/'/; s/^/export /"
		printf '%q ' "$@"
		echo
	} >"$root/command"
	[ -z "$shell" ] || touch "$root/shell"
	(cd "$root" && find . -print0 | cpio -0 -o -H newc --quiet -R 0:0) >"$dir/initrd"
	rm -rf "$root"
}

# ---- the machine ----

# KVM counts as working when the kernel gets with it to the point where it finds no root and reboots.
kvm_works() { # VMLINUZ
	[ -w /dev/kvm ] || return 1
	timeout 15 qemu-system-x86_64 -accel kvm -cpu host -m 512 -nodefaults -display none -no-reboot -kernel "$1" \
		-append "quiet panic=-1" >/dev/null 2>&1
}

qemu_accel() { # VMLINUZ
	if (kvm_works "$1") 2>/dev/null; then
		echo "-accel kvm -cpu host"
	else
		# Without AVX, whose emulation is slower than what it would replace.
		echo "-accel tcg,thread=multi -cpu qemu64,+cx16,+popcnt,+rdrand,+ssse3,+sse4.1,+sse4.2"
	fi
}

run_qemu() {
	# Short grace periods; a program at the same addresses each time need not be translated each time.
	local vmlinuz=$1 status quick="rcupdate.rcu_expedited=1 norandmaps"
	shift
	build_root "$vmlinuz" "$@"
	# shellcheck disable=SC2046 # words are meant
	qemu-system-x86_64 $(qemu_accel "$vmlinuz") -m "$memory" -smp "$(nproc)" -nodefaults -no-user-config -display none -no-reboot \
		-kernel "$vmlinuz" -initrd "$dir/initrd" \
		-append "console=ttyS1 panic=-1 mitigations=off nokaslr random.trust_cpu=on $quick" \
		-serial "${shell:+mon:}stdio" -serial "file:$dir/console" -serial "file:$dir/status" \
		$([ -n "$shell" ] || echo "-monitor none") ||
		die "QEMU ended with status $?"
	status=$(tr -dc 0-9 <"$dir/status")
	if [ -z "$status" ]; then
		tail -40 "$dir/console" >&2
		die "the machine ended before the command did"
	fi
	return "$status"
}

# virtme-ng shares the host's files by 9p or virtiofs; Debian's cloud kernels have no 9p.
vng_can() {
	command -v vng >/dev/null && grep -qE '^CONFIG_NET_9P_VIRTIO=[ym]' "${1%/*}/config-${1##*/vmlinuz-}" 2>/dev/null
}

run_vm() {
	local vmlinuz=$1
	shift
	if vng_can "$vmlinuz"; then
		vng --run "$vmlinuz" --user root --rw --memory "${memory}M" -- ${shell:+bash} ${shell:-"$(printf '%q ' "$@")"}
		return
	fi
	command -v qemu-system-x86_64 >/dev/null || die "neither virtme-ng nor qemu-system-x86_64 is installed"
	run_qemu "$vmlinuz" "$@"
}

# on KERNEL COMMAND...
on() {
	local vmlinuz=$1 status=0
	shift
	case $vmlinuz in
	[0-9]*) vmlinuz=$(fetch "$vmlinuz") ;;
	*) vmlinuz=$(realpath "$vmlinuz") ;;
	esac
	mkdir -p "$VM"
	dir=$(mktemp -d "$VM/run.XXXXXX")
	trap 'rm -rf "$dir"' EXIT
	run_vm "$vmlinuz" "$@" || status=$?
	rm -rf "$dir"
	return $status
}

# all_tests NUMBER VMLINUZ KERNEL WHAT...: once more if the machine itself has ended, where WEFT_TRIES allows it. The kernel patches its
# code while it runs, which QEMU does not always emulate well: an int3 that is there no more.
all_tests() {
	local try status=0 results=$VM/results.$1
	for ((try = 1; try <= ${WEFT_TRIES:-1}; try++)); do
		status=0
		on "$2" selftests/run "${@:4}" 2>&1 | tee "$results" | sed -u "s/^/$(printf '%-5s' "$3") /" || status=$?
		! grep -q ' passed, ' "$results" || break
	done
	return $status
}

# sum_of NUMBER WHAT: passed or failed
sum_of() {
	local n
	n=$(grep -Eo "[0-9]+ $2" "$VM/results.$1" | tail -1)
	echo "${n%% *}"
}

# The tests on both kernels, two machines side by side; the last line adds them up.
run_all() {
	local i what kernels=() passed=0 failed=0 status=0
	[ -z "$all" ] || MACHINES=("6.1 prog net" "6.12 prog net")
	mkdir -p "$VM"
	rm -f "$VM"/results.*
	export WEFT_ROUNDS=${WEFT_ROUNDS:-few} WEFT_EMULATED=1 WEFT_TIMEOUT=${WEFT_TIMEOUT:-600}
	# All that has to be downloaded before any runs: what fails in that leaves none behind.
	for i in "${!MACHINES[@]}"; do
		kernels[i]=$(fetch "${MACHINES[i]%% *}")
	done
	for i in "${!MACHINES[@]}"; do
		read -ra what <<<"${MACHINES[i]}"
		((i < 2)) || wait -n || status=1
		all_tests "$i" "${kernels[i]}" "${what[@]}" &
	done
	for ((i = 0; i < 2; i++)); do
		wait -n || status=1
	done
	for i in "${!MACHINES[@]}"; do
		if ! grep -q ' passed, ' "$VM/results.$i"; then
			failed=$((failed + 1)) # as a whole
			continue
		fi
		passed=$((passed + $(sum_of "$i" passed)))
		failed=$((failed + $(sum_of "$i" failed)))
	done
	echo "$passed passed, $failed failed"
	return $status
}

while getopts ask:m:h option; do
	case $option in
	a) all=yes ;;
	s) shell=bash ;;
	k) kernel=$OPTARG ;;
	m) memory=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))

if [ $# -eq 0 ] && [ -z "$shell" ] && [ -z "$kernel" ]; then
	run_all
elif [ $# -eq 0 ] && [ -z "$shell" ]; then
	on "$kernel" selftests/run prog net
else
	on "${kernel:-6.1}" "$@"
fi
