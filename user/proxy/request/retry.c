// SPDX-License-Identifier: Apache-2.0
/*
 * Whether a try that has come to nothing is followed by another one, and when.
 */
#include <stdlib.h>

#include "proxy/request/request.h"
#include "lib/base/response_flags.h"

enum { BACKOFF_GROWTH = 10 };

/* All of the request that was sent is still in the buffer, and the client has got nothing yet. */
static bool can_repeat(const struct request *rq)
{
	return rq->down->half.body.keep && !rq->status && !rq->over;
}

/* Whether retries are left and the limits allow one; the caller has found that one is wanted. */
static bool may_retry(struct request *rq)
{
	if (!rq->plan.retries || !can_repeat(rq))
		return false;
	if (rq->tries - rq->again > rq->plan.retries) {
		flags_add(&rq->flags, "URX");
		request_count_no_retry(rq, false);
		return false;
	}
	if (request_may_retry(rq))
		return true;
	flags_add(&rq->flags, "UO");
	request_count_no_retry(rq, true);
	return false;
}

/* A pause that grows from try to try, of random length so that clients don't come back together. */
static void back_off(struct request *rq)
{
	const struct plan *p = &rq->plan;
	uint64_t max = (uint64_t)p->backoff_ms * (((uint64_t)1 << (rq->tries & 15)) - 1);

	rq->worker->stats.retries++;
	request_count_retry(rq);
	if (max > (uint64_t)p->backoff_ms * BACKOFF_GROWTH)
		max = (uint64_t)p->backoff_ms * BACKOFF_GROWTH;
	rq->state = REQUEST_BACKOFF;
	request_wait(rq, 1 + (max ? random_next(&rq->worker->io.random) % max : 0));
}

enum step request_step_backoff(struct request *rq)
{
	if (request_client_gone(rq))
		return STEP_END;
	if (rq->over)
		return request_route_timeout(rq);
	return rq->fired ? request_try(rq) : STEP_WAIT;
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

static bool nothing_sent(const struct request *rq)
{
	return !rq->up || rq->up->half.sent == rq->sent_up;
}

bool request_was_stale(const struct request *rq, enum failure f)
{
	return f == FAIL_RESET && !rq->again && rq->up && rq->up->conn->reused &&
	       !buf_len(&rq->up->half.in) && can_repeat(rq) &&
	       (nothing_sent(rq) || idempotent(rq->request.method));
}

bool request_try_after(struct request *rq, enum failure f)
{
	static const uint32_t any = PLAN_RETRY_5XX | PLAN_RETRY_GATEWAY_ERROR | PLAN_RETRY_RESET;
	bool unconnected = f == FAIL_CONNECT || f == FAIL_CONNECT_TIMEOUT ||
			   f == FAIL_NETWORK_POLICY || f == FAIL_TLS || f == FAIL_NO_IDENTITY ||
			   f == FAIL_NOT_IN_MESH;
	uint32_t on = any | (unconnected ? PLAN_RETRY_CONNECT_FAILURE : 0) |
		      (nothing_sent(rq) ? PLAN_RETRY_RESET_BEFORE_REQUEST : 0);

	return (rq->plan.retry_on & on) && may_retry(rq);
}

enum step request_try_later(struct request *rq)
{
	back_off(rq);
	return STEP_WAIT;
}

/* ---- after a response ---- */

bool request_retriable(const struct plan *p, unsigned status)
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

/* Another try would add to the load of an endpoint that is overloaded. */
static bool retriable(const struct plan *p, const struct h1_response *r)
{
	if (find(r, "x-envoy-overloaded"))
		return false;
	if (find(r, "x-envoy-ratelimited"))
		return p->retry_on & PLAN_RETRY_RATELIMITED;
	return request_retriable(p, r->status) || retriable_grpc(p, r);
}

bool request_try_again(struct request *rq, const struct h1_response *r)
{
	if (!retriable(&rq->plan, r)) {
		request_count_good(rq);
		return false;
	}
	if (!may_retry(rq))
		return false;
	request_try_end(rq, OUTCOME_STATUS, r->status, false);
	back_off(rq);
	return true;
}
