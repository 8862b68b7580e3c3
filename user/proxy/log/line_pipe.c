// SPDX-License-Identifier: Apache-2.0
#include "proxy/log/line_pipe.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A pipe takes that much at once or not at all. */
_Static_assert(LINE_MAX_SIZE <= PIPE_BUF, "a line may be cut in two");

enum { LOST_LINE_MAX = 40 };

static void drop(struct line_pipe *p, size_t n)
{
	p->len -= n;
	memmove(p->bytes, p->bytes + n, p->len);
}

/* The oldest lines make room for later ones. */
static void drop_oldest(struct line_pipe *p)
{
	size_t least = LINE_PIPE_SIZE / 4;
	const char *end = memchr(p->bytes + least, '\n', p->len - least);

	drop(p, end ? (size_t)(end + 1 - p->bytes) : p->len);
}

/* As many whole lines as the pipe takes in one piece. */
static size_t portion(const struct line_pipe *p, size_t from)
{
	const char *end;

	if (p->len - from <= PIPE_BUF)
		return p->len - from;
	end = memrchr(p->bytes + from, '\n', PIPE_BUF);
	return (size_t)(end + 1 - (p->bytes + from));
}

bool line_pipe_flush(struct line_pipe *p)
{
	size_t done = 0;

	while (p->fd >= 0 && done < p->len) {
		ssize_t n = write(p->fd, p->bytes + done, portion(p, done));

		if (n < 0 && errno != EAGAIN) /* weftd has gone: the next one says where to */
			p->fd = -1;
		if (n < 0)
			break;
		done += (size_t)n;
	}
	drop(p, done);
	return p->fd < 0 || !p->len;
}

static void tell_loss(struct line_pipe *p)
{
	p->len += (size_t)snprintf(p->bytes + p->len, LOST_LINE_MAX, "{\"lost\":%llu}\n",
				   (unsigned long long)p->lost);
	p->lost = 0;
}

static bool has_room(const struct line_pipe *p)
{
	return LINE_PIPE_SIZE - p->len >= LINE_MAX_SIZE + LOST_LINE_MAX;
}

char *line_pipe_room(struct line_pipe *p)
{
	if (!has_room(p))
		(void)line_pipe_flush(p);
	if (!has_room(p) && p->fd >= 0) {
		p->lost++;
		return NULL;
	}
	if (!has_room(p))
		drop_oldest(p);
	if (p->lost)
		tell_loss(p);
	return p->bytes + p->len;
}

void line_pipe_add(struct line_pipe *p, size_t n)
{
	p->len += n;
}
