// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervisor/proxy_start.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/wire/proxy_orders.h"
#include "lib/base/cleanup.h"
#include "daemon/supervisor/container.h"
#include "daemon/supervisor/proxy_cgroup.h"

enum {
	ARGS = 2 * PROXY_MAX_WORKERS + 2 * SUPERVISOR_MAX_FDS + 32,
	NUMBERS = PROXY_MAX_WORKERS + SUPERVISOR_MAX_FDS + 8,
	FILES = 1 << 20, /* descriptors */
	CANNOT_RUN = 127,
	UNUSED_ID = 60969,
};

struct args {
	const char *list[ARGS]; /* ends with NULL */
	size_t count;
	char sandbox[32];
	char numbers[NUMBERS][12];
	size_t number_count;
	int passed[NUMBERS]; /* descriptors */
	size_t passed_count;
};

static void add(struct args *a, const char *option, const char *value)
{
	a->list[a->count++] = option;
	if (value)
		a->list[a->count++] = value;
}

static void add_number(struct args *a, const char *option, unsigned n)
{
	char *text = a->numbers[a->number_count++];

	snprintf(text, sizeof(*a->numbers), "%u", n);
	add(a, option, text);
}

static void add_fd(struct args *a, const char *option, int fd)
{
	a->passed[a->passed_count++] = fd;
	add_number(a, option, (unsigned)fd);
}

/* The user weft, or a number that no system assigns: one of systemd's list of unused numbers. */
static void add_sandbox(struct args *a)
{
	const struct passwd *weft = getpwnam("weft");
	unsigned uid = weft ? weft->pw_uid : UNUSED_ID, gid = weft ? weft->pw_gid : UNUSED_ID;

	snprintf(a->sandbox, sizeof(a->sandbox), "%u:%u", uid, gid);
	add(a, "--sandbox", a->sandbox);
}

static void fill(struct args *a, const struct proxy_start *p)
{
	const struct supervisor_options *o = p->options;

	add(a, "weft-proxy", "--transparent");
	add_sandbox(a);
	add(a, "--identity", p->identity);
	add(a, "--log-level", log_level_name(o->log_level));
	if (o->mark)
		add_number(a, "--mark", o->mark);
	add_number(a, "--slot", (unsigned)p->slot);
	add_fd(a, "--control-fd", p->control);
	add_fd(a, "--held-fd", p->held);
	for (unsigned i = 0; i < o->workers; i++)
		add_fd(a, "--listen-fd", p->listeners[i]);
	for (size_t i = 0; i < o->fd_count; i++)
		add_fd(a, o->fds[i].option, o->fds[i].fd);
}

/* What weftd can't raise stays as it is. */
static void raise_limit(void)
{
	struct rlimit l = { FILES, FILES };

	if (setrlimit(RLIMIT_NOFILE, &l) && !getrlimit(RLIMIT_NOFILE, &l)) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* A process that reads weftd's output to its end must not wait for the proxy to close it, too. */
static int redirect(int messages)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0 ||
	    dup2(messages, STDERR_FILENO) < 0)
		return -errno;
	return 0;
}

static int pass(const struct args *a)
{
	/* Passed on by the number that it has here; everything else stays weftd's. */
	if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC))
		return -errno;
	for (size_t i = 0; i < a->passed_count; i++)
		if (fcntl(a->passed[i], F_SETFD, 0))
			return -errno;
	return 0;
}

/* What fails is no reason to be without a proxy: weft status tells of it, too. One that the next
 * weftd can't find, for its socket goes with the container, must not stay. */
static void leave_container(const char *run_dir)
{
	int r = 0;

	if (container_inside() && !container_owns(run_dir))
		r = proxy_cgroup_enter();
	if (r)
		log_err(r, "leave the container's cgroups: weft-proxy ends with the container");
}

/* In the child. Its messages are as the proxy's own would be. */
static _Noreturn void become(const struct proxy_start *p, const struct args *a)
{
	sigset_t none;
	int r = redirect(p->messages);

	log_set("weft-proxy", LOG_LEVEL_INFO);
	leave_container(p->options->run_dir);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid(); /* what ends weftd from the terminal does not end the proxy */
	raise_limit();
	if (!r)
		r = pass(a);
	if (!r) {
		execv(p->program, (char *const *)a->list);
		r = -errno;
	}
	log_err(r, "run %s", p->program);
	_exit(CANNOT_RUN);
}

pid_t proxy_start(const struct proxy_start *p, int *pidfd)
{
	struct args a = { 0 };
	pid_t pid;

	fill(&a, p);
	pid = fork();
	if (pid < 0)
		return log_err(-errno, "start weft-proxy");
	if (pid == 0)
		become(p, &a);
	*pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (*pidfd >= 0)
		return pid;
	log_err(-errno, "watch weft-proxy");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return -EIO;
}

int proxy_find(char **out)
{
	static const char *const places[] = { "weft-proxy", "../libexec/weft/weft-proxy" };
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return log_err(-errno, "find weft-proxy");
	self[n] = 0;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", self, places[i]) < 0) {
			path = NULL;
			return log_err(-ENOMEM, "find weft-proxy");
		}
		if (!access(path, X_OK)) {
			*out = TAKE_PTR(path);
			return 0;
		}
	}
	log_err(0, "weft-proxy is neither in %s nor in %s/../libexec/weft", self, self);
	return -ENOENT;
}
