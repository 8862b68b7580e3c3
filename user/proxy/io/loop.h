/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_IO_LOOP_H
#define WEFT_PROXY_IO_LOOP_H
/*
 * A thread's events: descriptors, timers, and a way for other threads to wake it. Only this file's
 * implementation knows epoll.
 *
 * Descriptors are watched edge-triggered: ready() is called once when something has become
 * possible, and its watcher goes on until the kernel returns EAGAIN. Watchers and timers are part
 * of their owner's structures and may be taken out at any time, also from within a callback.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

enum loop_events {
	LOOP_READ = 1,	/* there may be something to read, the end included */
	LOOP_WRITE = 2, /* there may be room to write */
	LOOP_HUP = 4,	/* the peer will send no more */
	LOOP_ERROR = 8, /* the connection is broken in both directions */
};

struct loop_io {
	int fd; /* the owner's: the loop never closes it; -1: not watched */
	void (*ready)(struct loop_io *io, unsigned events);
};

struct loop_timer {
	void (*fire)(struct loop_timer *timer);
	uint64_t due;	 /* ms, as loop_now() */
	uint64_t queued; /* private: when the loop looks at it next */
	size_t slot;	 /* private: place in the heap + 1; 0: not set */
};

struct loop *loop_new(void);	/* NULL: errno */
void loop_free(struct loop *l); /* accepts NULL; watchers and timers are forgotten */

/* 0 or -errno. io->fd and io->ready are set; `both`: also wait for room to write. */
int loop_watch(struct loop *l, struct loop_io *io, bool both);
void loop_unwatch(struct loop *l, struct loop_io *io);

/* Fires once, in `ms` milliseconds; what it was set to before doesn't count any more. */
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t ms);
void loop_timer_clear(struct loop *l, struct loop_timer *t);
/* Monotonic milliseconds, as of when the events being handled were fetched. */
uint64_t loop_now(const struct loop *l);
/* The same in microseconds. */
uint64_t loop_now_us(const struct loop *l);
/* Whether it fires once the events being handled have been. */
bool loop_timer_is_due(const struct loop *l, const struct loop_timer *t);

/* Nothing had happened when events were fetched the last time. */
bool loop_idle(const struct loop *l);
/* Of those that were fetched, others are still to be handled. */
bool loop_has_more(const struct loop *l);

/* Waits at most `ms` (-1: as long as it takes) and handles what there is. 0 or -errno. */
int loop_once(struct loop *l, int ms);
/* From any thread: loop_once() returns soon. */
void loop_wake(struct loop *l);

#endif
