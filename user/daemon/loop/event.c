/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/loop/event.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

enum { BATCH = 64 };

struct event_loop {
	int epoll;
	struct epoll_event batch[BATCH]; /* being worked off */
	int count;
};

int event_loop_open(struct event_loop **out)
{
	struct event_loop *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		r = -errno;
		free(l);
		return r;
	}
	*out = l;
	return 0;
}

void event_loop_close(struct event_loop *l)
{
	if (!l)
		return;
	closep(&l->epoll);
	free(l);
}

int event_loop_wait(struct event_loop *l, int timeout_ms)
{
	int n = epoll_wait(l->epoll, l->batch, BATCH, timeout_ms);

	l->count = n < 0 ? 0 : n;
	return n < 0 && errno != EINTR ? -errno : 0;
}

void event_loop_dispatch(struct event_loop *l)
{
	for (int i = 0; i < l->count; i++) {
		struct event *e = l->batch[i].data.ptr;

		if (e) /* or it was forgotten meanwhile */
			e->ready(e->arg, l->batch[i].events);
	}
	l->count = 0;
}

int event_loop_turn(struct event_loop *l, int timeout_ms)
{
	int r = event_loop_wait(l, timeout_ms);

	if (!r)
		event_loop_dispatch(l);
	return r;
}

int event_watch(struct event_loop *l, struct event *e, uint32_t events)
{
	struct epoll_event how = { .events = events, .data.ptr = e };

	if (epoll_ctl(l->epoll, e->loop ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, e->fd, &how))
		return -errno;
	e->loop = l;
	return 0;
}

void event_forget(struct event *e)
{
	struct event_loop *l = e->loop;

	if (!l)
		return;
	/* Closing it does not: a process that is being started may hold it open a little longer. */
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, e->fd, NULL);
	for (int i = 0; i < l->count; i++)
		if (l->batch[i].data.ptr == e)
			l->batch[i].data.ptr = NULL;
	e->loop = NULL;
}

void event_close(struct event *e)
{
	event_forget(e);
	closep(&e->fd);
	e->fd = -1;
}

static void timer_ready(void *arg, uint32_t events)
{
	struct event_timer *t = arg;
	uint64_t ticks;

	(void)events;
	if (read(t->event.fd, &ticks, sizeof(ticks)) != sizeof(ticks)) /* It was set anew. */
		return;
	t->due_ms = 0;
	t->fired(t->arg);
}

int event_timer_open(struct event_loop *l, struct event_timer *t, void (*fired)(void *arg),
		     void *arg)
{
	_cleanup_close_ int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	*t = (struct event_timer){ .event = { .fd = fd, .ready = timer_ready, .arg = t },
				   .fired = fired,
				   .arg = arg };
	r = event_watch(l, &t->event, EPOLLIN);
	if (!r)
		TAKE_FD(fd);
	return r;
}

void event_timer_set(struct event_timer *t, unsigned ms)
{
	const struct itimerspec at = { .it_value = { ms / 1000, ms ? ms % 1000 * 1000000L : 1 } };

	timerfd_settime(t->event.fd, 0, &at, NULL); /* which can't fail for a time that is one */
	t->due_ms = clock_ms() + ms;
}

void event_timer_set_sooner(struct event_timer *t, unsigned ms)
{
	if (!t->due_ms || clock_ms() + ms < t->due_ms)
		event_timer_set(t, ms);
}

void event_timer_stop(struct event_timer *t)
{
	const struct itimerspec never = { 0 };

	if (t->due_ms)
		timerfd_settime(t->event.fd, 0, &never, NULL);
	t->due_ms = 0;
}

void event_timer_close(struct event_timer *t)
{
	if (t->event.loop)
		event_close(&t->event);
}
