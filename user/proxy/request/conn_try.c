// SPDX-License-Identifier: Apache-2.0
/*
 * Tries: a request and an endpoint.
 */
#include <errno.h>

#include "proxy/request/conn.h"

enum { CONNECT_MS = 10 * 1000 };

#define RESET_REASON "upstream connect error or disconnect/reset before headers. reset reason: "
#define RESET_BEFORE "upstream_reset_before_response_started"
#define BODY(text)                     \
	{                              \
		text, sizeof(text) - 1 \
	}

static const struct plan_op overloaded = {
	PLAN_ADD,
	BODY("x-envoy-overloaded"),
	BODY("true"),
};

static const struct plan_answer pick_answers[] = {
	[PICK_NONE] = { .status = 503,
			.flags = "UH",
			.details = "no_healthy_upstream",
			.body = BODY("no healthy upstream") },
	[PICK_NO_CLUSTER] = { .status = 503, .flags = "NC", .details = "cluster_not_found" },
};

static const struct plan_answer overflow = {
	.status = 503,
	.flags = "UO",
	.details = RESET_BEFORE "{overflow}",
	.headers = &overloaded,
	.header_count = 1,
	.body = BODY(RESET_REASON "overflow"),
};

static const struct {
	struct plan_answer answer;
	enum outcome outcome;
} failures[FAILURES] = {
	[FAIL_CONNECT] = { { .status = 503,
			     .flags = "UF",
			     .details = RESET_BEFORE "{connection_failure}",
			     .body = BODY(RESET_REASON "connection failure") },
			   OUTCOME_CONNECT },
	[FAIL_CONNECT_TIMEOUT] = { { .status = 503,
				     .flags = "UF",
				     .details = RESET_BEFORE "{connection_timeout}",
				     .body = BODY(RESET_REASON "connection timeout") },
				   OUTCOME_CONNECT },
	[FAIL_RESET] = { { .status = 503,
			   .flags = "UC",
			   .details = RESET_BEFORE "{connection_termination}",
			   .body = BODY(RESET_REASON "connection termination") },
			 OUTCOME_RESET },
	[FAIL_PROTOCOL] = { { .status = 502,
			      .flags = "UPE",
			      .details = RESET_BEFORE "{protocol_error}",
			      .body = BODY(RESET_REASON "protocol error") },
			    OUTCOME_RESET },
	[FAIL_TIMEOUT] = { { .status = 504,
			     .flags = "UT",
			     .details = "upstream_per_try_timeout",
			     .body = BODY("upstream request timeout") },
			   OUTCOME_TIMEOUT },
	[FAIL_IDLE] = { { .status = 504,
			  .flags = "SI",
			  .details = "stream_idle_timeout",
			  .body = BODY("stream timeout") },
			OUTCOME_TIMEOUT },
};

static const struct plan_answer route_timeout = {
	.status = 504,
	.flags = "UT",
	.details = "upstream_response_timeout",
	.body = BODY("upstream request timeout"),
};

void conn_try_end(struct conn *c, enum outcome outcome, unsigned status, bool reusable)
{
	struct http_worker *w = c->worker;
	struct exchange *x = c->x;
	struct upstream *up = c->up;

	c->up = NULL;
	if (x && x->picked)
		conn_count_end(x, up, outcome);
	if (up && reusable)
		upstream_release(up, &x->target);
	else
		upstream_close(up);
	if (!x || !x->picked)
		return;
	conn_give_places(x);
	x->picked = false;
	w->router->done(w->router, &x->plan, &x->target, outcome, status);
}

static enum step sent_to(struct conn *c, enum conn_state state, uint32_t ms)
{
	c->state = state;
	c->seen = 0;
	conn_wait(c, ms);
	return STEP_AGAIN;
}

static enum step forward(struct conn *c)
{
	const struct plan *p = &c->x->plan;
	uint32_t ms = p->per_try_timeout_ms;

