// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "daemon/api/control.h"
#include "daemon/api/control_clock.h"
#include "daemon/api/control_conn.h"
#include "daemon/api/node_health.h"
#include "daemon/source/leave.h"
#include "daemon/supervisor/access_follow.h"
#include "lib/base/log.h"
#include "lib/wire/unix_listen.h"
#include "lib/wire/wire_client.h"

enum {
	BACKLOG = 128,
	CONNS_MAX = 256,
	TICK_MS = 1000,
	TIDY_AFTER_MS = 60000,
	TRIM_AFTER_MS = 1000,
};

struct control_loop {
	struct weftd *d;
	struct event_loop *events;
	struct event listener, signals;
	struct control_conn *conns;
	unsigned count;
	struct control_clock clock; /* what peers are measured by */
	uint64_t tidy_at;	    /* ms; 0: nothing to tidy */
	uint64_t trim_at;	    /* when to give memory back to the system; 0: not */
	uint64_t version;	    /* of the rules, when that was last looked at */
};

int control_listen(const char *run_dir)
{
	struct sockaddr_un at;
	int r = wire_address(run_dir, &at);

	return r ? log_err(r, "listen in %s", run_dir)
		 : unix_listen(&at, SOCK_STREAM | SOCK_NONBLOCK, BACKLOG);
}

/* Beyond the limit new peers wait in the backlog. */
static void admit(struct control_loop *l)
{
	event_watch(l->events, &l->listener, l->count < CONNS_MAX ? EPOLLIN : 0);
}

static void hang_up(struct control_loop *l, struct control_conn *c)
{
	struct control_conn **at = &l->conns;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	event_forget(&c->event);
	control_conn_free(c);
	l->count--;
	admit(l);
}

/* One that waits for its answer is not watched: that it has hung up is seen soon enough. */
static int watch(struct control_loop *l, struct control_conn *c)
{
	if (!c->waiting)
		return event_watch(l->events, &c->event, control_conn_events(c));
	event_forget(&c->event);
	return 0;
}

static void note_change(struct control_loop *l)
{
	uint64_t version = engine_version(l->d->engine);

	if (l->d->node_health)
		node_health_follow(l->d->node_health);
	if (version == l->version)
		return;
	l->version = version;
	if (!l->trim_at)
		l->trim_at = clock_ms() + TRIM_AFTER_MS;
	if (!l->tidy_at) /* further changes don't put it off */
		l->tidy_at = clock_ms() + TIDY_AFTER_MS;
}

static void step(struct control_loop *l, struct control_conn *c)
{
	bool alive = control_conn_step(c, l->d, control_clock_ms(&l->clock));

	if (!alive || watch(l, c))
		hang_up(l, c);
}

static void on_ready(void *arg, uint32_t events)
{
	struct control_conn *c = arg;

	(void)events;
	step(c->arg, c);
}

/* The answer goes out, and what has come in meanwhile is handled. */
static void on_answered(struct control_conn *c)
{
	struct control_loop *l = c->arg;

	c->seen = control_clock_ms(&l->clock); /* the silence was not the peer's */
	step(l, c);
}

static void welcome(void *arg, uint32_t events)
{
	struct control_loop *l = arg;
	int fd = accept4(l->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct control_conn *c = fd < 0 ? NULL : control_conn_new(fd, control_clock_ms(&l->clock));

	(void)events;
	if (!c)
		return;
	c->answered = on_answered;
	c->arg = l;
	c->event = (struct event){ .fd = fd, .ready = on_ready, .arg = c };
	control_conn_greet(c);
	c->next = l->conns;
	l->conns = c;
	l->count++;
	if (watch(l, c))
		hang_up(l, c);
	else
		admit(l);
}

static void take_signal(void *arg, uint32_t events)
{
	struct control_loop *l = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(l->signals.fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (leave_wanted(l->d->leave)) {
		log_info("ending on signal %u, and leaving the node", info.ssi_signo);
		l->d->left = !weftd_leave(l->d);
	} else {
		log_info("ending on signal %u; steering stays on", info.ssi_signo);
		engine_cancel(l->d->engine);
	}
	l->d->quit = true;
}

static void tick(struct control_loop *l)
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
static uint64_t next_work(const struct control_loop *l)
{
	if (!l->trim_at || !l->tidy_at)
		return l->trim_at + l->tidy_at;
	return l->trim_at < l->tidy_at ? l->trim_at : l->tidy_at;
}

static int timeout_ms(const struct control_loop *l)
{
	uint64_t now = clock_ms(), at = next_work(l);

	if (at && at < now + TICK_MS)
		return at > now ? (int)(at - now) : 0;
	return l->conns || at ? TICK_MS : -1;
}

static int setup(struct control_loop *l)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	l->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (l->signals.fd < 0)
		return -errno;
	r = event_watch(l->events, &l->signals, EPOLLIN);
	return r ? r : event_watch(l->events, &l->listener, EPOLLIN);
}

static int run(struct control_loop *l)
{
	int r = 0;

	while (!r && !l->d->quit) {
		r = event_loop_wait(l->events, timeout_ms(l));
		control_clock_stop(&l->clock);
		event_loop_dispatch(l->events);
		note_change(l);
		tick(l);
		control_clock_go(&l->clock);
	}
	return r;
}

/* What still waits for weft-proxy refers to its connection. Nothing is begun any more. */
static void answer_last(struct control_loop *l)
{
	for (struct control_conn *c = l->conns; c; c = c->next)
		c->closing = true;
	supervisor_cancel_requests(l->d->supervisor);
	access_follow_cancel(l->d->access_follow);
}

int control_run(struct weftd *d, struct event_loop *events, int listener)
{
	struct control_loop l = { .d = d, .events = events };
	int r;

	l.signals = (struct event){ .fd = -1, .ready = take_signal, .arg = &l };
	l.listener = (struct event){ .fd = listener, .ready = welcome, .arg = &l };
	r = setup(&l);
	if (!r)
		r = run(&l);
	answer_last(&l);
	while (l.conns)
		hang_up(&l, l.conns);
	event_forget(&l.listener);
	event_close(&l.signals);
	return r ? log_err(r, "run the event loop") : 0;
}
