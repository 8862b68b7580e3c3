// SPDX-License-Identifier: Apache-2.0
#include "proxy/request/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/base/cleanup.h"
#include "proxy/request/response_flags.h"

enum { TURN_STEPS = 32 }; /* that a connection may take before others have their turn */

static enum step (*const steps[CONN_STATES])(struct conn *c) = {
	[CONN_HEAD] = conn_step_head,	      [CONN_DELAY] = conn_step_delay,
	[CONN_PENDING] = conn_step_pending,   [CONN_CONNECT] = conn_step_connect,
	[CONN_FORWARD] = conn_step_forward,   [CONN_BACKOFF] = conn_step_backoff,
	[CONN_RESPONSE] = conn_step_response, [CONN_TUNNEL] = conn_step_tunnel,
	[CONN_ANSWER] = conn_step_answer,     [CONN_LINGER] = conn_step_linger,
};

static void client_changed(struct half *h)
{
	conn_run((struct conn *)h);
}

void conn_upstream_changed(struct upstream *u)
{
	conn_run(u->owner);
}

static void timer_fired(struct loop_timer *t)
{
	struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, timer));

	/* It stays set when the state stops caring: that costs less than taking it out. */
	if (!c->waiting)
		return;
	c->fired = true;
	conn_run(c);
}

static void deadline_fired(struct loop_timer *t)
{
	struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, deadline));

	c->over = true;
	conn_run(c);
}

int conn_open(struct worker *w, int fd, struct conn **out)
{
	_cleanup_free_ struct conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	r = half_open(&c->client, fd, w->loop, &w->supply, client_changed);
	if (r)
		return r;
	c->client.writable = true;
	c->worker = w;
	c->timer.fire = timer_fired;
	c->deadline.fire = deadline_fired;
	c->next = w->conns;
	c->link = &w->conns;
	if (c->next)
		c->next->link = &c->next;
	w->conns = c;
	w->stats.connections++;
	w->stats.active++;
	conn_wait(c, w->options.head_timeout_ms);
	*out = TAKE_PTR(c);
	return 0;
}

static void unqueue(struct conn *c)
{
	struct conn **at = &c->worker->again;

	while (*at && *at != c)
		at = &(*at)->next_again;
	if (*at)
		*at = c->next_again;
}

void conn_close(struct conn *c)
{
	struct worker *w = c->worker;

	if (c->queued)
		unqueue(c);
	conn_leave_queue(c);
	conn_try_end(c, OUTCOME_ABANDONED, c->x ? c->x->status : 0, false);
	conn_forget_exchange(c);
	half_close(&c->client);
	loop_timer_clear(w->loop, &c->timer);
	loop_timer_clear(w->loop, &c->deadline);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	w->stats.active--;
	free(c);
}

void conn_wait(struct conn *c, uint64_t ms)
{
	c->fired = false;
	c->waiting = ms > 0;
	c->moved = c->client.received + c->client.sent;
	if (ms)
		loop_timer_set(c->worker->loop, &c->timer, ms);
}

bool conn_stuck(struct conn *c, uint64_t ms)
{
	if (!c->fired)
		return false;
	if (c->client.received + c->client.sent == c->moved)
		return true;
	conn_wait(c, ms);
	return false;
}

/*
 * The client has closed its connection. TCP doesn't tell that from a half-close, behind which the
 * client still reads; but one that has asked to keep the connection would not half-close it.
 */
static bool has_left(struct conn *c)
{
	struct half *h = &c->client;
	size_t of_body = (size_t)h->body.kept + h->body.ready;

	if (!h->hup || !c->x || !c->x->request.m.keep_alive || !body_received(h))
		return false;
	/* There may be further requests before the end. */
	if (!h->eof && buf_len(&h->in) == of_body)
		(void)half_receive(h);
	return h->eof && buf_len(&h->in) == of_body;
}

bool conn_client_gone(struct conn *c)
{
	if (!c->client.broken && !has_left(c))
		return false;
	if (c->x)
		flags_add(&c->x->flags, "DC");
	return true;
}

void conn_time(struct conn *c)
{
	struct exchange *x = c->x;

	if (x->timed || !body_received(&c->client))
		return;
	x->timed = true;
	x->asked = loop_now(c->worker->loop);
	if (x->plan.timeout_ms)
		loop_timer_set(c->worker->loop, &c->deadline, x->plan.timeout_ms);
}

static void run_later(struct conn *c)
{
	if (c->queued)
		return;
	c->queued = true;
	c->next_again = c->worker->again;
	c->worker->again = c;
}

/* What holds between events, whatever the state. */
static void check(const struct conn *c)
{
	assert(!c->up || (c->up->owner == c && !c->up->link));
	assert(!c->x || !c->x->picked == (!c->up && c->state != CONN_PENDING));
	assert(!c->pending == (c->state != CONN_PENDING));
	assert(c->state != CONN_HEAD || (!c->x && !c->up));
	assert((c->state != CONN_FORWARD && c->state != CONN_CONNECT && c->state != CONN_TUNNEL) ||
	       c->up);
	assert(buf_len(&c->client.in) >= (size_t)c->client.body.kept + c->client.body.ready);
	(void)c;
}

void conn_run(struct conn *c)
{
	enum step r;
	int n = 0;

	/* A step may close a socket of this connection, which calls back. */
	if (c->running)
		return;
	c->running = true;
	do
		r = steps[c->state](c);
	while (r == STEP_AGAIN && ++n < TURN_STEPS);
	c->running = false;
	if (r == STEP_END) {
		conn_close(c);
		return;
	}
	check(c);
	if (r != STEP_WAIT)
		run_later(c);
}
