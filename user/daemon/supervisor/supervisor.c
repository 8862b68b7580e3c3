// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>

#include "lib/base/cleanup.h"
#include "daemon/api/control_clock.h"
#include "daemon/supervisor/listeners.h"
#include "daemon/supervisor/proxy_identity.h"
#include "daemon/supervisor/proxy_link.h"
#include "daemon/supervisor/proxy_process.h"
#include "daemon/supervisor/proxy_start.h"
#include "daemon/supervisor/proxy_words.h"

enum {
	START_MS = 10000,   /* a machine may be busy with other things */
	HELLO_MS = 3000,    /* for a proxy that runs already */
	REQUESTS_MS = 3000, /* likewise */
	SNAPSHOT_MS = 8000, /* the proxy itself gives up earlier */
	GONE_MS = 2000,	    /* from the end of its connection to that of the process */
	PAUSE_MIN_MS = 10,
	PAUSE_MAX_MS = 1000,
	STEADY_MS = 5000, /* a proxy that has run for so long did not die of being started */
	UNASKED_MAX = 16, /* replies in a row that nothing was asked for */
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
	struct proxy_words words;
	struct proxy_process proxy;
	bool took_over;	  /* the first one */
	unsigned replies; /* since it was started or given an order */
	uint64_t started_ms;
	unsigned restarts, pause_ms;
};

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

/* ---- the proxy that runs ---- */

static int follow(struct supervisor *s)
{
	int r = watch(s, s->proxy.pidfd);

	s->started_ms = control_now_ms();
	s->replies = 0;
	return r ? r : watch(s, s->proxy.conn);
}

static int launch(struct supervisor *s)
{
	const struct proxy_start start = { .options = &s->options,
					   .program = s->program,
					   .identity = s->identity,
					   .listeners = s->listeners,
					   .messages = s->messages[1] };
	int r = proxy_process_start(&s->proxy, &start);

	if (r)
		return r;
	r = follow(s);
	if (!r)
		r = proxy_process_order(&s->proxy, PROXY_HELLO, 0, s->messages[1]);
	if (!r && s->snapshot >= 0)
		r = proxy_process_order(&s->proxy, PROXY_SNAPSHOT, s->generation, s->snapshot);
	if (r)
		proxy_process_end(&s->proxy);
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
	proxy_process_forget(&s->proxy);
	wake_in(s, PAUSE_MAX_MS);
}

