// SPDX-License-Identifier: Apache-2.0
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#include "cleanup.h"
#include "listeners.h"
#include "proxy_identity.h"
#include "proxy_link.h"
#include "proxy_start.h"

enum {
	START_MS = 10000,   /* a machine may be busy with other things */
	HELLO_MS = 3000,    /* for a proxy that runs already */
	SNAPSHOT_MS = 8000, /* the proxy itself gives up earlier */
	QUIT_MS = 2000,
	KILL_MS = 5000,
	PAUSE_MIN_MS = 10,
	PAUSE_MAX_MS = 1000,
	STEADY_MS = 5000, /* a proxy that has run for so long did not die of being started */
	MESSAGES = 4096,
	EVENTS = 8,
};

struct supervisor {
	struct supervisor_options options;
	char *program, *identity;
	int listeners[PROXY_MAX_WORKERS];
	int epoll, timer;
	int messages[2];     /* a pipe: what proxies have to say comes out of [0] */
	int snapshot;	     /* a file, the one in force; -1: there is none yet */
	uint64_t generation; /* of it */
	uint32_t sequence;   /* of the last order */

	/* The proxy that runs; the descriptors are -1 when none does. */
	pid_t pid;
	int pidfd, conn;
	uint64_t started_ms;

	unsigned restarts, pause_ms;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void drop(int *fd)
{
	closep(fd);
	*fd = -1;
}

static int watch(struct supervisor *s, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

/* ---- a process ---- */

static bool ended_within(int pidfd, int ms)
{
	struct pollfd polled = { pidfd, POLLIN, 0 };

	return poll(&polled, 1, ms) > 0;
}

/* The process asked over `conn` ends, whatever it has to be done about it. */
static void end_process(int pidfd, int conn)
{
	const struct proxy_order order = { .type = PROXY_QUIT };

	if (!proxy_link_send(conn, &order, -1) && ended_within(pidfd, QUIT_MS))
		return;
	syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	if (!ended_within(pidfd, KILL_MS))
		log_warning("weft-proxy does not end");
}

/* How it ended, if it was a child of ours. */
static void describe_end(int pidfd, char *text, size_t size)
{
	siginfo_t info = { 0 };

	snprintf(text, size, "has ended");
	if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) || !info.si_pid)
		return;
	if (info.si_code == CLD_EXITED)
		snprintf(text, size, "has ended with status %d", info.si_status);
	else
		snprintf(text, size, "was killed by signal %d", info.si_status);
}

/* ---- orders ---- */

static int send_order(struct supervisor *s, enum proxy_order_type type, int fd)
{
	const struct proxy_order order = { .type = type,
					   .sequence = ++s->sequence,
					   .generation = s->generation };

	return proxy_link_send(s->conn, &order, fd);
}

/* Nobody waits for it: the answer to what a new proxy was given. */
static void take_reply(const struct proxy_reply *reply)
{
	if (reply->type == PROXY_SNAPSHOT && reply->error)
		log_err(reply->error, "a new weft-proxy refuses the rules that the last one had");
}

/* The answer to the last order. 0 or -errno. */
static int wait_reply(struct supervisor *s, int ms)
{
	uint64_t end = now_ms() + (uint64_t)ms;

	for (;;) {
		struct proxy_hello reply;
		uint64_t now = now_ms();
		int r = proxy_link_receive(s->conn, now < end ? (int)(end - now) : 0, &reply,
					   sizeof(reply), NULL, NULL);

		if (r || reply.reply.sequence == s->sequence)
			return r ? r : reply.reply.error;
		take_reply(&reply.reply);
	}
}

/* ---- the proxy that runs ---- */

static void forget_process(struct supervisor *s)
{
	siginfo_t info;

	if (s->pidfd >= 0)
		(void)waitid(P_PIDFD, (id_t)s->pidfd, &info, WEXITED | WNOHANG);
	drop(&s->pidfd);
	drop(&s->conn);
	s->pid = 0;
}

static int follow_process(struct supervisor *s)
{
	int r = watch(s, s->pidfd);

	s->started_ms = now_ms();
	return r ? r : watch(s, s->conn);
}

/* The connection is there before the process is, and the orders wait in it. */
static int launch(struct supervisor *s)
{
	_cleanup_close_ int control = proxy_link_bind(s->options.run_dir);
	const struct proxy_start start = { .options = &s->options,
					   .program = s->program,
					   .identity = s->identity,
					   .listeners = s->listeners,
					   .control = control,
					   .messages = s->messages[1] };
	pid_t us, pid;
	int r = control;

	if (r < 0)
		return r;
	s->conn = proxy_link_connect(s->options.run_dir, &us);
	if (s->conn < 0)
		return log_err(s->conn, "reach weft-proxy");
	pid = proxy_start(&start, &s->pidfd);
	if (pid < 0)
		return pid;
	s->pid = pid;
	r = follow_process(s);
	if (!r)
		r = send_order(s, PROXY_HELLO, s->messages[1]);
	if (!r && s->snapshot >= 0)
		r = send_order(s, PROXY_SNAPSHOT, s->snapshot);
	if (r)
		end_process(s->pidfd, s->conn);
	return r;
}

