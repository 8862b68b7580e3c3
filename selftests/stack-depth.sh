#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bpf/stack-depth lets an object pass whose programs need 512 bytes of stack, and says of one that needs more which program
# that is and by which functions. No root: nothing is loaded.
set -u

cd "${0%/*}/.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# compiled: a program from standard input
compiled() {
	{
		cat <<-'C'
			#include <linux/bpf.h>
			#include <bpf/bpf_helpers.h>
			#define HELPED(n) char frame[n]; bpf_get_current_comm(frame, n)
			#define WRITTEN(n) volatile __u64 frame[n / 8]; _Pragma("unroll") for (int i = 0; i < n / 8; i++) frame[i] = i
			#define FUNCTION static __attribute__((noinline)) long
		C
		cat
	} >"$dir/t.bpf.c"
	${CLANG:-clang} -target bpf -mcpu=v3 -O2 -g -Wall -Werror -I"/usr/include/$(${CC:-gcc} -print-multiarch)" \
		-c "$dir/t.bpf.c" -o "$dir/t.bpf.o"
}

# row NAME EXPECTED: EXPECTED is what is said of the program on standard input; nothing: it passes
row() {
	local said status=0 want=0
	[ -z "$2" ] || want=1
	if ! compiled; then
		said="not compiled"
	else
		said=$(bpf/stack-depth "$dir/t.bpf.o" 2>&1) || status=$?
	fi
	if [ "$said" = "${2:+$dir/t.bpf.o: $2}" ] && [ $status -eq $want ]; then
		echo "ok    $1"
		return
	fi
	echo "FAIL  $1: status $status, \"$said\""
	failed=1
}

row "512 bytes in one frame" "" <<'C'
SEC("tc") int prog(struct __sk_buff *skb) { HELPED(504); return 0; }
C
row "480 bytes and an empty frame" "" <<'C'
FUNCTION below(struct __sk_buff *skb) { return bpf_get_hash_recalc(skb); }
SEC("tc") int prog(struct __sk_buff *skb) { HELPED(480); return below(skb); }
C
row "512 bytes and an empty frame" "prog: 544 bytes of stack, of 512: prog 512 + below 32" <<'C'
FUNCTION below(struct __sk_buff *skb) { return bpf_get_hash_recalc(skb); }
SEC("tc") int prog(struct __sk_buff *skb) { HELPED(504); return below(skb); }
C
row "frames that the program itself writes" "prog: 544 bytes of stack, of 512: prog 288 + below 256" <<'C'
FUNCTION below(struct __sk_buff *skb) { WRITTEN(256); return bpf_get_hash_recalc(skb); }
SEC("tc") int prog(struct __sk_buff *skb) { WRITTEN(288); return below(skb); }
C
row "each frame rounded up, a global function between" \
	"prog: 544 bytes of stack, of 512: prog 192 + middle 160 + below 192" <<'C'
FUNCTION below(struct __sk_buff *skb) { HELPED(168); return bpf_get_hash_recalc(skb); }
__attribute__((noinline)) long middle(struct __sk_buff *skb) { HELPED(136); return below(skb); }
SEC("tc") int prog(struct __sk_buff *skb) { HELPED(168); return middle(skb); }
C
row "a callback counts as called" "prog: 544 bytes of stack, of 512: prog 288 + callback 256" <<'C'
FUNCTION callback(__u32 i, void *ctx) { HELPED(256); return 0; }
SEC("tc") int prog(struct __sk_buff *skb) { HELPED(288); return bpf_loop(9, callback, 0, 0); }
C
row "of two calls in a row the deeper one" "" <<'C'
FUNCTION left(struct __sk_buff *skb) { HELPED(256); return bpf_get_hash_recalc(skb); }
FUNCTION right(struct __sk_buff *skb) { HELPED(248); return bpf_get_hash_recalc(skb); }
SEC("tc") int prog(struct __sk_buff *skb) { HELPED(256); return left(skb) + right(skb); }
C
row "of several programs the one" "two: 544 bytes of stack, of 512: two 288 + below 256" <<'C'
FUNCTION below(struct __sk_buff *skb) { HELPED(256); return bpf_get_hash_recalc(skb); }
SEC("tc") int one(struct __sk_buff *skb) { HELPED(256); return below(skb); }
SEC("tc") int two(struct __sk_buff *skb) { HELPED(288); return below(skb); }
C
exit $failed
