/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame-run alone PROGRAM INTERFACE FILE COUNT: runs a pinned program, of XDP or tc, so often on
 * the frame of the file, as one that has come in by the interface, and prints what it has said
 * (enum xdp_action, TC_ACT_*) and the nanoseconds of one run: nothing but the program is measured.
 *
 * frame-run flood INTERFACE FILE COUNT: sends the frame out of a veth so often, as fast as one CPU
 * can, and prints the nanoseconds for each. The frames come to the veth's other end as a network
 * card's driver has them, in pages and not yet as packets of the stack's (struct xdp_frame), so
 * that nothing is copied for XDP, and the same CPU treats them there (NAPI).
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_MAX = 2048, ALONE_MAX = 1 << 20 };

struct frame {
	unsigned char bytes[FRAME_MAX];
	size_t size;
};

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void read_frame(struct frame *frame, const char *file)
{
	FILE *f = fopen(file, "r");

	must(f && (frame->size = fread(frame->bytes, 1, sizeof(frame->bytes), f)) > 0 && !fclose(f),
	     file);
}

static __u32 index_of(const char *interface)
{
	__u32 index = if_nametoindex(interface);

	must(index != 0, interface);
	return index;
}

static __u32 type_of(int program)
{
	struct bpf_prog_info info = { .type = 0 };
	__u32 size = sizeof(info);

	must(!bpf_obj_get_info_by_fd(program, &info, &size), "program");
	return info.type;
}

static void alone(const char *pin, const char *interface, const char *file, unsigned long count)
{
	struct frame frame;
	struct xdp_md xdp = { .ingress_ifindex = index_of(interface) };
	struct __sk_buff skb = { .ifindex = index_of(interface) };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.bytes, .repeat = (int)count);
	int program = bpf_obj_get(pin);

	must(program >= 0, pin);
	read_frame(&frame, file);
	xdp.data_end = run.data_size_in = (__u32)frame.size;
	if (type_of(program) == BPF_PROG_TYPE_XDP) {
		run.ctx_in = &xdp;
		run.ctx_size_in = sizeof(xdp);
	} else {
		run.ctx_in = &skb;
		run.ctx_size_in = sizeof(skb);
	}
	must(!bpf_prog_test_run_opts(program, &run), "run");
	printf("%d %u\n", (int)run.retval, run.duration);
}

/* A program that sends each frame out of the interface that it is said to have come in by. */
static int load_sender(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_TX },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "sender", "GPL", insns,
				    sizeof(insns) / sizeof(insns[0]), NULL);

	must(program >= 0, "load");
	return program;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void flood(const char *interface, const char *file, unsigned long count)
{
	struct frame frame;
	struct xdp_md xdp = { .ingress_ifindex = index_of(interface) };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.bytes, .repeat = (int)count,
		    .ctx_in = &xdp, .ctx_size_in = sizeof(xdp),
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	int program = load_sender();
	double begin;

	read_frame(&frame, file);
	xdp.data_end = run.data_size_in = (__u32)frame.size;
	begin = seconds();
	must(!bpf_prog_test_run_opts(program, &run), "run");
	printf("%.1f\n", (seconds() - begin) * 1e9 / (double)count);
	close(program);
}

int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "alone"))
		alone(argv[2], argv[3], argv[4], strtoul(argv[5], NULL, 10));
	else if (argc == 5 && !strcmp(argv[1], "flood"))
		flood(argv[2], argv[3], strtoul(argv[4], NULL, 10));
	else
		fprintf(stderr, "usage: frame-run alone PROGRAM INTERFACE FILE COUNT | "
				"flood INTERFACE FILE COUNT\n");
	return argc != 5 && argc != 6;
}
