// SPDX-License-Identifier: Apache-2.0
/*
 * Requests that wait because the endpoint's cluster has as many connections as it may.
 *
 * Whoever gives a connection back, or begins to wait, stirs all workers: those that wait try again,
 * and unused connections that are in the way are closed.
 */
#include "conn.h"

static void join(struct conn *c)
{
	struct conn **at = &c->worker->waiting;

	while (*at)
		at = &(*at)->next_waiting;
	c->next_waiting = NULL;
	*at = c;
}

void conn_leave_queue(struct conn *c)
{
	struct conn **at = &c->worker->waiting;

	if (!c->pending)
		return;
	while (*at && *at != c)
		at = &(*at)->next_waiting;
	if (*at)
		*at = c->next_waiting;
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
	if (limit_take(&l->connections, t->max_connections))
		return true;
	return make_way(c->worker, l) && limit_take(&l->connections, t->max_connections);
}

enum step conn_queue(struct conn *c)
{
	const struct target *t = &c->x->target;

	if (!limit_take(&t->limit->pending, t->max_pending)) {
		__atomic_add_fetch(&t->limit->overflow, 1, __ATOMIC_RELAXED);
		conn_try_end(c, OUTCOME_ABANDONED, 0, false);
		return conn_answer_overflow(c);
	}
	c->pending = t->limit;
	join(c);
	c->state = CONN_PENDING;
	conn_wait(c, 0);
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
	return conn_reach(c);
}
