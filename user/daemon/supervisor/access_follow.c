// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervisor/access_follow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/supervisor/supervisor.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
	ROOM = 1 << 20,	      /* bytes of the pipe */
	AT_ONCE = 128 * 1024, /* bytes that are read each TURN_MS */
	TURN_MS = 50,
	STOP_AFTER_MS = 5000, /* since the last one has looked */
	LINE_MAX_BYTES = 4096,
};

struct access_follow {
	struct event_loop *loop;
	struct supervisor *supervisor;
	struct access_follow_more more;
	struct event_timer turn; /* reads, and wakes those that wait */
	int pipe[2];
	bool follows, begun; /* proxies have been told; have all begun */
	bool turns;	     /* the timer is set */
	uint64_t looked_ms;  /* when it was last looked at */
	struct access_wait *waits;
	uint64_t next;
	char *lines[ACCESS_FOLLOW_LINES];
	size_t len; /* of a line that is not whole yet */
	bool skips; /* a line that is too long */
	char part[LINE_MAX_BYTES + 1];
};

void access_follow_add(struct access_follow *f, const char *line)
{
	char **at = &f->lines[f->next % ACCESS_FOLLOW_LINES];

	free(*at);
	*at = line ? strdup(line) : NULL;
	f->next++;
}

static void add_line(struct access_follow *f)
{
	f->part[f->len] = '\0';
	access_follow_add(f, f->skips ? NULL : f->part);
	f->len = 0;
	f->skips = false;
}

static void take(struct access_follow *f, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] == '\n')
			add_line(f);
		else if (f->len < LINE_MAX_BYTES)
			f->part[f->len++] = bytes[i];
		else
			f->skips = true;
}

static void read_some(struct access_follow *f)
{
	char bytes[16 * 1024];
	ssize_t n = 1;

	for (size_t done = 0; n > 0 && done < AT_ONCE; done += (size_t)n) {
		n = read(f->pipe[0], bytes, sizeof(bytes));
		if (n > 0)
			take(f, bytes, (size_t)n);
	}
}

/* Those that have what they wait for. */
static void wake(struct access_follow *f)
{
	struct access_wait **at = &f->waits, *ready = NULL, **last = &ready, *w;
	uint64_t now = clock_ms();

	while ((w = *at))
		if (now >= w->due_ms || (f->begun && w->after < f->next)) {
			*at = w->next;
			w->next = NULL;
			*last = w;
			last = &w->next;
		} else {
			at = &w->next;
		}
	while ((w = ready)) {
		ready = w->next;
		w->done(w->arg, 0);
	}
}

static void stop(struct access_follow *f)
{
	supervisor_follow(f->supervisor, -1, NULL, NULL);
	read_some(f);
	closep(&f->pipe[0]);
	closep(&f->pipe[1]);
	f->pipe[0] = f->pipe[1] = -1;
	f->follows = f->begun = false;
	f->len = 0;
	f->skips = false;
}

static void turn_soon(struct access_follow *f)
{
	if (!f->turns)
		event_timer_set(&f->turn, TURN_MS);
	f->turns = true;
}

static void on_turn(void *arg)
{
	struct access_follow *f = arg;

	f->turns = false;
	if (f->follows) {
		read_some(f);
		f->more.turn(f->more.arg, false);
	}
	wake(f);
	if (f->waits)
		f->looked_ms = clock_ms();
	else if (f->follows && clock_ms() - f->looked_ms > STOP_AFTER_MS)
		stop(f);
	if (f->follows || f->waits)
		turn_soon(f);
}

/* What they had kept is in the pipe soon. */
static void on_begun(void *arg)
{
	struct access_follow *f = arg;

	f->begun = true;
	turn_soon(f);
}

static int start(struct access_follow *f)
{
	if (pipe2(f->pipe, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	(void)fcntl(f->pipe[1], F_SETPIPE_SZ, ROOM); /* less will do */
	f->follows = true;
	f->more.turn(f->more.arg, true);
	supervisor_follow(f->supervisor, f->pipe[1], on_begun, f);
	return 0;
}

int access_follow_open(struct event_loop *loop, struct supervisor *s,
		       const struct access_follow_more *more, struct access_follow **out)
{
	struct access_follow *f = calloc(1, sizeof(*f));
	int r = f ? 0 : -ENOMEM;

	if (!r) {
		*f = (struct access_follow){
			.loop = loop, .supervisor = s, .more = *more, .pipe = { -1, -1 }
		};
		r = event_timer_open(loop, &f->turn, on_turn, f);
	}
	if (r)
		free(f);
	else
		*out = f;
	return r;
}

void access_follow_close(struct access_follow *f)
{
	if (!f)
		return;
	if (f->follows)
		stop(f);
	event_timer_close(&f->turn);
	for (size_t i = 0; i < ACCESS_FOLLOW_LINES; i++)
		free(f->lines[i]);
	free(f);
}

void access_follow_wait(struct access_follow *f, uint64_t after, unsigned ms,
			struct access_wait *wait)
{
	bool starts = !f->follows;
	int r = starts ? start(f) : 0;

	f->looked_ms = clock_ms();
	wait->after = starts && after < f->next ? f->next : after;
	wait->due_ms = f->looked_ms + ms;
	if (r) {
		log_err(r, "follow the access log");
		wait->done(wait->arg, r);
		return;
	}
	if (f->begun && wait->after < f->next) {
		wait->done(wait->arg, 0);
		return;
	}
	wait->next = f->waits;
	f->waits = wait;
	turn_soon(f);
}

void access_follow_cancel(struct access_follow *f)
{
	struct access_wait *w;

	while ((w = f->waits)) {
		f->waits = w->next;
		w->done(w->arg, -ECANCELED);
	}
}

uint64_t access_follow_first(const struct access_follow *f)
{
	return f->next > ACCESS_FOLLOW_LINES ? f->next - ACCESS_FOLLOW_LINES : 0;
}

uint64_t access_follow_next(const struct access_follow *f)
{
	return f->next;
}

const char *access_follow_line(const struct access_follow *f, uint64_t number)
{
	return f->lines[number % ACCESS_FOLLOW_LINES];
}
