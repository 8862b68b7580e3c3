// SPDX-License-Identifier: Apache-2.0
#include "proxy/process/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "lib/base/cleanup.h"
#include "proxy/request/drain.h"

enum { SOON_MS = 1000 };

struct task {
	struct worker_call call; /* first */
	int fd;			 /* the worker's, or -1 */
	int tell, file;		 /* that all have in common */
	bool json, listens;
	struct access_logs *logs;
	int r;
};

/* Each with a descriptor of its own of the file, unless that is -1. */
static struct task *tasks_new(size_t count, int fd,
			      void (*run)(struct worker *w, struct worker_call *call))
{
	struct task *tasks = calloc(count, sizeof(*tasks));

	for (size_t i = 0; tasks && i < count; i++) {
		tasks[i].call.run = run;
		tasks[i].fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (fd >= 0 && tasks[i].fd < 0)
			tasks[i].r = -errno;
	}
	return tasks;
}

/* Descriptors of those that are not done are closed. */
static int carry_out(struct task *tasks, struct http_worker *const *workers, size_t count)
{
	int r = 0;

	for (size_t i = 0; i < count; i++)
		if (!tasks[i].r)
			worker_call(&workers[i]->io, &tasks[i].call);
	for (size_t i = 0; i < count; i++) {
		if (!tasks[i].r && !worker_called(&workers[i]->io, &tasks[i].call, SOON_MS)) {
			closep(&tasks[i].fd);
			tasks[i].r = -ETIMEDOUT;
		}
		r = r ? r : tasks[i].r;
	}
	free(tasks);
	return r;
}

static void change_log(struct worker *io, struct worker_call *call)
{
	const struct task *t = (struct task *)call;

	(void)io;
	if (t->logs->to_file)
		(void)access_log_flush(t->logs->log);
	t->logs->to_file = t->file >= 0;
	if (t->logs->to_file)
		access_log_switch(t->logs->log, t->file, t->json);
}

static void follow(struct worker *io, struct worker_call *call)
{
	const struct task *t = (struct task *)call;

	access_tail_switch(t->logs->tail, t->file);
	((struct http_worker *)io)->unflushed = true; /* what was kept */
}

static void trace(struct worker *io, struct worker_call *call)
{
	const struct task *t = (struct task *)call;

	(void)io;
	if (t->logs->to_spans)
		(void)line_pipe_flush(t->logs->spans);
	t->logs->to_spans = t->file >= 0;
	if (t->logs->to_spans)
		t->logs->spans->fd = t->file;
}

static int change(void (*run)(struct worker *w, struct worker_call *call),
		  struct http_worker *const *workers, struct access_logs *logs, size_t count,
		  int fd, bool json)
{
	struct task *tasks = tasks_new(count, -1, run);

	if (!tasks)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		tasks[i].logs = &logs[i];
		tasks[i].file = fd;
		tasks[i].json = json;
	}
	return carry_out(tasks, workers, count);
}

int workers_log(struct http_worker *const *workers, struct access_logs *logs, size_t count, int fd,
		bool json)
{
	return change(change_log, workers, logs, count, fd, json);
}

int workers_follow(struct http_worker *const *workers, struct access_logs *logs, size_t count,
		   int fd)
{
	return change(follow, workers, logs, count, fd, true);
}

int workers_trace(struct http_worker *const *workers, struct access_logs *logs, size_t count,
		  int fd)
{
	return change(trace, workers, logs, count, fd, true);
}

static void succeed(struct worker *io, struct worker_call *call)
{
	struct task *t = (struct task *)call;

	t->r = drain_take_from((struct http_worker *)io, t->fd);
}

int workers_succeed(struct http_worker *const *workers, size_t count, int fd)
{
	struct task *tasks = tasks_new(count, fd, succeed);

	return tasks ? carry_out(tasks, workers, count) : -ENOMEM;
}

static void drain(struct worker *io, struct worker_call *call)
{
	const struct task *t = (struct task *)call;

	drain_begin((struct http_worker *)io, t->fd, t->listens, t->tell);
}

int workers_drain(struct http_worker *const *workers, size_t count, int fd, uint32_t shared,
		  int tell)
{
	struct task *tasks = tasks_new(count, fd, drain);

	if (!tasks)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		tasks[i].listens = i >= shared;
		tasks[i].tell = tell;
	}
	return carry_out(tasks, workers, count);
}

bool workers_drained(struct http_worker *const *workers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!__atomic_load_n(&workers[i]->drained, __ATOMIC_ACQUIRE))
			return false;
	return true;
}
