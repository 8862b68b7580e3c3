// SPDX-License-Identifier: Apache-2.0
#include "proxy/request/request_trace.h"

#include <string.h>
#include <time.h>

#include "weft/traffic.h"

/* In clear, the weft-proxy of the caller's node has made both, and what it says of them goes on. */
bool request_is_traced(const struct request *rq)
{
	const struct plan_traffic *t = &rq->plan.traffic;

	return rq->plan.tracing.told && (!t->uncounted || t->mutual);
}

static bool has_client(const struct request *rq)
{
	const struct plan_traffic *t = &rq->plan.traffic;

	return rq->plan.tracing.client && !t->mutual && t->reporters & TRAFFIC_SOURCE;
}

/* By mutual TLS the endpoint's own weft-proxy makes it. */
static bool has_server(const struct target *t)
{
	return t->in_mesh && t->traced && !t->tls.peer;
}

bool request_trace_tells(const struct request *rq)
{
	return has_client(rq) || has_server(&rq->target);
}

void request_trace_reach(struct request *rq)
{
	rq->reached_us = loop_now_us(rq->worker->io.loop);
	rq->left_us = 0;
}

/* ---- times ---- */

static uint64_t ns_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The loop's clock is CLOCK_MONOTONIC. */
static void set_times(struct trace_span *s, uint64_t begin_us, uint64_t end_us)
{
	const uint64_t ahead = ns_of(CLOCK_REALTIME) - ns_of(CLOCK_MONOTONIC);

	s->start_ns = ahead + begin_us * 1000;
	s->end_ns = ahead + end_us * 1000;
}

/* ---- tags ---- */

struct tagging {
	const struct request *rq;
	struct trace_span *to;
};

static struct h1_span field(const struct request *rq, struct h1_span name)
{
	const struct h1_message *m = &rq->request.m;

	for (size_t i = 0; i < m->header_count; i++)
		if (h1_same_nocase(m->headers[i].name, name))
			return m->headers[i].value;
	return (struct h1_span){ 0 };
}

static void tag(void *arg, const struct route_tag *t)
{
	const struct tagging *g = arg;
	struct h1_span value = t->value;

	if (t->header.n) {
		const struct h1_span came = field(g->rq, t->header);

		value = came.p ? came : value;
		if (!value.n)
			return;
	}
	if (g->to->tag_count == TRACE_TAGS_MAX)
		return;
	g->to->tags[g->to->tag_count].name = t->name;
	g->to->tags[g->to->tag_count++].value = value;
}

static void add_tags(const struct request *rq, const struct addr *endpoint, struct trace_span *to)
{
	struct router *r = rq->worker->router;

	if (r->tags)
		r->tags(r, &rq->plan, endpoint, tag, &(struct tagging){ rq, to });
}

/* ---- what is told ---- */

static void add_client(struct request *rq, bool innermost, uint64_t now, struct trace_span *to)
{
	if (innermost)
		memcpy(to->id, rq->headers.span, SPAN_ID);
	else
		random_hex(&rq->worker->io.random, to->id, SPAN_ID);
	set_times(to, rq->started_us, now);
	add_tags(rq, NULL, to);
}

static void add_server(const struct request *rq, uint64_t now, struct trace_span *to)
{
	memcpy(to->id, rq->headers.span, SPAN_ID);
	set_times(to, rq->reached_us, rq->left_us ? rq->left_us : now);
	add_tags(rq, &rq->endpoint, to);
}

void request_trace(struct request *rq)
{
	const struct worker_options *o = &rq->worker->options;
	const uint64_t now = loop_now_us(rq->worker->io.loop);
	const bool client = has_client(rq),
		   server = rq->end.reached && rq->end.in_mesh && rq->end.traced;
	char flags[FLAGS_TEXT];
	struct trace_entry e;

	if (!o->trace || (!client && !server))
		return;
	e.trace_id = rq->headers.trace_id;
	e.parent_id = rq->headers.parent_id;
	e.gateway = rq->plan.gateway;
	e.source = rq->plan.traffic.source;
	e.destination = rq->end.reached ? rq->end.peer : 0;
	e.cluster = rq->plan.traffic.cluster;
	e.host = rq->plan.traffic.host;
	e.scheme = rq->plan.scheme;
	e.client.id[0] = e.server.id[0] = '\0';
	e.client.tag_count = e.server.tag_count = 0;
	request_entry(rq, flags, &e.access);
	if (client)
		add_client(rq, !server, now, &e.client);
	if (server)
		add_server(rq, now, &e.server);
	o->trace(o->log_arg, &e);
	rq->worker->unflushed = true;
}