static void wake_in(struct supervisor *s, unsigned ms)
{
	const struct itimerspec at = { .it_value = { .tv_sec = ms / 1000,
						     .tv_nsec = ms % 1000 * 1000000L } };

	timerfd_settime(s->timer, 0, &at, NULL);
}

static void start(struct supervisor *s)
{
	wake_in(s, 0);
	if (s->options.on_death)
		s->options.on_death(s->options.arg);
	if (!launch(s))
		return;
	forget_process(s);
	wake_in(s, PAUSE_MAX_MS);
}

static void forward_messages(struct supervisor *s)
{
	char text[MESSAGES];
	ssize_t n;

	while ((n = read(s->messages[0], text, sizeof(text))) > 0)
		if (write(STDERR_FILENO, text, (size_t)n) < 0)
			break;
}

static unsigned next_pause(const struct supervisor *s)
{
	if (now_ms() - s->started_ms >= STEADY_MS)
		return 0;
	if (!s->restarts)
		return 0;
	if (!s->pause_ms)
		return PAUSE_MIN_MS;
	return s->pause_ms * 2 < PAUSE_MAX_MS ? s->pause_ms * 2 : PAUSE_MAX_MS;
}

static void died(struct supervisor *s)
{
	char how[64];

	forward_messages(s);
	describe_end(s->pidfd, how, sizeof(how));
	log_warning("weft-proxy (process %d) %s: another one is started", (int)s->pid, how);
	forget_process(s);
	s->pause_ms = next_pause(s);
	s->restarts++;
	if (s->pause_ms)
		wake_in(s, s->pause_ms);
	else
		start(s);
}

/* A proxy runs when this returns, if one can be started. */
static int ensure(struct supervisor *s)
{
	if (s->pidfd >= 0 && ended_within(s->pidfd, 0))
		died(s);
	if (s->pidfd < 0)
		start(s);
	return s->pidfd < 0 ? -ECHILD : 0;
}

/* ---- snapshots ---- */

static int write_all(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0)
			return -errno;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Nobody changes it any more: a proxy that reads it relies on that. */
