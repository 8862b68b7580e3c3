// SPDX-License-Identifier: Apache-2.0
#include "proxy/request/http_worker.h"

#include <errno.h>
#include <stddef.h>

#include "lib/base/cleanup.h"
#include "proxy/request/drain.h"
#include "proxy/request/h1_client.h"
#include "proxy/request/mirror.h"
#include "proxy/request/tunnel.h"

enum { FLUSH_PAUSE_MS = 20 };

const struct worker_options worker_defaults = {
	.handshake_timeout_ms = 15 * 1000,
	.head_timeout_ms = 60 * 1000,
	.idle_timeout_ms = 3600 * 1000,
	.stream_timeout_ms = 3600 * 1000,
	.upstream = { .source = { .pod_addrs = -1, .nics = -1, .pods = -1 } },
};

static void wake_waiters(struct http_worker *w)
{
	__atomic_store_n(&w->woken, true, __ATOMIC_SEQ_CST);
}

void http_worker_wake_waiters(struct http_worker *w)
{
	wake_waiters(w);
	for (size_t i = 0; i < w->peer_count; i++)
		if (w->peers[i] != w) {
			wake_waiters(w->peers[i]);
			loop_wake(w->peers[i]->io.loop);
		}
}

struct request *http_worker_first_waiting(const struct http_worker *w, const struct limit *l)
{
	struct request *rq = w->waiting;

	while (rq && rq->pending != l)
		rq = rq->next_waiting;
	return rq;
}

static struct http_worker *of(struct upstreams *pool)
{
	return (struct http_worker *)((char *)pool - offsetof(struct http_worker, upstreams));
}

static void connection_freed(struct upstreams *pool)
{
	http_worker_wake_waiters(of(pool));
}

/* This worker's waiters come first. If none can use the connection, run_waiting() closes it and
 * wakes the others' waiters. */
static void connection_unused(struct upstreams *pool)
{
	wake_waiters(of(pool));
}

static bool endpoint_gone(struct upstreams *pool, uint32_t endpoint)
{
	struct router *r = of(pool)->router;

	if (of(pool)->draining)
		return true; /* what it has is wanted by others */
	return endpoint && r->gone && r->gone(r, endpoint);
}

static uint64_t waits_since(struct upstreams *pool, const struct limit *l)
{
	const struct request *rq = http_worker_first_waiting(of(pool), l);

	return rq ? rq->pending_since : UINT64_MAX;
}

/* Runs a waiter. Whether it has left the queue. */
static bool goes_on(struct request *rq)
{
	struct request **link = rq->link_waiting;

	request_run(rq);
	return *link != rq;
}

/* In the order of arrival: once one gets no connection, the next ones of that limit won't either.
 */
static void run_in_order(struct http_worker *w)
{
	const struct limit *nothing_left = NULL;

	for (struct request *rq = w->waiting, *next; rq; rq = next) {
		const struct limit *l = rq->pending;

		next = rq->next_waiting;
		if (l != nothing_left && !goes_on(rq))
			nothing_left = l;
	}
}

/* Unused connections that no waiter of this worker can use count for the limit of all workers. */
static void run_waiting(struct http_worker *w)
{
	while (__atomic_exchange_n(&w->woken, false, __ATOMIC_SEQ_CST)) {
		run_in_order(w);
		upstreams_close_unusable(&w->upstreams);
	}
}

static int open_upstreams(struct http_worker *w)
{
	w->upstreams.loop = w->io.loop;
	w->upstreams.buffers = &w->io.buffers;
	w->upstreams.freed = connection_freed;
	w->upstreams.unused = connection_unused;
	w->upstreams.waits_since = waits_since;
	w->upstreams.gone = endpoint_gone;
	return upstreams_open(&w->upstreams, &w->options.upstream);
}

static void traffic_is_due(struct loop_timer *t)
{
	struct http_worker *w =
		(struct http_worker *)((char *)t - offsetof(struct http_worker, traffic_due));

	traffic_counts_write(w->traffic);
	traffic_counts_tidy(w->traffic, loop_now(w->io.loop));
}

void http_worker_count(struct http_worker *w, const struct traffic_sample *s)
{
	if (!w->traffic)
		return;
	if (!traffic_counts_wait(w->traffic))
		loop_timer_set(w->io.loop, &w->traffic_due, TRAFFIC_WRITE_MS);
	traffic_count(w->traffic, s);
}

static void flush_later(struct loop_timer *t)
{
	struct http_worker *w =
		(struct http_worker *)((char *)t - offsetof(struct http_worker, flush_again));

	w->unflushed = true;
}

static void flush_if_idle(struct http_worker *w)
{
	const struct worker_options *o = &w->options;

	if (!w->unflushed || w->io.tasks || !loop_idle(w->io.loop))
		return;
	w->unflushed = false;
	if (o->flush && !o->flush(o->log_arg))
		loop_timer_set(w->io.loop, &w->flush_again, FLUSH_PAUSE_MS);
}

/* What lasts, as an upgraded connection may, is not to keep the rules that it began with. */
static void settle(struct http_worker *w)
{
	struct router *r = w->router;

	if (w->settled == r->version)
		return;
	w->settled = r->version;
	for (struct request *rq = w->requests; rq && r->settle; rq = rq->next)
		if (rq->state == REQUEST_RESPONSE || rq->state == REQUEST_TUNNEL)
			r->settle(r, &rq->plan);
	for (struct tunnel *t = w->tunnels; t && r->settle; t = t->next)
		if (t->state == TUNNEL_OPEN)
			r->settle(r, &t->plan);
}

static bool between_events(struct worker *io)
{
	struct http_worker *w = (struct http_worker *)io;

	run_waiting(w);
	flush_if_idle(w);
	if (w->router->turn && w->router->turn(w->router)) {
		upstreams_close_gone(&w->upstreams);
		settle(w);
	}
	if (w->draining)
		drain_look(w);
	return w->unflushed;
}

static void on_close(struct worker *io)
{
	struct http_worker *w = (struct http_worker *)io;

	while (w->clients)
		h1_client_close(w->clients);
	mirrors_close(w);
	upstreams_close(&w->upstreams);
	if (w->unflushed && w->options.flush)
		(void)w->options.flush(w->options.log_arg);
	request_free_spares(w);
	traffic_counts_free(TAKE_PTR(w->traffic));
	drain_close(w);
}

int http_worker_open(struct http_worker *w, int listener, const struct worker_options *options,
		     struct router *router)
{
	static const struct worker_service service = { h1_client_serve, between_events, on_close };
	int r;

	*w = (struct http_worker){ .flush_again = { .fire = flush_later },
				   .traffic_due = { .fire = traffic_is_due },
				   .poll_timer = { .fire = request_poll },
				   .pass_again = { .fire = drain_pass_again },
				   .unlisten = { .fire = drain_unlisten },
				   .successor = -1,
				   .options = *options,
				   .router = router };
	w->waiting_end = &w->waiting;
	r = worker_open(&w->io, listener, &service);
	if (!r)
		r = open_upstreams(w);
	if (!r && options->traffic) {
		w->traffic = traffic_counts_new(options->traffic);
		r = w->traffic ? 0 : -ENOMEM;
	}
	if (r)
		worker_close(&w->io);
	return r;
}
