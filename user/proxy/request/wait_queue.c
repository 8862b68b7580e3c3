// SPDX-License-Identifier: Apache-2.0
/*
 * What a cluster may have at a time, and requests that wait because it has as many connections as
 * it may.
 *
 * Whoever gives a connection back, or begins to wait, stirs all workers: those that wait try again,
 * and unused connections that are in the way are closed. Nobody tells of connections that the
 * kernel gives back, or that other workers go on to use: from time to time those that wait have a
 * look, and ask for the next one that becomes free (limit.h).
 */
#include "proxy/request/conn.h"

enum { LOOK_MS = 20 };

static void join(struct conn *c)
{
	struct http_worker *w = c->worker;

	c->next_waiting = NULL;
	c->link_waiting = w->waiting_end;
	if (!w->waiting)
		loop_timer_set(w->io.loop, &w->look, LOOK_MS);
	*w->waiting_end = c;
	w->waiting_end = &c->next_waiting;
}

void conn_leave_queue(struct conn *c)
{
	struct limit *l = c->pending;

	if (!l)
		return;
	*c->link_waiting = c->next_waiting;
	if (c->next_waiting)
		c->next_waiting->link_waiting = c->link_waiting;
	else
		c->worker->waiting_end = c->link_waiting;
	c->link_waiting = NULL;
	limit_give(&l->pending);
	c->pending = NULL;
	if (limit_withdraw(l, c)) {
		limit_disconnect(l);
		http_worker_stir(c->worker);
	}
}

/* Of this worker's unused connections, one that counts for the limit. */
static bool make_way(struct http_worker *w, const struct limit *l)
{
	struct upstream *u = upstream_idle_of(&w->upstreams, l);

	upstream_close(u);
	return u;
}

bool conn_may_connect(struct conn *c)
{
	const struct target *t = &c->x->target;
	struct limit *l = t->limit;

	if (!l)
		return true;
	/* Those who wait already come first. */
	if (!c->pending && limit_wanted(l))
		return false;
	if (c->pending && limit_passed(l, c))
		return true;
	if (limit_connect(l, t->most.connections))
		return true;
	return make_way(c->worker, l) && limit_connect(l, t->most.connections);
}

enum step conn_queue(struct conn *c)
{
	struct limit *l = c->x->target.limit;

	stat_inc(&c->x->target.stat->upstream_cx_overflow);
	conn_count_pending(c->x);
	limit_take(&l->pending, 0);
	c->pending = l;
	c->pending_since = loop_now(c->worker->io.loop);
	join(c);
	c->state = CONN_PENDING;
	conn_wait(c, 0);
	/* The connection that was in the way may have gone before anybody could know of us. */
	http_worker_stir(c->worker);
	return STEP_WAIT;
}

void conn_look(struct loop_timer *t)
{
	struct http_worker *w =
		(struct http_worker *)((char *)t - offsetof(struct http_worker, look));
	const struct limit *last = NULL;

	for (struct conn *c = w->waiting, *next; c; c = next) {
		struct limit *l = c->pending;

		next = c->next_waiting;
		if (l == last)
			continue;
		last = l;
		limit_ask(l, c, c->pending_since);
		conn_run(c);
	}
	if (w->waiting)
		loop_timer_set(w->io.loop, t, LOOK_MS);
}

enum step conn_step_pending(struct conn *c)
{
	if (conn_client_gone(c))
		return STEP_END;
	if (c->over) {
		conn_leave_queue(c);
		return conn_route_timeout(c);
	}
	return conn_reach(c);
}

bool conn_admit(struct conn *c)
{
	struct exchange *x = c->x;
	struct limit *l = x->target.limit;

	x->admitted = l && limit_admit(l, &x->target.most);
	return !l || x->admitted;
}

bool conn_attach(struct conn *c)
{
	struct exchange *x = c->x;
	struct limit *l = x->target.limit;

	c->up->requests++;
	x->attached = l && limit_take(&l->requests, x->target.most.requests);
	return !l || x->attached;
}

void conn_give_places(struct exchange *x)
{
	struct limit *l = x->target.limit;

	if (x->attached)
		limit_give(&l->requests);
	if (x->admitted)
		limit_give(&l->admitted);
	x->attached = x->admitted = false;
}

void conn_end_retry(struct exchange *x)
{
	if (x->retrying)
		limit_give(&x->retrying->retries);
	x->retrying = NULL;
}

bool conn_may_retry(struct exchange *x)
{
	struct limit *l = x->target.limit;

	conn_end_retry(x);
	if (!l)
		return true;
	if (!limit_retry(l, &x->target.most))
		return false;
	x->retrying = l;
	return true;
}
