// SPDX-License-Identifier: Apache-2.0
/*
 * What a cluster may have at a time, and requests that wait because it has as many connections as
 * it may.
 *
 * Whoever gives a connection back, or begins to wait, stirs all workers: those that wait try again,
 * and unused connections that are in the way are closed. Nobody tells of connections that the
 * kernel gives back.
 */
#include "conn.h"

enum { STEERED_MS = 20 }; /* between looks at what the kernel holds */

static void join(struct conn *c)
{
	struct worker *w = c->worker;

	c->next_waiting = NULL;
	c->link_waiting = w->waiting_end;
	*w->waiting_end = c;
	w->waiting_end = &c->next_waiting;
}

void conn_leave_queue(struct conn *c)
{
	if (!c->pending)
		return;
	*c->link_waiting = c->next_waiting;
	if (c->next_waiting)
		c->next_waiting->link_waiting = c->link_waiting;
	else
		c->worker->waiting_end = c->link_waiting;
	c->link_waiting = NULL;
	limit_give(&c->pending->pending);
	c->pending = NULL;
}

/* Of this worker's unused connections, one that counts for the limit. */
static bool make_way(struct worker *w, const struct limit *l)
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
	if (limit_connect(l, t->most.connections))
		return true;
	return make_way(c->worker, l) && limit_connect(l, t->most.connections);
}

static void wait_for_kernel(struct conn *c)
{
	const struct cluster_limit *row = c->pending->connections;
	bool steered = __atomic_load_n(&row->steered, __ATOMIC_RELAXED);

	conn_wait(c, steered ? STEERED_MS : 0);
}

enum step conn_queue(struct conn *c)
{
	struct limit *l = c->x->target.limit;

	stat_inc(&c->x->target.stat->upstream_cx_overflow);
	conn_count_pending(c->x);
	limit_take(&l->pending, 0);
	c->pending = l;
	join(c);
	c->state = CONN_PENDING;
	wait_for_kernel(c);
	/* The connection that was in the way may have gone before anybody could know of us. */
	worker_stir(c->worker);
	return STEP_WAIT;
}

enum step conn_step_pending(struct conn *c)
{
	if (conn_client_gone(c))
		return STEP_END;
	if (c->over) {
		conn_leave_queue(c);
		return conn_route_timeout(c);
	}
	if (c->fired)
		wait_for_kernel(c);
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