static unsigned next_pause(const struct supervisor *s)
{
	if (control_now_ms() - s->started_ms >= STEADY_MS)
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

	proxy_words_forward(&s->words, s->messages[0]);
	proxy_process_describe_end(&s->proxy, how, sizeof(how));
	log_warning("weft-proxy (process %d) %s: another one is started", (int)s->proxy.pid, how);
	proxy_process_forget(&s->proxy);
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
	if (s->proxy.pidfd >= 0 && proxy_process_ended(&s->proxy, 0))
		died(s);
	if (s->proxy.pidfd < 0)
		start(s);
	return s->proxy.pidfd < 0 ? -ECHILD : 0;
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

static int hand_over(struct supervisor *s, uint64_t generation, int file)
{
	int r = ensure(s);

	if (!r)
		r = proxy_process_order(&s->proxy, PROXY_SNAPSHOT, generation, file);
	s->replies = 0;
	return r ? r : proxy_process_wait(&s->proxy, SNAPSHOT_MS);
}

static bool has_gone(int r)
{
	return r == -ECONNRESET || r == -EPIPE;
}

int supervisor_snapshot(struct supervisor *s, uint64_t generation, const void *bytes, size_t size)
{
	_cleanup_close_ int file = snapshot_file(bytes, size);
	int r = file < 0 ? file : hand_over(s, generation, file);

	/* It may have died of anything: only who dies of it twice has died of it. */
	if (has_gone(r) && proxy_process_ended(&s->proxy, GONE_MS))
		r = hand_over(s, generation, file);
	if (r == -ETIMEDOUT) /* the next one will have the rules that were in force */
		proxy_process_kill(&s->proxy);
	if (r)
		return log_err(r, "hand the rules of generation %llu over to weft-proxy",
			       (unsigned long long)generation);
	drop(&s->snapshot);
	s->snapshot = TAKE_FD(file);
	s->generation = generation;
	return 0;
}

int supervisor_requests(struct supervisor *s, struct proxy_request **rows, size_t *count)
{
	_cleanup_close_ int fd = memfd_create("weft-requests", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	if (!r && s->proxy.pidfd >= 0) {
		s->replies = 0;
		r = proxy_process_order(&s->proxy, PROXY_REQUESTS, 0, fd);
		if (!r)
			r = proxy_process_wait(&s->proxy, REQUESTS_MS);
	}
	return r ? r : proxy_words_requests(fd, rows, count);
}

int supervisor_snapshot_file(const struct supervisor *s)
{
	return s->snapshot;
}

/* ---- taking over ---- */

/* Its sockets become ours if they can be used: *count of them. Whether it may go on as it is. */
static bool take_over(struct supervisor *s, unsigned *count)
{
	struct proxy_hello hello = { 0 };
	unsigned n = 0;
	bool usable;
	int r = proxy_process_order(&s->proxy, PROXY_HELLO, 0, s->messages[1]);

	if (!r)
		r = proxy_link_receive(s->proxy.conn, HELLO_MS, &hello, sizeof(hello), s->listeners,
				       &n);
	usable = !r && n == s->options.workers && listeners_usable(s->listeners, n);
	if (!usable)
		listeners_close(n, s->listeners);
	*count = usable ? n : 0;
	hello.version[sizeof(hello.version) - 1] = 0;
	hello.identity[sizeof(hello.identity) - 1] = 0;
	usable = usable && !hello.reply.error && !strcmp(hello.identity, s->identity);
	log_info("weft-proxy %s (process %d) %s", r ? "without an answer" : hello.version,
		 (int)s->proxy.pid, usable ? "goes on" : "is replaced");
	return usable;
}

/* The sockets of a proxy that runs already are used on, whether itself is or not. */
static int adopt(struct supervisor *s, unsigned *listeners)
{
	int r = proxy_process_find(&s->proxy, s->options.run_dir);

	if (r) {
		if (r != -ENOENT && r != -ECONNREFUSED)
			log_err(r, "look for a weft-proxy in %s", s->options.run_dir);
		return 0;
	}
	s->took_over = take_over(s, listeners);
	if (s->took_over)
		return follow(s);
	proxy_process_end(&s->proxy);
	proxy_process_forget(&s->proxy);
	return 0;
}

/* ---- the whole ---- */

static int begin(struct supervisor *s)
{
	unsigned listeners = 0;
	int r = adopt(s, &listeners);

	if (!r && !listeners)
		r = listeners_open(s->options.workers, s->listeners);
	if (r || s->proxy.pidfd >= 0)
		return r;
	start(s);
	if (s->proxy.pidfd < 0)
		return -ECHILD;
	r = proxy_process_wait(&s->proxy, START_MS);
	if (!r)
		return 0;
	proxy_process_end(&s->proxy);
	proxy_words_forward(&s->words, s->messages[0]);
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
				  .proxy = proxy_process_none };
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
	proxy_process_forget(&s->proxy);
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
	if (s->proxy.pidfd >= 0)
		proxy_process_end(&s->proxy);
	proxy_words_forward(&s->words, s->messages[0]);
	proxy_process_forget(&s->proxy);
	wake_in(s, 0);
	proxy_link_remove(s->options.run_dir);
}

void supervisor_stop(const char *run_dir)
{
	struct proxy_process p = proxy_process_none;

	if (!proxy_process_find(&p, run_dir))
		proxy_process_end(&p);
	proxy_process_forget(&p);
	proxy_link_remove(run_dir);
}

bool supervisor_runs(const char *run_dir)
{
	struct proxy_process p = proxy_process_none;
	bool runs = !proxy_process_find(&p, run_dir);

	proxy_process_forget(&p);
	return runs;
}

bool supervisor_took_over(const struct supervisor *s)
{
	return s->took_over;
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
	int r = proxy_link_receive(s->proxy.conn, 0, &reply, sizeof(reply), NULL, NULL);

	if (!r && s->replies++ >= UNASKED_MAX) {
		log_warning("weft-proxy (process %d) says what it was not asked for: it is killed",
			    (int)s->proxy.pid);
		proxy_process_kill(&s->proxy);
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->proxy.conn, NULL);
	} else if (!r && reply.reply.type == PROXY_SNAPSHOT && reply.reply.error) {
		log_err(proxy_reply_error(&reply.reply),
			"a new weft-proxy refuses the rules that the last one had");
	} else if (r == -ECONNRESET) /* the process itself is watched, too */
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->proxy.conn, NULL);
}

void supervisor_dispatch(struct supervisor *s)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(s->epoll, events, EVENTS, 0);
	uint64_t fired;

	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;

		if (fd == s->messages[0])
			proxy_words_forward(&s->words, s->messages[0]);
		else if (fd == s->proxy.conn)
			read_reply(s);
		else if (fd == s->timer && read(fd, &fired, sizeof(fired)) > 0)
			(void)ensure(s);
	}
	if (s->proxy.pidfd >= 0 && proxy_process_ended(&s->proxy, 0))
		died(s);
}

void supervisor_status(const struct supervisor *s, struct supervisor_status *out)
{
	*out = (struct supervisor_status){ .pid = s->proxy.pid,
					   .workers = s->options.workers,
					   .restarts = s->restarts };
}
