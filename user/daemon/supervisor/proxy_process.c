// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervisor/proxy_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "daemon/supervisor/proxy_link.h"

enum { FIND_MS = 1000, QUIT_MS = 2000, KILL_MS = 5000, ERRNO_MAX = 4095 };

const struct proxy_process proxy_process_none = { .pidfd = -1, .conn = -1 };

/* The connection is there before the process is, and orders wait in it. */
int proxy_process_start(struct proxy_process *p, const struct proxy_start *start)
{
	_cleanup_close_ int control = proxy_link_bind(start->options->run_dir, start->slot);
	_cleanup_close_ int conn = -1, held = -1;
	struct proxy_start whole = *start;
	pid_t us, pid;

	if (control < 0)
		return control;
	conn = proxy_link_connect(start->options->run_dir, start->slot, &us);
	if (conn < 0)
		return log_err(conn, "reach weft-proxy");
	held = proxy_link_held(start->options->run_dir, start->slot, false);
	if (held < 0)
		return log_err(held, "make a file in %s", start->options->run_dir);
	whole.control = control;
	whole.held = held;
	pid = proxy_start(&whole, &p->pidfd);
	if (pid < 0)
		return pid;
	p->pid = pid;
	p->conn = TAKE_FD(conn);
	return 0;
}

/* It listens itself only when it has started: until then the weftd does that has started it, and
 * may be gone. */
int proxy_process_find(struct proxy_process *p, const char *run_dir, int slot)
{
	static const struct timespec ms = { 0, 1000000 };
	int r = -ESRCH;

	for (int i = 0; r == -ESRCH && i < FIND_MS; i++) {
		_cleanup_close_ int conn = proxy_link_connect(run_dir, slot, &p->pid);

		if (conn < 0)
			return conn;
		p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
		if (p->pidfd >= 0) {
			p->conn = TAKE_FD(conn);
			return 0;
		}
		r = -errno;
		nanosleep(&ms, NULL);
	}
	return r;
}

int proxy_process_order(struct proxy_process *p, struct proxy_order order, int fd)
{
	order.sequence = ++p->sequence;
	return proxy_link_send(p->conn, &order, fd, NULL, 0);
}

int proxy_process_patch(struct proxy_process *p, struct proxy_order order, const void *bytes,
			size_t size)
{
	order.sequence = ++p->sequence;
	return proxy_link_send(p->conn, &order, -1, bytes, size);
}

int proxy_reply_error(const struct proxy_reply *reply)
{
	return reply->error <= 0 && reply->error >= -ERRNO_MAX ? reply->error : -EPROTO;
}

bool proxy_process_ended(const struct proxy_process *p, int within_ms)
{
	struct pollfd polled = { p->pidfd, POLLIN, 0 };

	return poll(&polled, 1, within_ms) > 0;
}

void proxy_process_kill(const struct proxy_process *p)
{
	syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
}

void proxy_process_end(const struct proxy_process *p)
{
	const struct proxy_order order = { .type = PROXY_QUIT };

	if (!proxy_link_send(p->conn, &order, -1, NULL, 0) && proxy_process_ended(p, QUIT_MS))
		return;
	proxy_process_kill(p);
	if (!proxy_process_ended(p, KILL_MS))
		log_warning("weft-proxy (process %d) does not end", (int)p->pid);
}

void proxy_process_describe_end(const struct proxy_process *p, char *text, size_t size)
{
	siginfo_t info = { 0 };

	snprintf(text, size, "has ended");
	if (waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG) || !info.si_pid)
		return;
	if (info.si_code == CLD_EXITED)
		snprintf(text, size, "has ended with status %d", info.si_status);
	else
		snprintf(text, size, "was killed by signal %d", info.si_status);
}

void proxy_process_forget(struct proxy_process *p)
{
	siginfo_t info;

	if (p->pidfd >= 0)
		(void)waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG);
	closep(&p->pidfd);
	closep(&p->conn);
	*p = proxy_process_none;
}
