// SPDX-License-Identifier: Apache-2.0
#include "proxy/io/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "proxy/io/loop_timers.h"

enum { BATCH = 128 };

struct loop {
	struct loop_io alarm; /* first; a timerfd */
	uint64_t rings;	      /* ms: when it does; LOOP_NEVER: it is not set */
	int epoll;
	struct loop_io wake;
	struct loop_timers timers;
	uint64_t now, now_us;
	int next, count; /* of the events being handled */
	struct epoll_event events[BATCH];
};

DEFINE_CLEANUP(struct loop *, loop_free);

/* Milliseconds are rounded up: a timer set by them is not too early. */
static void take_time(struct loop *l)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	l->now = (uint64_t)t.tv_sec * 1000 + ((uint64_t)t.tv_nsec + 999999) / 1000000;
	l->now_us = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void woken(struct loop_io *io, unsigned events)
{
	uint64_t n;

	(void)events;
	while (read(io->fd, &n, sizeof(n)) > 0)
		;
}

static void alarmed(struct loop_io *io, unsigned events)
{
	struct loop *l = (struct loop *)io;

	(void)events;
	l->rings = LOOP_NEVER;
}

/*
 * To wait with a timeout costs two trips to the kernel's clock each time. The alarm stays as it is
 * when timers are put off or taken out: it rings for nothing then, once.
 */
static int set_alarm(struct loop *l)
{
	uint64_t first = loop_timers_first(&l->timers);
	struct itimerspec t = { .it_value = { .tv_sec = (time_t)(first / 1000),
					      .tv_nsec = (long)(first % 1000) * 1000000 } };

	if (first >= l->rings)
		return 0;
	if (timerfd_settime(l->alarm.fd, TFD_TIMER_ABSTIME, &t, NULL))
		return -errno;
	l->rings = first;
	return 0;
}

struct loop *loop_new(void)
{
	_cleanup_(loop_freep) struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->rings = LOOP_NEVER;
	l->wake = (struct loop_io){ .fd = -1, .ready = woken };
	l->alarm = (struct loop_io){ .fd = -1, .ready = alarmed };
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0)
		return NULL;
	l->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake.fd < 0 || loop_watch(l, &l->wake, false))
		return NULL;
	l->alarm.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->alarm.fd < 0 || loop_watch(l, &l->alarm, false))
		return NULL;
	take_time(l);
	return TAKE_PTR(l);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	closep(&l->epoll);
	closep(&l->wake.fd);
	closep(&l->alarm.fd);
	free(l->timers.heap);
	free(l);
}

int loop_watch(struct loop *l, struct loop_io *io, bool both)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = io };

	if (both)
		e.events |= EPOLLOUT;
	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, io->fd, &e) ? -errno : 0;
}

/* Its owner may go away, with events for it still in the batch. */
void loop_unwatch(struct loop *l, struct loop_io *io)
{
	if (io->fd < 0)
		return;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, io->fd, NULL);
	for (int i = l->next; i < l->count; i++)
		if (l->events[i].data.ptr == io)
			l->events[i].data.ptr = NULL;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t ms)
{
	t->due = l->now + ms;
	/* Without memory for it there is no timeout; everything else goes on. */
	(void)loop_timers_add(&l->timers, t);
}

void loop_timer_clear(struct loop *l, struct loop_timer *t)
{
	loop_timers_remove(&l->timers, t);
}

bool loop_timer_is_due(const struct loop *l, const struct loop_timer *t)
{
	return t->slot && t->due <= l->now;
}

uint64_t loop_now_us(const struct loop *l)
{
	return l->now_us;
}

uint64_t loop_now(const struct loop *l)
{
	return l->now;
}

bool loop_idle(const struct loop *l)
{
	return !l->count;
}

bool loop_has_more(const struct loop *l)
{
	return l->next < l->count;
}

static unsigned translate(uint32_t e)
{
	unsigned events = 0;

	if (e & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		events |= LOOP_READ;
	if (e & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		events |= LOOP_WRITE;
	if (e & (EPOLLRDHUP | EPOLLHUP))
		events |= LOOP_HUP;
	if (e & EPOLLERR)
		events |= LOOP_ERROR;
	return events;
}

static void handle_events(struct loop *l)
{
	while (l->next < l->count) {
		const struct epoll_event *e = &l->events[l->next++];
		struct loop_io *io = e->data.ptr;

		if (io)
			io->ready(io, translate(e->events));
	}
}

static void handle_timers(struct loop *l)
{
	struct loop_timer *t;

	while ((t = loop_timers_due(&l->timers, l->now)))
		t->fire(t);
}

int loop_once(struct loop *l, int ms)
{
	int n = set_alarm(l);

	if (n)
		return n;
	n = epoll_wait(l->epoll, l->events, BATCH, ms);
	if (n < 0 && errno != EINTR)
		return -errno;
	take_time(l);
	l->next = 0;
	l->count = n < 0 ? 0 : n;
	handle_events(l);
	handle_timers(l);
	return 0;
}

void loop_wake(struct loop *l)
{
	uint64_t one = 1;

	/* Full means that a wake-up is on its way already. */
	if (write(l->wake.fd, &one, sizeof(one)) < 0)
		return;
}
