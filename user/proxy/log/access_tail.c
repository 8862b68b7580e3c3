// SPDX-License-Identifier: Apache-2.0
#include "proxy/log/access_tail.h"

#include <stdlib.h>

_Static_assert((int)ACCESS_LINE_MAX <= (int)LINE_MAX_SIZE, "there is room for a line");

struct access_tail *access_tail_new(void)
{
	struct access_tail *t = calloc(1, sizeof(*t));

	if (t)
		t->pipe.fd = -1;
	return t;
}

void access_tail_switch(struct access_tail *t, int fd)
{
	t->pipe.fd = fd;
	t->pipe.lost = 0;
}

bool access_tail_wants(struct access_tail *t, uint64_t now)
{
	if (now - t->second >= 1000) {
		t->second = now;
		t->kept = 0;
	}
	t->taken = t->pipe.fd >= 0 || t->kept < ACCESS_TAIL_PER_S;
	t->kept += t->taken && t->pipe.fd < 0;
	return t->taken;
}

bool access_tail_flush(struct access_tail *t)
{
	return line_pipe_flush(&t->pipe);
}

void access_tail_write(struct access_tail *t, const struct access_entry *e)
{
	char *line = t->taken ? line_pipe_room(&t->pipe) : NULL;

	if (line)
		line_pipe_add(&t->pipe, access_line(line, true, e));
}
