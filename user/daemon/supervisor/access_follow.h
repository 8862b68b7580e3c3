/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SUPERVISOR_ACCESS_FOLLOW_H
#define WEFT_DAEMON_SUPERVISOR_ACCESS_FOLLOW_H
/*
 * The proxies' access log for those that look at it. While any does, proxies write lines of JSON
 * (proxy/log/access_line.h) to a pipe, of which the latest ACCESS_FOLLOW_LINES are kept here, each
 * with a number. Some seconds after the last one has looked, proxies are told to stop. No more is
 * read at a time than leaves the loop free for other work: what does not fit into the pipe
 * meanwhile proxies count as lost.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/loop/event.h"

enum { ACCESS_FOLLOW_LINES = 2048 };

struct access_follow;
struct supervisor;

/* Waits for a line. Part of its owner's structure, which keeps it in place until done() is called,
 * once. */
struct access_wait {
	void (*done)(void *arg, int r); /* 0: there is one, or the time is up; -ECANCELED */
	void *arg;
	/* Private. */
	struct access_wait *next;
	uint64_t after, due_ms;
};

/* What has more to tell than proxies. turn() is called again and again while something follows, the
 * first time as that begins, and may call access_follow_add(). */
struct access_follow_more {
	void (*turn)(void *arg, bool first);
	void *arg;
};

/* Borrows the first two. 0 or -errno. */
int access_follow_open(struct event_loop *loop, struct supervisor *s,
		       const struct access_follow_more *more, struct access_follow **out);
/* One more line, without its end. */
void access_follow_add(struct access_follow *f, const char *line);
/* Nothing waits any more. Accepts NULL. */
void access_follow_close(struct access_follow *f);

/* Calls done(), perhaps before it returns, when there is a line with a number of `after` or more,
 * or after so many milliseconds. Begins to follow, if nothing did: then not before proxies have
 * handed over what they had kept. */
void access_follow_wait(struct access_follow *f, uint64_t after, unsigned ms,
			struct access_wait *wait);
/* Calls done() of all that wait, with -ECANCELED. */
void access_follow_cancel(struct access_follow *f);

/* The numbers of the first line that is still there, and of the next one to come. */
uint64_t access_follow_first(const struct access_follow *f);
uint64_t access_follow_next(const struct access_follow *f);
/* A line between them, without its end, for the time until the loop turns. What is in it is as
 * weft-proxy has written it, and weft-proxy is not trusted. */
const char *access_follow_line(const struct access_follow *f, uint64_t number);

#endif
