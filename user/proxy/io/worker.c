// SPDX-License-Identifier: Apache-2.0
#include "proxy/io/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "proxy/request/conn.h"
#include "lib/base/log.h"
#include "proxy/request/mirror.h"
#include "proxy/io/sock.h"

enum { ACCEPT_PAUSE_MS = 100, ACCEPT_NEXT_MS = 1, FLUSH_PAUSE_MS = 20, ACCEPTS = 64 };

const struct worker_options worker_defaults = {
	.head_timeout_ms = 60 * 1000,
	.idle_timeout_ms = 3600 * 1000,
	.stream_timeout_ms = 3600 * 1000,
	.upstream = { .source = { .pod_addrs = -1, .nics = -1, .pods = -1 } },
};

int worker_adopt(struct worker *w, int fd, const struct addr *client, uint16_t client_port,
		 const struct addr *called, uint16_t called_port)
{
	struct conn *c;
	int r = conn_open(w, fd, &c);

	if (r)
		return r;
	c->client_addr = *client;
	c->client_port = client_port;
	c->called = *called;
	c->called_port = called_port;
	conn_run(c);
	return 0;
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
	/* More are waiting, or there are no descriptors left: nobody will tell us again. */
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

static void stir(struct worker *w)
{
	__atomic_store_n(&w->stirred, true, __ATOMIC_SEQ_CST);
}

void worker_stir(struct worker *w)
{
	stir(w);
	for (size_t i = 0; i < w->peer_count; i++)
		if (w->peers[i] != w) {
			stir(w->peers[i]);
			loop_wake(w->peers[i]->loop);
		}
}

struct conn *worker_first_waiting(const struct worker *w, const struct limit *l)
{
	struct conn *c = w->waiting;

	while (c && c->pending != l)
		c = c->next_waiting;
	return c;
}

static struct worker *of(struct upstreams *pool)
{
	return (struct worker *)((char *)pool - offsetof(struct worker, upstreams));
}

static void connection_freed(struct upstreams *pool)
{
	worker_stir(of(pool));
}

/* First for those who wait here: if nobody can use it, it will be closed and make way for others.
 */
static void connection_unused(struct upstreams *pool)
{
	stir(of(pool));
}

static bool endpoint_gone(struct upstreams *pool, const void *endpoint)
{
	struct router *r = of(pool)->router;

	return endpoint && r->gone && r->gone(r, endpoint);
}

static uint64_t waits_since(struct upstreams *pool, const struct limit *l)
{
	const struct conn *c = worker_first_waiting(of(pool), l);

	return c ? c->pending_since : UINT64_MAX;
}

/* Whoever does is no longer in the queue. */
static bool goes_on(struct conn *c)
{
	struct conn **link = c->link_waiting;

	conn_run(c);
	return *link != c;
}

/* In the order in which they came; where one gets nothing, those behind him won't either. */
static void run_in_order(struct worker *w)
{
	const struct limit *nothing_left = NULL;

	for (struct conn *c = w->waiting, *next; c; c = next) {
		const struct limit *l = c->pending;

		next = c->next_waiting;
		if (l != nothing_left && !goes_on(c))
			nothing_left = l;
	}
}

/* What nobody here can use may be in the way of others. */
static void run_waiting(struct worker *w)
{
	while (__atomic_exchange_n(&w->stirred, false, __ATOMIC_SEQ_CST)) {
		run_in_order(w);
		upstreams_make_way(&w->upstreams);
	}
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

static int open_upstreams(struct worker *w)
{
	w->upstreams.loop = w->loop;
	w->upstreams.supply = &w->supply;
	w->upstreams.freed = connection_freed;
	w->upstreams.unused = connection_unused;
	w->upstreams.waits_since = waits_since;
	w->upstreams.gone = endpoint_gone;
	return upstreams_open(&w->upstreams, &w->options.upstream);
}

static void flush_later(struct loop_timer *t)
{
	struct worker *w = (struct worker *)((char *)t - offsetof(struct worker, flush_again));

	w->unflushed = true;
}

int worker_open(struct worker *w, int listener, const struct worker_options *options,
		struct router *router)
{
	int r;

	*w = (struct worker){ .listener = { -1, accept_ready },
			      .accept_again = { .fire = accept_later },
			      .flush_again = { .fire = flush_later },
			      .look = { .fire = conn_look },
			      .options = *options,
			      .router = router };
	w->waiting_end = &w->waiting;
	random_begin(&w->random);
	w->loop = loop_new();
	r = w->loop ? open_upstreams(w) : -errno;
	if (!r && listener >= 0)
		r = worker_listen(w, listener);
	if (r) {
		closep(&listener);
		w->listener.fd = -1;
		worker_close(w);
		return r;
	}
	return 0;
}

static void run_again(struct worker *w)
{
	struct conn *list = w->again;

	w->again = NULL;
	while (list) {
		struct conn *c = list;

		list = c->next_again;
		c->queued = false;
		conn_run(c);
	}
}

static void flush_if_idle(struct worker *w)
{
	const struct worker_options *o = &w->options;

	if (!w->unflushed || w->again || !loop_idle(w->loop))
		return;
	w->unflushed = false;
	if (o->flush && !o->flush(o->log_arg))
		loop_timer_set(w->loop, &w->flush_again, FLUSH_PAUSE_MS);
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
	int r = loop_once(w->loop, w->again || w->unflushed ? 0 : ms);

	run_again(w);
	run_waiting(w);
	run_call(w);
	flush_if_idle(w);
	if (w->router->turn && w->router->turn(w->router))
		upstreams_leave_gone(&w->upstreams);
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

void worker_close(struct worker *w)
{
	while (w->conns)
		conn_close(w->conns);
	mirrors_close(w);
	upstreams_close(&w->upstreams);
	if (w->unflushed && w->options.flush)
		(void)w->options.flush(w->options.log_arg);
	closep(&w->listener.fd);
	w->listener.fd = -1;
	loop_free(w->loop);
	w->loop = NULL;
	supply_free(&w->supply);
	conn_free_spares(w);
}
