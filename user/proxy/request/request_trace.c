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

enum { LOOKS = 4, LOOK_NS = 20000 };

static uint64_t ns_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* How far CLOCK_REALTIME is ahead of CLOCK_MONOTONIC, the loop's. Spans of one trace are of several
 * threads: a thread that is interrupted between two looks looks again. */
static uint64_t ahead_ns(void)
{
	uint64_t before, now, ahead = 0;

	for (int i = 0; i < LOOKS; i++) {
		before = ns_of(CLOCK_MONOTONIC);
		ahead = ns_of(CLOCK_REALTIME) - before;
		now = ns_of(CLOCK_MONOTONIC);
		if (now - before < LOOK_NS)
			break;
	}
	return ahead;
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

/* When it is told. */
struct moment {
	uint64_t now_us, ahead_ns;
};

static void add_client(struct request *rq, bool innermost, const struct moment *at,
		       struct trace_span *to)
{
	if (innermost)
		memcpy(to->id, rq->headers.span, SPAN_ID);
	else
		random_hex(&rq->worker->io.random, to->id, SPAN_ID);
	to->start_ns = at->ahead_ns + rq->started_us * 1000;
	to->end_ns = at->ahead_ns + at->now_us * 1000;
	add_tags(rq, NULL, to);
}

static void add_server(const struct request *rq, const struct moment *at, struct trace_span *to)
{
	memcpy(to->id, rq->headers.span, SPAN_ID);
	to->start_ns = at->ahead_ns + rq->reached_us * 1000;
	to->end_ns = at->ahead_ns + (rq->left_us ? rq->left_us : at->now_us) * 1000;
	add_tags(rq, &rq->endpoint, to);
}

void request_trace(struct request *rq)
{
	const struct worker_options *o = &rq->worker->options;
	const bool client = has_client(rq),
		   server = rq->end.reached && rq->end.in_mesh && rq->end.traced;
	char flags[FLAGS_TEXT];
	struct trace_entry e;
	struct moment at;

	if (!o->trace || (!client && !server))
		return;
	at = (struct moment){ loop_now_us(rq->worker->io.loop), ahead_ns() };
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
		add_client(rq, !server, &at, &e.client);
	if (server)
		add_server(rq, &at, &e.server);
	o->trace(o->log_arg, &e);
	rq->worker->unflushed = true;
}
