// SPDX-License-Identifier: Apache-2.0
#include "proxy/log/access_tail.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A pipe takes that much at once or not at all. */
_Static_assert(ACCESS_LINE_MAX <= PIPE_BUF, "a line may be cut in two");

enum { LOST_LINE_MAX = 40 };

struct access_tail *access_tail_new(void)
{
	struct access_tail *t = calloc(1, sizeof(*t));

	if (t)
		t->fd = -1;
	return t;
}

void access_tail_switch(struct access_tail *t, int fd)
{
	t->fd = fd;
	t->lost = 0;
}

bool access_tail_wants(struct access_tail *t, uint64_t now)
{
	if (now - t->second >= 1000) {
		t->second = now;
		t->kept = 0;
	}
	t->taken = t->fd >= 0 || t->kept < ACCESS_TAIL_PER_S;
	t->kept += t->taken && t->fd < 0;
	return t->taken;
}

static void drop(struct access_tail *t, size_t n)
{
	t->len -= n;
	memmove(t->bytes, t->bytes + n, t->len);
}

/* The oldest lines make room for later ones. */
static void drop_oldest(struct access_tail *t)
{
	size_t least = ACCESS_TAIL_SIZE / 4;
	const char *end = memchr(t->bytes + least, '\n', t->len - least);

	drop(t, end ? (size_t)(end + 1 - t->bytes) : t->len);
}

/* As many whole lines as the pipe takes in one piece. */
static size_t portion(const struct access_tail *t, size_t from)
{
	const char *end;

	if (t->len - from <= PIPE_BUF)
		return t->len - from;
	end = memrchr(t->bytes + from, '\n', PIPE_BUF);
	return (size_t)(end + 1 - (t->bytes + from));
}

bool access_tail_flush(struct access_tail *t)
{
	size_t done = 0;

	while (t->fd >= 0 && done < t->len) {
		ssize_t n = write(t->fd, t->bytes + done, portion(t, done));

		if (n < 0 && errno != EAGAIN) /* weftd has gone: the next one follows anew */
			t->fd = -1;
		if (n < 0)
			break;
		done += (size_t)n;
	}
	drop(t, done);
	return t->fd < 0 || !t->len;
}

/* {"lost":12}: where they would have been. */
static void tell_loss(struct access_tail *t)
{
	t->len += (size_t)snprintf(t->bytes + t->len, LOST_LINE_MAX, "{\"lost\":%llu}\n",
				   (unsigned long long)t->lost);
	t->lost = 0;
}

static bool has_room(const struct access_tail *t)
{
	return ACCESS_TAIL_SIZE - t->len >= ACCESS_LINE_MAX + LOST_LINE_MAX;
}

void access_tail_write(struct access_tail *t, const struct access_entry *e)
{
	if (!t->taken)
		return;
	if (!has_room(t))
		(void)access_tail_flush(t);
	if (!has_room(t) && t->fd >= 0) {
		t->lost++;
		return;
	}
	if (!has_room(t))
		drop_oldest(t);
	if (t->lost)
		tell_loss(t);
	t->len += access_line(t->bytes + t->len, true, e);
}
