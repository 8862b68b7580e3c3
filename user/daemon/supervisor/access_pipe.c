// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervisor/access_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/loop/event.h"
#include "daemon/supervisor/fifo.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"

#define FIFO "access-log"

enum {
	AT_ONCE = 64,  /* portions: the loop has other work */
	PAUSE_MS = 20, /* the output takes no more */
};

struct access_pipe {
	struct event_loop *loop;
	struct event readable;
	struct event_timer again;
	int to;
	size_t len, done; /* bytes that were read, of those that were written */
	char bytes[PIPE_BUF];
};

/* A pipe takes that much at once or not at all, where others write to it, too. */
static bool can_write(const struct access_pipe *p)
{
	struct pollfd polled = { p->to, POLLOUT, 0 };

	return poll(&polled, 1, 0) > 0;
}

/* weft-proxy is not trusted: the output may be a terminal. */
static void clean(char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((bytes[i] < ' ' && bytes[i] >= 0 && bytes[i] != '\n') || bytes[i] == 0x7f)
			bytes[i] = '?';
}

/* False: there is nothing to write. */
static bool fill(struct access_pipe *p)
{
	ssize_t n;

	if (p->done < p->len)
		return true;
	n = read(p->readable.fd, p->bytes, sizeof(p->bytes));
	if (n <= 0)
		return false;
	p->len = (size_t)n;
	p->done = 0;
	clean(p->bytes, p->len);
	return true;
}

/* An output that is gone for good takes everything. 0, or -EAGAIN. */
static int write_some(struct access_pipe *p)
{
	ssize_t n;

	if (!can_write(p))
		return -EAGAIN;
	n = write(p->to, p->bytes + p->done, p->len - p->done);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	p->done = n < 0 ? p->len : p->done + (size_t)n;
	return 0;
}

static void forward(struct access_pipe *p)
{
	for (int i = 0; i < AT_ONCE && fill(p); i++)
		if (write_some(p)) {
			event_forget(&p->readable);
			event_timer_set(&p->again, PAUSE_MS);
			return;
		}
}

static void on_readable(void *arg, uint32_t events)
{
	(void)events;
	forward(arg);
}

static void go_on(void *arg)
{
	struct access_pipe *p = arg;
	int r = event_watch(p->loop, &p->readable, EPOLLIN);

	if (r)
		log_err(r, "go on with the access log");
	forward(p);
}

DEFINE_CLEANUP(struct access_pipe *, access_pipe_close);

int access_pipe_open(const char *run_dir, struct event_loop *loop, int to, int *fd,
		     struct access_pipe **out)
{
	_cleanup_(access_pipe_closep) struct access_pipe *p = calloc(1, sizeof(*p));
	int fifo = fifo_open(run_dir, FIFO), r = fifo < 0 ? fifo : 0;
	_cleanup_close_ int proxys = -1;

	if (!p) {
		closep(&fifo);
		return log_err(-ENOMEM, "make a way for the access log");
	}
	*p = (struct access_pipe){ .loop = loop,
				   .to = to,
				   .readable = { .fd = fifo, .ready = on_readable, .arg = p } };
	if (!r)
		r = event_timer_open(loop, &p->again, go_on, p);
	if (!r)
		r = event_watch(loop, &p->readable, EPOLLIN);
	/* Not a dup, which shares O_NONBLOCK: weft-proxy could make weftd's reads block. */
	if (!r)
		proxys = fifo_open(run_dir, FIFO);
	if (!r && proxys < 0)
		r = proxys;
	if (r)
		return log_err(r, "make a way for the access log in %s", run_dir);
	*fd = TAKE_FD(proxys);
	*out = TAKE_PTR(p);
	return 0;
}

void access_pipe_close(struct access_pipe *p)
{
	int fifo = p ? p->readable.fd : -1;

	if (!p)
		return;
	forward(p);
	event_forget(&p->readable);
	event_timer_close(&p->again);
	closep(&fifo);
	free(p);
}
