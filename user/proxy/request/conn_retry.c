// SPDX-License-Identifier: Apache-2.0
/*
 * Whether a try that has come to nothing is followed by another one, and when.
 */
#include <stdlib.h>

#include "proxy/request/conn.h"
#include "proxy/request/response_flags.h"

enum { BACKOFF_GROWTH = 10 };

/* What the endpoint has been sent is still here. */
static bool can_repeat(const struct conn *c)
{
	return c->client.body.keep && !c->x->status && !c->over;
}

/* One more try, if there are any left. Those that ask have a reason. */
static bool may_retry(struct conn *c)
{
	struct exchange *x = c->x;

	if (!x->plan.retries || !can_repeat(c))
		return false;
	if (x->tries - x->again > x->plan.retries) {
		flags_add(&x->flags, "URX");
		conn_count_no_retry(x, false);
		return false;
	}
	if (conn_may_retry(x))
		return true;
	flags_add(&x->flags, "UO");
	conn_count_no_retry(x, true);
	return false;
}

/* A pause that grows from try to try, of random length so that clients don't come back together. */
static void back_off(struct conn *c)
{
	const struct plan *p = &c->x->plan;
	uint64_t most = (uint64_t)p->backoff_ms * (((uint64_t)1 << (c->x->tries & 15)) - 1);

	c->worker->stats.retries++;
	conn_count_retry(c->x);
	if (most > (uint64_t)p->backoff_ms * BACKOFF_GROWTH)
		most = (uint64_t)p->backoff_ms * BACKOFF_GROWTH;
	c->state = CONN_BACKOFF;
	conn_wait(c, 1 + (most ? random_next(&c->worker->io.random) % most : 0));
}

enum step conn_step_backoff(struct conn *c)
{
	if (conn_client_gone(c))
		return STEP_END;
	if (c->over)
		return conn_route_timeout(c);
	return c->fired ? conn_try(c) : STEP_WAIT;
}

/* ---- after a failure ---- */

static bool idempotent(struct h1_span method)
{
	static const char *const methods[] = { "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE" };

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (h1_is(method, methods[i]))
			return true;
	return false;
}

static bool nothing_sent(const struct conn *c)
{
	return !c->up || c->up->half.sent == c->x->sent_up;
}

bool conn_was_stale(const struct conn *c, enum failure f)
{
	return f == FAIL_RESET && !c->x->again && c->up && c->up->reused &&
	       !buf_len(&c->up->half.in) && can_repeat(c) &&
	       (nothing_sent(c) || idempotent(c->x->request.method));
}

bool conn_try_after(struct conn *c, enum failure f)
{
	static const uint32_t any = PLAN_RETRY_5XX | PLAN_RETRY_GATEWAY_ERROR | PLAN_RETRY_RESET;
	bool unconnected = f == FAIL_CONNECT || f == FAIL_CONNECT_TIMEOUT;
	uint32_t on = any | (unconnected ? PLAN_RETRY_CONNECT_FAILURE : 0) |
		      (nothing_sent(c) ? PLAN_RETRY_RESET_BEFORE_REQUEST : 0);

	return (c->x->plan.retry_on & on) && may_retry(c);
}

enum step conn_try_later(struct conn *c)
{
	back_off(c);
	return STEP_WAIT;
}

/* ---- after a response ---- */

bool conn_retriable(const struct plan *p, unsigned status)
{
	for (size_t i = 0; i < p->retry_status_count; i++)
		if (p->retry_statuses[i] == status)
			return true;
	if ((p->retry_on & PLAN_RETRY_5XX) && status >= 500)
		return true;
	if ((p->retry_on & PLAN_RETRY_GATEWAY_ERROR) && status >= 502 && status <= 504)
		return true;
	return (p->retry_on & PLAN_RETRY_4XX) && status == 409;
}

static const struct h1_header *find(const struct h1_response *r, const char *name)
{
	for (size_t i = 0; i < r->m.header_count; i++)
		if (h1_is_nocase(r->m.headers[i].name, name))
			return &r->m.headers[i];
	return NULL;
}

/* A response without a body has it in its head. */
static bool retriable_grpc(const struct plan *p, const struct h1_response *r)
{
	static const struct {
		const char *status;
		uint32_t on;
	} statuses[] = {
		{ "1", PLAN_RETRY_CANCELLED },		{ "4", PLAN_RETRY_DEADLINE_EXCEEDED },
		{ "8", PLAN_RETRY_RESOURCE_EXHAUSTED }, { "13", PLAN_RETRY_INTERNAL },
		{ "14", PLAN_RETRY_UNAVAILABLE },
	};
	const struct h1_header *h = find(r, "grpc-status");

	for (size_t i = 0; h && i < sizeof(statuses) / sizeof(*statuses); i++)
		if (h1_is(h->value, statuses[i].status))
			return p->retry_on & statuses[i].on;
	return false;
}

/* Who is overloaded is not helped by being asked again. */
static bool retriable(const struct plan *p, const struct h1_response *r)
{
	if (find(r, "x-envoy-overloaded"))
		return false;
	if (find(r, "x-envoy-ratelimited"))
		return p->retry_on & PLAN_RETRY_RATELIMITED;
	return conn_retriable(p, r->status) || retriable_grpc(p, r);
}

bool conn_try_again(struct conn *c, const struct h1_response *r)
{
	if (!retriable(&c->x->plan, r)) {
		conn_count_good(c->x);
		return false;
	}
	if (!may_retry(c))
		return false;
	conn_try_end(c, OUTCOME_STATUS, r->status, false);
	back_off(c);
	return true;
}
