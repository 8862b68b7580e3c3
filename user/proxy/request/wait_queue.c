// SPDX-License-Identifier: Apache-2.0
/*
 * What a cluster may have at a time, and requests that wait because it has as many connections as
 * it may.
 *
 * A request that gives a connection back, or begins to wait, wakes the waiters of all workers: they
 * try again, and unused connections that count for the limit are closed. There is no notification
 * when the kernel gives a connection back, or when another worker uses one on: a timer has the
 * waiters try again, and ask for the next connection that becomes free (limit.h).
 */
#include "proxy/request/request.h"

enum { POLL_MS = 20 };

static void join(struct request *rq)
{
	struct http_worker *w = rq->worker;

	rq->next_waiting = NULL;
	rq->link_waiting = w->waiting_end;
	if (!w->waiting)
		loop_timer_set(w->io.loop, &w->poll_timer, POLL_MS);
	*w->waiting_end = rq;
	w->waiting_end = &rq->next_waiting;
}

void request_leave_queue(struct request *rq)
{
	struct limit *l = rq->pending;

	if (!l)
		return;
	*rq->link_waiting = rq->next_waiting;
	if (rq->next_waiting)
		rq->next_waiting->link_waiting = rq->link_waiting;
	else
		rq->worker->waiting_end = rq->link_waiting;
	rq->link_waiting = NULL;
	limit_give(&l->pending);
	rq->pending = NULL;
	if (limit_withdraw(l, rq)) {
		limit_disconnect(l);
		http_worker_wake_waiters(rq->worker);
	}
}

bool request_may_connect(struct request *rq)
{
	const struct target *t = &rq->target;
	struct limit *l = t->limit;

	if (!l)
		return true;
	/* Requests that wait already come first. */
	if (!rq->pending && limit_wanted(l))
		return false;
	if (rq->pending && limit_passed(l, rq))
		return true;
	if (limit_connect(l, t->max.connections))
		return true;
	/* An unused connection of this worker is closed for it. */
	return upstreams_close_idle(&rq->worker->upstreams, l) &&
	       limit_connect(l, t->max.connections);
}

enum step request_queue(struct request *rq)
{
	struct limit *l = rq->target.limit;

	stat_inc(&rq->target.stat->upstream_cx_overflow);
	request_count_pending(rq);
	limit_take(&l->pending, 0);
	rq->pending = l;
	rq->pending_since = loop_now(rq->worker->io.loop);
	join(rq);
	rq->state = REQUEST_PENDING;
	request_wait(rq, 0);
	/* A connection may have been given back before this waiter was in the queue. */
	http_worker_wake_waiters(rq->worker);
	return STEP_WAIT;
}

void request_poll(struct loop_timer *t)
{
	struct http_worker *w =
		(struct http_worker *)((char *)t - offsetof(struct http_worker, poll_timer));
	const struct limit *last = NULL;

	for (struct request *rq = w->waiting, *next; rq; rq = next) {
		struct limit *l = rq->pending;

		next = rq->next_waiting;
		if (l == last)
			continue;
		last = l;
		limit_ask(l, rq, rq->pending_since);
		request_run(rq);
	}
	if (w->waiting)
		loop_timer_set(w->io.loop, t, POLL_MS);
}

enum step request_step_pending(struct request *rq)
{
	if (request_client_gone(rq))
		return STEP_END;
	if (rq->over) {
		request_leave_queue(rq);
		return request_route_timeout(rq);
	}
	return request_reach(rq);
}

bool request_admit(struct request *rq)
{
	struct limit *l = rq->target.limit;

	rq->admitted = l && limit_admit(l, &rq->target.max);
	return !l || rq->admitted;
}

bool request_attach(struct request *rq)
{
	struct limit *l = rq->target.limit;

	rq->attached = l && limit_take(&l->requests, rq->target.max.requests);
	return !l || rq->attached;
}

void request_give_places(struct request *rq)
{
	struct limit *l = rq->target.limit;

	if (rq->attached)
		limit_give(&l->requests);
	if (rq->admitted)
		limit_give(&l->admitted);
	rq->attached = rq->admitted = false;
}

void request_end_retry(struct request *rq)
{
	if (rq->retrying)
		limit_give(&rq->retrying->retries);
	rq->retrying = NULL;
}

bool request_may_retry(struct request *rq)
{
	struct limit *l = rq->target.limit;

	request_end_retry(rq);
	if (!l)
		return true;
	if (!limit_retry(l, &rq->target.max))
		return false;
	rq->retrying = l;
	return true;
}
