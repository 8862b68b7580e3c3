// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "daemon/api/control.h"
#include "daemon/api/control_clock.h"
#include "daemon/api/control_conn.h"
#include "lib/base/log.h"
#include "lib/wire/wire_client.h"

enum {
	BACKLOG = 128,
	CONNS_MAX = 256,
	EVENTS = 64,
	TICK_MS = 1000,
	TIDY_AFTER_MS = 60000,
	TRIM_AFTER_MS = 1000,
};

struct loop {
	struct weftd *d;
	int epoll, listener, signals;
	struct control_conn *conns;
	unsigned count;
	struct control_clock clock; /* what peers are measured by */
	uint64_t tidy_at;	    /* ms; 0: nothing to tidy */
	uint64_t trim_at;	    /* when to give memory back to the system; 0: not */
};

int control_listen(const char *run_dir)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un at;
	mode_t mask;
	int r = wire_address(run_dir, &at);

	if (r)
		return log_err(r, "listen in %s", run_dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return log_err(-errno, "open the control socket");
	/* The lock on the directory is ours: whoever left this socket is gone. */
	unlink(at.sun_path);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&at, sizeof(at)) ? -errno : 0;
	umask(mask);
	if (!r && listen(fd, BACKLOG))
		r = -errno;
	return r ? log_err(r, "listen on %s", at.sun_path) : TAKE_FD(fd);
}

static int watch(struct loop *l, int op, int fd, uint32_t events, void *who)
{
	struct epoll_event e = { .events = events, .data.ptr = who };

	return epoll_ctl(l->epoll, op, fd, &e) ? -errno : 0;
}

/* Beyond the limit new peers wait in the backlog. */
static void admit(struct loop *l)
{
	watch(l, EPOLL_CTL_MOD, l->listener, l->count < CONNS_MAX ? EPOLLIN : 0, &l->listener);
}

static void hang_up(struct loop *l, struct control_conn *c)
{
	struct control_conn **at = &l->conns;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	/* Closing it does not: a process that is being started may hold it open a little longer. */
	watch(l, EPOLL_CTL_DEL, c->fd, 0, NULL);
	control_conn_free(c);
	l->count--;
	admit(l);
}

static void step(struct loop *l, struct control_conn *c)
{
	bool alive = control_conn_step(c, l->d, control_clock_ms(&l->clock));

	if (l->d->changed) {
		l->d->changed = false;
		if (!l->trim_at)
			l->trim_at = clock_ms() + TRIM_AFTER_MS;
		if (!l->tidy_at) /* further changes don't put it off */
			l->tidy_at = clock_ms() + TIDY_AFTER_MS;
	}
	if (!alive || watch(l, EPOLL_CTL_MOD, c->fd, control_conn_events(c), c))
		hang_up(l, c);
}

static void welcome(struct loop *l)
{
	int fd = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct control_conn *c = fd < 0 ? NULL : control_conn_new(fd, control_clock_ms(&l->clock));

	if (!c)
		return;
	control_conn_greet(c);
	c->next = l->conns;
	l->conns = c;
	l->count++;
	if (watch(l, EPOLL_CTL_ADD, c->fd, control_conn_events(c), c))
		hang_up(l, c);
	else
		admit(l);
}

static void take_signal(struct loop *l)
{
	struct signalfd_siginfo info;

	if (read(l->signals, &info, sizeof(info)) != sizeof(info))
		return;
	log_info("ending on signal %u; steering stays on", info.ssi_signo);
	l->d->quit = true;
}

static void tick(struct loop *l)
{
	uint64_t now = clock_ms();

	for (struct control_conn *c = l->conns, *next; c; c = next) {
		next = c->next;
		if (control_conn_stalled(c, control_clock_ms(&l->clock)))
			hang_up(l, c);
	}
	if (l->trim_at && now >= l->trim_at) {
		malloc_trim(0);
		l->trim_at = 0;
	}
	if (l->tidy_at && now >= l->tidy_at) {
		int ms = engine_tidy(l->d->engine);

		l->tidy_at = ms ? clock_ms() + (ms < 0 ? TIDY_AFTER_MS : (uint64_t)ms) : 0;
	}
}

/* The sooner of both, 0 for none. */
static uint64_t next_work(const struct loop *l)
{
	if (!l->trim_at || !l->tidy_at)
		return l->trim_at + l->tidy_at;
	return l->trim_at < l->tidy_at ? l->trim_at : l->tidy_at;
}

static int timeout_ms(const struct loop *l)
{
	uint64_t now = clock_ms(), at = next_work(l);

	if (at && at < now + TICK_MS)
		return at > now ? (int)(at - now) : 0;
	return l->conns || at ? TICK_MS : -1;
}

static int setup(struct loop *l)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	l->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->signals < 0 || l->epoll < 0)
		return -errno;
	r = watch(l, EPOLL_CTL_ADD, l->signals, EPOLLIN, &l->signals);
	if (!r)
		r = watch(l, EPOLL_CTL_ADD, l->listener, EPOLLIN, &l->listener);
	if (!r)
		r = watch(l, EPOLL_CTL_ADD, kernel_fd(l->d->kernel), EPOLLIN, l->d->kernel);
	if (!r)
		r = watch(l, EPOLL_CTL_ADD, supervisor_fd(l->d->supervisor), EPOLLIN,
			  l->d->supervisor);
	return r;
}

static void dispatch(struct loop *l, void *who)
{
	int r = 0;

	if (who == &l->signals)
		take_signal(l);
	else if (who == &l->listener)
		welcome(l);
	else if (who == l->d->kernel)
		r = kernel_dispatch(l->d->kernel);
	else if (who == l->d->supervisor)
		supervisor_dispatch(l->d->supervisor);
	else
		step(l, who);
	if (r)
		log_err(r, "follow the kernel");
}

static int run(struct loop *l)
{
	struct epoll_event events[EVENTS];

	while (!l->d->quit) {
		int n = epoll_wait(l->epoll, events, EVENTS, timeout_ms(l));

		if (n < 0 && errno != EINTR)
			return -errno;
		control_clock_stop(&l->clock);
		/* A connection is only ever freed by its own event or by the tick: no event here is
		 * stale. */
		for (int i = 0; i < n; i++)
			dispatch(l, events[i].data.ptr);
		tick(l);
		control_clock_go(&l->clock);
	}
	return 0;
}

int control_run(struct weftd *d, int listener)
{
	struct loop l = { .d = d, .epoll = -1, .listener = listener, .signals = -1 };
	int r = setup(&l);

	if (!r)
		r = run(&l);
	while (l.conns)
		hang_up(&l, l.conns);
	closep(&l.signals);
	closep(&l.epoll);
	return r ? log_err(r, "run the event loop") : 0;
}
