// SPDX-License-Identifier: Apache-2.0
#include "daemon/start/metrics_start.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/loop/event.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"

enum { AGAIN_S = 10 };

struct metrics_start {
	const struct options *options;
	struct event_loop *loop;
	struct weftd *weftd;
	struct event_timer timer; /* with --source kubernetes */
	int fd;			  /* listens, until metrics_open() has it; or -errno */
	struct metrics *metrics;  /* NULL: it is not answered */
};

DEFINE_CLEANUP(struct metrics_start *, metrics_start_close);

/* A wrong option is to be seen; an agent is not to be missing for want of a port. */
static int listen_first(struct metrics_start *m)
{
	const struct options *o = m->options;

	m->fd = metrics_listen(o->metrics);
	if (m->fd >= 0)
		return 0;
	if (!o->kubernetes)
		return log_err(m->fd, "--metrics: listen at %s", o->metrics);
	log_err(m->fd, "--metrics: listen at %s, which is tried every %d s", o->metrics, AGAIN_S);
	return 0;
}

static int answer(struct metrics_start *m)
{
	const struct metrics_options options = { .loop = m->loop,
						 .weftd = m->weftd,
						 .fd = TAKE_FD(m->fd),
						 .series_max = m->options->metrics_series_max };
	int r = metrics_open(&options, &m->metrics);

	return r ? log_err(r, "--metrics: answer at %s", m->options->metrics) : 0;
}

static void try_again(void *arg)
{
	struct metrics_start *m = arg;

	m->fd = metrics_listen(m->options->metrics);
	if (m->fd < 0 || answer(m))
		event_timer_set(&m->timer, AGAIN_S * 1000);
	else
		log_info("/metrics is answered at %s", m->options->metrics);
}

int metrics_start_open(const struct options *o, struct event_loop *loop, struct metrics_start **out)
{
	_cleanup_(metrics_start_closep) struct metrics_start *m = NULL;
	int r;

	if (strcmp(o->metrics, "off") == 0)
		return 0;
	m = calloc(1, sizeof(*m));
	if (!m)
		return log_err(-ENOMEM, "--metrics");
	m->options = o;
	m->loop = loop;
	r = listen_first(m);
	if (r)
		return r;
	r = o->kubernetes ? event_timer_open(loop, &m->timer, try_again, m) : 0;
	if (r)
		return log_err(r, "--metrics: make a timer");
	*out = TAKE_PTR(m);
	return 0;
}

int metrics_start_serve(struct metrics_start *m, struct weftd *d)
{
	int r;

	if (!m)
		return 0;
	m->weftd = d;
	r = m->fd < 0 ? m->fd : answer(m);
	if (!r || !m->options->kubernetes)
		return r;
	event_timer_set(&m->timer, AGAIN_S * 1000);
	return 0;
}

void metrics_start_close(struct metrics_start *m)
{
	if (!m)
		return;
	event_timer_close(&m->timer);
	metrics_close(m->metrics);
	closep(&m->fd);
	free(m);
}
