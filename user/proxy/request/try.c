// SPDX-License-Identifier: Apache-2.0
/*
 * Tries: a request and an endpoint.
 */
#include <errno.h>

#include "proxy/request/request.h"
#include "proxy/request/request_trace.h"
#include "proxy/request/request_traffic.h"

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
	/* To the client it is a connection that is not made; of the endpoint it says nothing. */
	[FAIL_NETWORK_POLICY] = { { .status = 503,
				    .flags = "UF",
				    .details = RESET_BEFORE "{connection_failure|network_policy}",
				    .body = BODY(RESET_REASON "connection failure") },
				  OUTCOME_ABANDONED },
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
	[FAIL_TLS] = { { .status = 503,
			 .flags = "UF",
			 .details = RESET_BEFORE "{connection_failure|TLS_error}",
			 .body = BODY(RESET_REASON "connection failure, transport failure reason: "
						   "TLS_error") },
		       OUTCOME_CONNECT },
	/* What the caller is says nothing about the endpoint. */
	[FAIL_NO_IDENTITY] = { { .status = 503,
				 .flags = "UF",
				 .details = RESET_BEFORE
				 "{connection_failure|TLS_error:no_identity}",
				 .body = BODY(RESET_REASON
					      "connection failure, transport failure reason: "
					      "TLS_error:no_identity") },
			       OUTCOME_ABANDONED },
	[FAIL_NOT_IN_MESH] = { { .status = 503,
				 .flags = "UF",
				 .details = RESET_BEFORE
				 "{connection_failure|TLS_error:not_in_mesh}",
				 .body = BODY(RESET_REASON
					      "connection failure, transport failure reason: "
					      "TLS_error:not_in_mesh") },
			       OUTCOME_CONNECT },
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

static const struct plan_answer denied = {
	.status = 403,
	.flags = "-",
	.body = BODY("RBAC: access denied"),
};

void request_try_end(struct request *rq, enum outcome outcome, unsigned status, bool reusable)
{
	struct http_worker *w = rq->worker;
	struct upstream *up = rq->up;

	rq->up = NULL;
	if (rq->picked)
		request_count_end(rq, up, outcome);
	if (rq->picked && rq->headers.sampled)
		rq->left_us = loop_now_us(w->io.loop);
	if (up && reusable)
		upstream_release(up, &rq->target);
	else
		upstream_close(up);
	if (!rq->picked)
		return;
	request_give_places(rq);
	rq->picked = false;
	w->router->done(w->router, &rq->plan, &rq->target, outcome, status);
}

static enum step sent_to(struct request *rq, enum request_state state, uint32_t ms)
{
	rq->state = state;
	rq->seen = 0;
	request_wait(rq, ms);
	return STEP_AGAIN;
}

/* Whatever comes of it, it is the endpoint's request. */
static void reach(struct request *rq)
{
	traffic_reach(&rq->end, &rq->target);
	if (rq->headers.sampled)
		request_trace_reach(rq);
}

static enum step forward(struct request *rq)
{
	const struct plan *p = &rq->plan;
	uint32_t ms = p->per_try_timeout_ms;

	request_count_attached(rq);
	reach(rq);
	rq->local = rq->up->conn->local;
	rq->local_port = rq->up->conn->local_port;
	rq->sent_up = rq->up->half.sent;
	(void)sent_to(rq, REQUEST_FORWARD, ms ? ms : rq->worker->options.stream_timeout_ms);
	return request_step_to_send(rq);
}

/* A refusal of our own says nothing about the endpoint. */
static enum step answer_overflow(struct request *rq)
{
	stat_inc(&rq->plan.cluster->upstream_rq_pending_overflow);
	request_try_end(rq, OUTCOME_ABANDONED, 0, rq->up && rq->up->conn->connected);
	return request_answer(rq, &overflow);
}

/* Whether the endpoint's AuthorizationPolicies refuse it: `out` is the answer then. */
static bool is_denied(struct request *rq, struct plan_answer *out)
{
	struct router *r = rq->worker->router;
	struct route_rbac rbac = { 0 };
	bool allowed;

	*out = denied;
	if (!r->allows)
		return false;
	allowed = r->allows(r, &rq->plan, &rq->request, &rq->target, &rbac);
	rq->audit = rbac.audit ? rbac.audit : rq->audit;
	out->details = rbac.details;
	return !allowed;
}

/* That says nothing about the endpoint, which hears nothing of it, but is who has answered to those
 * that look at who talks to whom. */
