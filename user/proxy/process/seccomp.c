// SPDX-License-Identifier: Apache-2.0
/*
 * The system calls that the proxy needs while it serves. All others fail with EPERM: a
 * change of the proxy that needs another one has to add it here.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/base/log.h"
#include "proxy/process/sandbox.h"

static const int allowed[] = {
	/* connections */
	SCMP_SYS(accept4),
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	/* bytes */
	SCMP_SYS(close),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(fcntl),
	SCMP_SYS(fstat),
	SCMP_SYS(lseek),
	SCMP_SYS(newfstatat), /* what fstat() is for some C libraries; there is no other file */
	SCMP_SYS(pipe2),
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(splice),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	/* events */
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(timerfd_settime),
	/* memory */
	SCMP_SYS(brk),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	/* clock and random numbers */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(getrandom),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(nanosleep),
	/* threads and their end */
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(futex),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rseq),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield),
	SCMP_SYS(set_robust_list), /* as rseq(): a thread may only just begin to run */
	SCMP_SYS(tgkill),
};

enum { ARGS_MAX = 3, TYPE_MASK = 0xf };

#define STREAM                                                \
	{                                                     \
		1, SCMP_CMP_MASKED_EQ, TYPE_MASK, SOCK_STREAM \
	}

/* Those that are allowed with certain arguments only. Sockets are TCP's: with CAP_NET_RAW, which
 * others' addresses need, there could be raw ones. */
static const struct {
	int call;
	unsigned count;
	struct scmp_arg_cmp args[ARGS_MAX];
} conditions[] = {
	{ SCMP_SYS(socket),
	  3,
	  { { 0, SCMP_CMP_EQ, AF_INET, 0 }, STREAM, { 2, SCMP_CMP_EQ, 0, 0 } } },
	{ SCMP_SYS(socket),
	  3,
	  { { 0, SCMP_CMP_EQ, AF_INET6, 0 }, STREAM, { 2, SCMP_CMP_EQ, 0, 0 } } },
	{ SCMP_SYS(bpf), 1, { { 0, SCMP_CMP_EQ, BPF_MAP_LOOKUP_ELEM, 0 } } },
	{ SCMP_SYS(mmap), 1, { { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } } },
	{ SCMP_SYS(mprotect), 1, { { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } } },
};

static int fill(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(allowed) / sizeof(*allowed); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; !r && i < sizeof(conditions) / sizeof(*conditions); i++)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, conditions[i].call,
					   conditions[i].count, conditions[i].args);
	return r;
}

int sandbox_seal(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = filter ? seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) : -ENOMEM;

	if (!r)
		r = fill(filter);
	if (!r)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r ? log_err(r, "sandbox: limit the system calls") : 0;
}
