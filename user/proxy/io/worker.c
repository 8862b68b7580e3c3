// SPDX-License-Identifier: Apache-2.0
#include "proxy/io/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "proxy/io/sock.h"

enum { ACCEPT_PAUSE_MS = 100, ACCEPT_NEXT_MS = 1, ACCEPTS = 64 };

int worker_adopt(struct worker *w, int fd, const struct addr *client, uint16_t client_port,
		 const struct addr *called, uint16_t called_port)
{
	return w->service->on_accept(w, fd, client, client_port, called, called_port);
}

static bool gone_before_accepted(int r)
{
	return r == -ECONNABORTED || r == -EINTR || r == -EPROTO || r == -ENETDOWN ||
	       r == -EHOSTUNREACH || r == -ENETUNREACH;
}

static void accept_some(struct worker *w)
{
	struct addr client, called;
	uint16_t client_port, called_port;
	int fd = 0;

	for (int i = 0; i < ACCEPTS; i++) {
		fd = sock_accept(w->listener.fd, &client, &client_port, &called, &called_port);
		if (fd >= 0)
			(void)worker_adopt(w, fd, &client, client_port, &called, called_port);
		else if (!gone_before_accepted(fd))
			break;
	}
	if (fd == -EAGAIN)
		return;
	/* More are waiting, or there are no descriptors left: no event will come for these. */
	if (fd < 0)
		log_err(fd, "accept");
	loop_timer_set(w->loop, &w->accept_again, fd < 0 ? ACCEPT_PAUSE_MS : ACCEPT_NEXT_MS);
}

static void accept_ready(struct loop_io *io, unsigned events)
{
	(void)events;
	accept_some((struct worker *)((char *)io - offsetof(struct worker, listener)));
}

static void accept_later(struct loop_timer *t)
{
	accept_some((struct worker *)((char *)t - offsetof(struct worker, accept_again)));
}

int worker_listen(struct worker *w, int listener)
{
	int flags = fcntl(listener, F_GETFL);

	w->listener.fd = listener;
	if (flags < 0 || fcntl(listener, F_SETFL, flags | O_NONBLOCK))
		return -errno;
	sock_keep_alive(listener, NULL);
	return loop_watch(w->loop, &w->listener, false);
}

void worker_unlisten(struct worker *w)
{
	loop_unwatch(w->loop, &w->listener);
	loop_timer_clear(w->loop, &w->accept_again);
}

int worker_open(struct worker *w, int listener, const struct worker_service *service)
{
	*w = (struct worker){ .listener = { -1, accept_ready },
			      .accept_again = { .fire = accept_later },
			      .service = service };
	random_begin(&w->random);
	w->loop = loop_new();
	if (!w->loop) {
		int r = -errno;

		closep(&listener);
		return r;
	}
	return listener >= 0 ? worker_listen(w, listener) : 0;
}

void worker_later(struct worker *w, struct worker_task *t)
{
	if (t->queued)
		return;
	t->queued = true;
	t->next = w->tasks;
	w->tasks = t;
}

static bool take_out(struct worker_task **list, struct worker_task *t)
{
	while (*list && *list != t)
		list = &(*list)->next;
	if (!*list)
		return false;
	*list = t->next;
	return true;
}

void worker_not_later(struct worker *w, struct worker_task *t)
{
	if (t->queued && !take_out(&w->tasks, t))
		take_out(&w->due, t);
	t->queued = false;
}

static struct worker_task *turn_round(struct worker_task *list)
{
	struct worker_task *first = NULL, *next;

	for (; list; list = next) {
		next = list->next;
		list->next = first;
		first = list;
	}
	return first;
}

/* The one that was queued first comes first. A task that queues itself again has to wait for its
 * next turn. */
static void run_tasks(struct worker *w)
{
	w->due = turn_round(w->tasks);
	w->tasks = NULL;
	while (w->due) {
		struct worker_task *t = w->due;

		w->due = t->next;
		t->queued = false;
		t->run(t);
	}
}

static void run_call(struct worker *w)
{
	struct worker_call *call;

	if (!__atomic_load_n(&w->call, __ATOMIC_RELAXED))
		return;
	call = __atomic_exchange_n(&w->call, NULL, __ATOMIC_ACQ_REL);
	if (!call)
		return;
	call->run(w, call);
	__atomic_store_n(&call->done, true, __ATOMIC_RELEASE);
}

void worker_call(struct worker *w, struct worker_call *call)
{
	call->done = false;
	__atomic_store_n(&w->call, call, __ATOMIC_RELEASE);
	loop_wake(w->loop);
}

bool worker_called(struct worker *w, struct worker_call *call, unsigned ms)
{
	static const struct timespec pause = { 0, 1000000 };

	for (unsigned i = 0; i < ms && !__atomic_load_n(&call->done, __ATOMIC_ACQUIRE); i++)
		nanosleep(&pause, NULL);
	/* What has begun comes to an end. */
	if (__atomic_exchange_n(&w->call, NULL, __ATOMIC_ACQ_REL) == call)
		return false;
	while (!__atomic_load_n(&call->done, __ATOMIC_ACQUIRE))
		nanosleep(&pause, NULL);
	return true;
}

int worker_once(struct worker *w, int ms)
{
	int r = loop_once(w->loop, w->tasks || w->busy ? 0 : ms);

	run_tasks(w);
	run_call(w);
	w->busy = w->service->between_events(w);
	return r;
}

int worker_run(struct worker *w)
{
	int r = 0;

	while (!r && !__atomic_load_n(&w->stopping, __ATOMIC_RELAXED))
		r = worker_once(w, -1);
	return r;
}

void worker_stop(struct worker *w)
{
	__atomic_store_n(&w->stopping, true, __ATOMIC_RELAXED);
	loop_wake(w->loop);
}

bool worker_stopping(const struct worker *w)
{
	return __atomic_load_n(&w->stopping, __ATOMIC_RELAXED);
}

void worker_close(struct worker *w)
{
	w->service->on_close(w);
	closep(&w->listener.fd);
	w->listener.fd = -1;
	loop_free(w->loop);
	w->loop = NULL;
	buffer_pool_free(&w->buffers);
}