static int snapshot_file(const void *bytes, size_t size)
{
	_cleanup_close_ int fd = memfd_create("weft-snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = fd < 0 ? -errno : write_all(fd, bytes, size);

	if (!r && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		r = -errno;
	return r ? r : TAKE_FD(fd);
}

static int hand_over(struct supervisor *s, int file)
{
	int r = ensure(s);

	if (!r)
		r = send_order(s, PROXY_SNAPSHOT, file);
	return r ? r : wait_reply(s, SNAPSHOT_MS);
}

static bool has_gone(int r)
{
	return r == -ECONNRESET || r == -EPIPE;
}

int supervisor_snapshot(struct supervisor *s, uint64_t generation, const void *bytes, size_t size)
{
	_cleanup_close_ int file = snapshot_file(bytes, size);
	uint64_t before = s->generation;
	int r = file;

	s->generation = generation;
	if (file >= 0)
		r = hand_over(s, file);
	/* It may have died of anything: only who dies of it twice has died of it. */
	if (has_gone(r) && ended_within(s->pidfd, QUIT_MS))
		r = hand_over(s, file);
	if (r == -ETIMEDOUT) /* the next one will have the rules that were in force */
		syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
	if (r) {
		s->generation = before;
		return log_err(r, "hand the rules over to weft-proxy");
	}
	drop(&s->snapshot);
	s->snapshot = TAKE_FD(file);
	return 0;
}

/* ---- taking over ---- */

/* What the process behind `conn` has: its sockets become ours if they can be used. Whether it may
 * go on as it is. */
static bool take_over(struct supervisor *s, int *count)
{
	struct proxy_hello hello = { 0 };
	unsigned n = 0;
	bool usable;
	int r = send_order(s, PROXY_HELLO, s->messages[1]);

	if (!r)
		r = proxy_link_receive(s->conn, HELLO_MS, &hello, sizeof(hello), s->listeners, &n);
	usable = !r && n == s->options.workers;
	for (unsigned i = 0; usable && i < n; i++)
		usable = listener_is_ours(s->listeners[i]);
	if (!usable)
		listeners_close(n, s->listeners);
	*count = usable ? (int)n : 0;
	hello.identity[sizeof(hello.identity) - 1] = 0;
	return usable && !hello.reply.error && !strcmp(hello.identity, s->identity);
}

/* Connected to the process `pid`, which listens itself only when it has started: until then the
 * weftd does that has started it. -ECONNREFUSED when none runs. */
static int find_process(const char *run_dir, pid_t *pid, int *pidfd)
{
	static const struct timespec ms = { 0, 1000000 };
	int r = -ESRCH;

	for (int i = 0; r == -ESRCH && i < QUIT_MS; i++) {
		_cleanup_close_ int conn = proxy_link_connect(run_dir, pid);

		if (conn < 0)
			return conn;
		*pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
		if (*pidfd >= 0)
			return TAKE_FD(conn);
		r = -errno;
		nanosleep(&ms, NULL);
	}
	return r;
}

/* The sockets of a proxy that runs already are used on, whether itself is or not. */
static int adopt(struct supervisor *s, int *listeners)
{
	s->conn = find_process(s->options.run_dir, &s->pid, &s->pidfd);
	if (s->conn < 0) {
		if (s->conn != -ENOENT && s->conn != -ECONNREFUSED)
			log_err(s->conn, "look for a weft-proxy in %s", s->options.run_dir);
		return 0;
	}
	if (take_over(s, listeners)) {
		log_info("weft-proxy (process %d) goes on", (int)s->pid);
		return follow_process(s);
	}
	log_info("weft-proxy (process %d) is replaced", (int)s->pid);
	end_process(s->pidfd, s->conn);
	forget_process(s);
	return 0;
}

/* ---- the whole ---- */

static int begin(struct supervisor *s)
{
	int listeners = 0, r = adopt(s, &listeners);

	if (!r && !listeners)
		r = listeners_open(s->options.workers, s->listeners);
	if (r || s->pidfd >= 0)
		return r;
	start(s);
	if (s->pidfd < 0)
		return -ECHILD;
	r = wait_reply(s, START_MS);
	if (!r)
		return 0;
	end_process(s->pidfd, s->conn);
	forward_messages(s);
	log_err(has_gone(r) ? 0 : r, "weft-proxy does not start");
	return r;
}

static int prepare(struct supervisor *s)
{
	int r = proxy_find(&s->program);

	if (r)
		return r;
	s->identity = proxy_identity(&s->options);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (!s->identity)
		r = -ENOMEM;
	else if (s->epoll < 0 || s->timer < 0 || pipe2(s->messages, O_CLOEXEC | O_NONBLOCK))
		r = -errno;
	if (!r)
		r = watch(s, s->timer);
	if (!r)
		r = watch(s, s->messages[0]);
	return r ? log_err(r, "prepare for weft-proxy") : 0;
}

int supervisor_check(void)
{
	_cleanup_free_ char *program = NULL;

	return proxy_find(&program);
}

DEFINE_CLEANUP(struct supervisor *, supervisor_close);

int supervisor_open(const struct supervisor_options *o, struct supervisor **out)
{
	_cleanup_(supervisor_closep) struct supervisor *s = malloc(sizeof(*s));
	int r;

	if (!s)
		return log_err(-ENOMEM, "prepare for weft-proxy");
	*s = (struct supervisor){ .options = *o,
				  .epoll = -1,
				  .timer = -1,
				  .messages = { -1, -1 },
				  .snapshot = -1,
				  .pidfd = -1,
				  .conn = -1 };
	memset(s->listeners, 0xff, sizeof(s->listeners));
	r = prepare(s);
	if (!r)
		r = begin(s);
	if (r)
		return r;
	*out = TAKE_PTR(s);
	return 0;
}

void supervisor_close(struct supervisor *s)
{
	if (!s)
		return;
	listeners_close(PROXY_MAX_WORKERS, s->listeners);
	forget_process(s);
	drop(&s->snapshot);
	drop(&s->messages[0]);
	drop(&s->messages[1]);
	drop(&s->timer);
	drop(&s->epoll);
	free(s->program);
	free(s->identity);
	free(s);
}

void supervisor_end(struct supervisor *s)
{
	if (s->pidfd >= 0)
		end_process(s->pidfd, s->conn);
	forward_messages(s);
	forget_process(s);
	wake_in(s, 0);
	proxy_link_remove(s->options.run_dir);
}

void supervisor_stop(const char *run_dir)
{
	_cleanup_close_ int pidfd = -1;
	pid_t pid;
	_cleanup_close_ int conn = find_process(run_dir, &pid, &pidfd);

	if (conn >= 0)
		end_process(pidfd, conn);
	proxy_link_remove(run_dir);
}

unsigned supervisor_workers(const struct supervisor *s)
{
	return s->options.workers;
}

int supervisor_listener(const struct supervisor *s, unsigned worker)
{
	return s->listeners[worker];
}

int supervisor_fd(const struct supervisor *s)
{
	return s->epoll;
}

static void read_reply(struct supervisor *s)
{
	struct proxy_hello reply;
	int r = proxy_link_receive(s->conn, 0, &reply, sizeof(reply), NULL, NULL);

	if (!r)
		take_reply(&reply.reply);
	else if (r == -ECONNRESET) /* the process itself is watched, too */
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->conn, NULL);
}

void supervisor_dispatch(struct supervisor *s)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(s->epoll, events, EVENTS, 0);
	uint64_t fired;

	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;

		if (fd == s->messages[0])
			forward_messages(s);
		else if (fd == s->conn)
			read_reply(s);
		else if (fd == s->timer && read(fd, &fired, sizeof(fired)) > 0)
			(void)ensure(s);
	}
	if (s->pidfd >= 0 && ended_within(s->pidfd, 0))
		died(s);
}

void supervisor_status(const struct supervisor *s, struct supervisor_status *out)
{
	*out = (struct supervisor_status){ .pid = s->pid,
					   .workers = s->options.workers,
					   .restarts = s->restarts };
}