	conn_count_attached(c->x);
	c->x->local = c->up->local;
	c->x->local_port = c->up->local_port;
	c->x->sent_up = c->up->half.sent;
	return sent_to(c, CONN_FORWARD, ms ? ms : c->worker->options.stream_timeout_ms);
}

/* A refusal of our own says nothing about the endpoint. */
static enum step answer_overflow(struct conn *c)
{
	stat_inc(&c->x->plan.cluster->upstream_rq_pending_overflow);
	conn_try_end(c, OUTCOME_ABANDONED, 0, c->up && c->up->connected);
	return conn_answer(c, &overflow);
}

enum step conn_reach(struct conn *c)
{
	struct upstreams *pool = &c->worker->upstreams;
	struct exchange *x = c->x;
	struct addr from = upstream_source(pool, &x->target, &c->client_addr, &c->called);
	int r = 0;

	if (!x->fresh)
		c->up = upstream_reuse(pool, &x->target, &from);
	if (!c->up) {
		if (!conn_may_connect(c))
			return c->pending ? STEP_WAIT : conn_queue(c);
		conn_count_pending(x);
		r = upstream_connect(pool, &x->target, &from, &c->up);
	}
	conn_leave_queue(c);
	if (!r) {
		c->up->owner = c;
		c->up->changed = conn_upstream_changed;
		if (!conn_attach(c))
			return answer_overflow(c);
		r = heads_request(&c->worker->io.supply, &c->up->half.out, x, x->plan.authority);
	}
	if (r)
		return conn_try_failed(c, FAIL_CONNECT);
	if (c->up->connected)
		return forward(c);
	return sent_to(c, CONN_CONNECT,
		       x->target.connect_timeout_ms ? x->target.connect_timeout_ms : CONNECT_MS);
}

enum step conn_try(struct conn *c)
{
	struct http_worker *w = c->worker;
	struct exchange *x = c->x;
	enum pick p = w->router->pick(w->router, &x->plan, x->tries, &x->target);

	x->tries++;
	if (p == PICK_NONE)
		stat_inc(&x->plan.cluster->upstream_cx_none_healthy);
	if (p != PICK_OK)
		return conn_answer(c, &pick_answers[p]);
	x->picked = true;
	x->endpoint = x->target.addr;
	x->endpoint_port = x->target.port;
	x->request_cut = false;
	if (!conn_admit(c))
		return answer_overflow(c);
	body_rewind(&c->client);
	return conn_reach(c);
}

enum step conn_step_connect(struct conn *c)
{
	int r = upstream_connected(c->up);

	if (conn_client_gone(c))
		return STEP_END;
	if (!r)
		return forward(c);
	if (r != -EAGAIN)
		return conn_try_failed(c, FAIL_CONNECT);
	if (c->over)
		return conn_route_timeout(c);
	return c->fired ? conn_try_failed(c, FAIL_CONNECT_TIMEOUT) : STEP_WAIT;
}

enum step conn_try_failed(struct conn *c, enum failure f)
{
	struct exchange *x = c->x;
	bool stale = conn_was_stale(c, f), again = !stale && conn_try_after(c, f);

	if (!stale)
		conn_count_failure(x, f);
	conn_try_end(c, stale ? OUTCOME_ABANDONED : failures[f].outcome, 0, false);
	if (x->status)
		return STEP_END;
	if (stale) {
		x->again = x->fresh = true;
		return conn_try(c);
	}
	return again ? conn_try_later(c) : conn_answer(c, &failures[f].answer);
}

/* While it waits for a connection nothing has been asked of the endpoint. */
enum step conn_route_timeout(struct conn *c)
{
	c->worker->stats.timeouts++;
	conn_count_timeout(c->x);
	conn_try_end(c, c->up ? OUTCOME_TIMEOUT : OUTCOME_ABANDONED, 0, false);
	return conn_answer(c, &route_timeout);
}