static enum step answer_denied(struct request *rq, const struct plan_answer *answer)
{
	reach(rq);
	request_try_end(rq, OUTCOME_ABANDONED, 0, false);
	return request_answer(rq, answer);
}

enum step request_reach(struct request *rq)
{
	struct upstreams *pool = &rq->worker->upstreams;
	struct addr from =
		upstream_source(pool, &rq->target, &rq->down->client_addr, &rq->down->called);
	int r = 0;

	if (!rq->fresh)
		rq->up = upstream_reuse(pool, &rq->target, &from);
	if (!rq->up) {
		if (!request_may_connect(rq))
			return rq->pending ? STEP_WAIT : request_queue(rq);
		request_count_pending(rq);
		r = upstream_connect(pool, &rq->target, &from, &rq->up);
	}
	request_leave_queue(rq);
	if (!r) {
		rq->up->owner = rq;
		rq->up->changed = request_upstream_changed;
		if (!request_attach(rq))
			return answer_overflow(rq);
		r = head_write_request(&rq->worker->io.buffers, &rq->up->half.out, rq,
				       rq->plan.authority);
	}
	if (r)
		return request_try_failed(rq, FAIL_CONNECT);
	if (rq->up->conn->connected)
		return forward(rq);
	return sent_to(rq, REQUEST_CONNECT,
		       rq->target.connect_timeout_ms ? rq->target.connect_timeout_ms : CONNECT_MS);
}

static enum step try_broken(struct request *rq)
{
	static const enum failure why[] = {
		[TARGET_NO_CLIENT] = FAIL_TLS,
		[TARGET_NO_IDENTITY] = FAIL_NO_IDENTITY,
		[TARGET_NOT_IN_MESH] = FAIL_NOT_IN_MESH,
	};

	return request_try_failed(rq, why[rq->target.tls.broken]);
}

enum step request_try(struct request *rq)
{
	struct http_worker *w = rq->worker;
	enum pick p = w->router->pick(w->router, &rq->plan, rq->tries, &rq->target);
	struct plan_answer answer;

	rq->tries++;
	rq->end.reached = false;
	if (p == PICK_NONE)
		stat_inc(&rq->plan.cluster->upstream_cx_none_healthy);
	if (p != PICK_OK)
		return request_answer(rq, &pick_answers[p]);
	rq->picked = true;
	rq->endpoint = rq->target.addr;
	rq->endpoint_port = rq->target.port;
	rq->request_cut = false;
	if (rq->headers.sampled)
		request_headers_tell(&rq->headers, request_trace_tells(rq));
	if (rq->target.closed)
		return request_try_failed(rq, FAIL_NETWORK_POLICY);
	if (is_denied(rq, &answer))
		return answer_denied(rq, &answer);
	if (rq->target.tls.broken)
		return try_broken(rq);
	if (!request_admit(rq))
		return answer_overflow(rq);
	body_rewind(&rq->down->half);
	return request_reach(rq);
}

enum step request_step_connect(struct request *rq)
{
	int r = upstream_connected(rq->up);

	if (request_client_gone(rq))
		return STEP_END;
	if (!r)
		return forward(rq);
	if (r != -EAGAIN)
		return request_try_failed(rq, r == -EPROTO ? FAIL_TLS : FAIL_CONNECT);
	if (rq->over)
		return request_route_timeout(rq);
	return rq->fired ? request_try_failed(rq, FAIL_CONNECT_TIMEOUT) : STEP_WAIT;
}

enum step request_try_failed(struct request *rq, enum failure f)
{
	bool stale = request_was_stale(rq, f), again = !stale && request_try_after(rq, f);

	if (!stale)
		request_count_failure(rq, f);
	request_try_end(rq, stale ? OUTCOME_ABANDONED : failures[f].outcome, 0, false);
	if (rq->status)
		return STEP_END;
	if (stale) {
		rq->again = rq->fresh = true;
		return request_try(rq);
	}
	return again ? request_try_later(rq) : request_answer(rq, &failures[f].answer);
}

/* While it waits for a connection nothing has been asked of the endpoint. */
enum step request_route_timeout(struct request *rq)
{
	rq->worker->stats.timeouts++;
	request_count_timeout(rq);
	request_try_end(rq, rq->up ? OUTCOME_TIMEOUT : OUTCOME_ABANDONED, 0, false);
	return request_answer(rq, &route_timeout);
}
