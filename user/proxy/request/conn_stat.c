// SPDX-License-Identifier: Apache-2.0
/*
 * What becomes of a request and its tries, in the counters of its cluster and route.
 */
#include "proxy/request/conn.h"

void conn_count_pending(struct exchange *x)
{
	if (x->pends)
		return;
	x->pends = true;
	stat_inc(&x->plan.cluster->upstream_rq_pending_total);
	stat_inc(&x->plan.cluster->upstream_rq_pending_active);
}

static void no_longer_pending(struct exchange *x)
{
	if (x->pends)
		stat_dec(&x->plan.cluster->upstream_rq_pending_active);
	x->pends = false;
}

void conn_count_attached(struct exchange *x)
{
	no_longer_pending(x);
	x->active = true;
	stat_inc(&x->plan.cluster->upstream_rq_total);
	stat_inc(&x->plan.cluster->upstream_rq_active);
	stat_inc(&x->plan.route->upstream_rq_total);
}

static bool ended_by_endpoint(const struct upstream *up)
{
	return up && (up->half.eof || up->half.hup || up->half.broken);
}

void conn_count_end(struct exchange *x, const struct upstream *up, enum outcome outcome)
{
	struct http_cluster_stat *s = x->plan.cluster;

	if (x->pends)
		stat_inc(outcome == OUTCOME_CONNECT ? &s->upstream_rq_pending_failure_eject
						    : &s->upstream_rq_cancelled);
	no_longer_pending(x);
	if (!x->active)
		return;
	x->active = false;
	stat_dec(&s->upstream_rq_active);
	if (outcome != OUTCOME_STATUS)
		stat_inc(ended_by_endpoint(up) ? &s->upstream_rq_rx_reset
					       : &s->upstream_rq_tx_reset);
}

void conn_count_failure(struct exchange *x, enum failure f)
{
	struct http_cluster_stat *s = x->plan.cluster;

	if (f == FAIL_CONNECT_TIMEOUT)
		stat_inc(&s->upstream_cx_connect_timeout);
	else if (f == FAIL_PROTOCOL)
		stat_inc(&s->upstream_cx_protocol_error);
	else if (f == FAIL_TIMEOUT)
		stat_inc(&s->upstream_rq_per_try_timeout);
}

void conn_count_timeout(struct exchange *x)
{
	/* Between two tries nothing is being waited for. */
	if (!x->picked)
		return;
	stat_inc(&x->plan.cluster->upstream_rq_timeout);
	stat_inc(&x->plan.route->upstream_rq_timeout);
}

void conn_count_retry(struct exchange *x)
{
	stat_inc(&x->plan.cluster->upstream_rq_retry);
	stat_inc(&x->plan.route->upstream_rq_retry);
}

void conn_count_no_retry(struct exchange *x, bool overflow)
{
	struct http_cluster_stat *c = x->plan.cluster;
	struct http_route_stat *r = x->plan.route;

	stat_inc(overflow ? &c->upstream_rq_retry_overflow : &c->upstream_rq_retry_limit_exceeded);
	stat_inc(overflow ? &r->upstream_rq_retry_overflow : &r->upstream_rq_retry_limit_exceeded);
}

void conn_count_good(struct exchange *x)
{
	if (x->tries - x->again < 2)
		return;
	stat_inc(&x->plan.cluster->upstream_rq_retry_success);
	stat_inc(&x->plan.route->upstream_rq_retry_success);
}

void conn_count_answer(struct exchange *x)
{
	stat_cluster_answer(x->plan.cluster, x->status);
	stat_route_answer(x->plan.route, x->status);
}

void conn_count_time(struct conn *c)
{
	/* An endpoint may have answered without waiting for all of the request. */
	uint64_t from = c->x->timed ? c->x->asked : c->x->started;
	uint64_t ms = loop_now(c->worker->io.loop) - from;

	stat_time(&c->x->plan.cluster->upstream_rq_time, ms);
	stat_time(&c->x->plan.route->upstream_rq_time, ms);
}
