// SPDX-License-Identifier: Apache-2.0
/*
 * What becomes of a request and its tries, in the counters of its cluster and route.
 */
#include "proxy/request/request.h"

void request_count_pending(struct request *rq)
{
	if (rq->pends)
		return;
	rq->pends = true;
	stat_inc(&rq->plan.cluster->upstream_rq_pending_total);
	gauge_inc(rq->plan.cluster->upstream_rq_pending_active);
}

static void no_longer_pending(struct request *rq)
{
	if (rq->pends)
		gauge_dec(rq->plan.cluster->upstream_rq_pending_active);
	rq->pends = false;
}

void request_count_attached(struct request *rq)
{
	no_longer_pending(rq);
	rq->active = true;
	stat_inc(&rq->plan.cluster->upstream_rq_total);
	gauge_inc(rq->plan.cluster->upstream_rq_active);
	stat_inc(&rq->plan.route->upstream_rq_total);
}

static bool ended_by_endpoint(const struct upstream *up)
{
	return up && (up->half.eof || up->half.hup || up->half.broken);
}

void request_count_end(struct request *rq, const struct upstream *up, enum outcome outcome)
{
	struct http_cluster_stat *s = rq->plan.cluster;

	if (rq->pends)
		stat_inc(outcome == OUTCOME_CONNECT ? &s->upstream_rq_pending_failure_eject
						    : &s->upstream_rq_cancelled);
	no_longer_pending(rq);
	if (!rq->active)
		return;
	rq->active = false;
	gauge_dec(s->upstream_rq_active);
	if (outcome != OUTCOME_STATUS)
		stat_inc(ended_by_endpoint(up) ? &s->upstream_rq_rx_reset
					       : &s->upstream_rq_tx_reset);
}

void request_count_failure(struct request *rq, enum failure f)
{
	struct http_cluster_stat *s = rq->plan.cluster;

	if (f == FAIL_NETWORK_POLICY)
		stat_inc(&s->network_policy);
	else if (f == FAIL_CONNECT_TIMEOUT)
		stat_inc(&s->upstream_cx_connect_timeout);
	else if (f == FAIL_PROTOCOL)
		stat_inc(&s->upstream_cx_protocol_error);
	else if (f == FAIL_TIMEOUT)
		stat_inc(&s->upstream_rq_per_try_timeout);
}

void request_count_timeout(struct request *rq)
{
	/* Between two tries nothing is being waited for. */
	if (!rq->picked)
		return;
	stat_inc(&rq->plan.cluster->upstream_rq_timeout);
	stat_inc(&rq->plan.route->upstream_rq_timeout);
}

void request_count_retry(struct request *rq)
{
	stat_inc(&rq->plan.cluster->upstream_rq_retry);
	stat_inc(&rq->plan.route->upstream_rq_retry);
}

void request_count_no_retry(struct request *rq, bool overflow)
{
	struct http_cluster_stat *c = rq->plan.cluster;
	struct http_route_stat *r = rq->plan.route;

	stat_inc(overflow ? &c->upstream_rq_retry_overflow : &c->upstream_rq_retry_limit_exceeded);
	stat_inc(overflow ? &r->upstream_rq_retry_overflow : &r->upstream_rq_retry_limit_exceeded);
}

void request_count_good(struct request *rq)
{
	if (rq->tries - rq->again < 2)
		return;
	stat_inc(&rq->plan.cluster->upstream_rq_retry_success);
	stat_inc(&rq->plan.route->upstream_rq_retry_success);
}

void request_count_answer(struct request *rq)
{
	stat_cluster_answer(rq->plan.cluster, rq->status);
	stat_route_answer(rq->plan.route, rq->status);
}

void request_count_time(struct request *rq)
{
	/* An endpoint may have answered without waiting for all of the request. */
	uint64_t from = rq->timed ? rq->asked : rq->started;
	uint64_t ms = loop_now(rq->worker->io.loop) - from;

	stat_time(&rq->plan.cluster->upstream_rq_time, ms);
	stat_time(&rq->plan.route->upstream_rq_time, ms);
}
