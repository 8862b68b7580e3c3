/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_LOOP_EVENT_H
#define WEFT_DAEMON_LOOP_EVENT_H
/*
 * weftd's one event loop: descriptors, and what is called when they are ready. Single-threaded. A
 * callback must not wait for anything: the end of a wait is another callback.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct event_loop;

/* Part of what it belongs to, which keeps it in place while it is watched. Zero-initialise. */
struct event {
	int fd; /* borrowed */
	void (*ready)(void *arg, uint32_t events);
	void *arg;
	struct event_loop *loop; /* while it is watched */
};

/* A one-shot timer. Zero-initialise. */
struct event_timer {
	struct event event;
	uint64_t due_ms; /* clock_ms(); 0: it is not set */
	void (*fired)(void *arg);
	void *arg;
};

/* 0 or -errno. */
int event_loop_open(struct event_loop **out);
/* All events must have been forgotten. Accepts NULL. */
void event_loop_close(struct event_loop *l);
/* Waits for events, at most so many milliseconds (-1: for as long as it takes). 0 or -errno. */
int event_loop_wait(struct event_loop *l, int timeout_ms);
/* Calls what there is to be called for the events that were waited for. */
void event_loop_dispatch(struct event_loop *l);
/* Both. */
int event_loop_turn(struct event_loop *l, int timeout_ms);

/* Calls `ready` whenever `fd` has one of `events` (EPOLLIN, EPOLLOUT). Also changes the events of
 * one that is watched. 0 or -errno. */
int event_watch(struct event_loop *l, struct event *e, uint32_t events);
/* It is not called any more, not even for what has happened already. To be called before its
 * descriptor is closed; harmless for one that is not watched. */
void event_forget(struct event *e);

/* Forgets it and closes its descriptor, which becomes -1, or is -1 already. */
void event_close(struct event *e);

/* 0 or -errno. */
int event_timer_open(struct event_loop *l, struct event_timer *t, void (*fired)(void *arg),
		     void *arg);
/* In so many milliseconds, in place of what was set before. */
void event_timer_set(struct event_timer *t, unsigned ms);
/* The same, unless it is set for a sooner time already: calls that are frequent do not put it off
 * without end. */
void event_timer_set_sooner(struct event_timer *t, unsigned ms);
void event_timer_stop(struct event_timer *t);
/* Harmless for one that was not opened. */
void event_timer_close(struct event_timer *t);

#endif
