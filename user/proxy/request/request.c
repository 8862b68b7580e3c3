// SPDX-License-Identifier: Apache-2.0
/*
 * A request's life: its memory, what moves it, the decision what is to be done with it, its end.
 */
#include "proxy/request/request.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/request/mirror.h"
#include "proxy/request/request_trace.h"
#include "proxy/request/request_traffic.h"

enum {
	TURN_STEPS = 32, /* that a request may take before others have their turn */
	/* Bytes of a body that are kept. For the rules' retries, as many as Envoy keeps
	 * (per_connection_buffer_limit_bytes); else for one try where a connection was stale. */
	KEEP_RETRIES = 1024 * 1024,
	KEEP_STALE = BUF_SIZE,
	SPARES = 256, /* requests that a worker keeps: malloc() takes long for their size */
};

static enum step (*const steps[REQUEST_STATES])(struct request *rq) = {
	[REQUEST_DELAY] = request_step_delay,	  [REQUEST_PENDING] = request_step_pending,
	[REQUEST_CONNECT] = request_step_connect, [REQUEST_FORWARD] = request_step_forward,
	[REQUEST_BACKOFF] = request_step_backoff, [REQUEST_RESPONSE] = request_step_response,
	[REQUEST_TUNNEL] = request_step_tunnel,	  [REQUEST_ANSWER] = request_step_answer,
};

/* ---- events ---- */

void request_upstream_changed(struct upstream *u)
{
	request_run(u->owner);
}

static void timer_fired(struct loop_timer *t)
{
	struct request *rq = (struct request *)((char *)t - offsetof(struct request, timer));

	/* It stays set when the state stops caring: that costs less than taking it out. */
	if (!rq->waiting)
		return;
	rq->fired = true;
	request_run(rq);
}

static void deadline_fired(struct loop_timer *t)
{
	struct request *rq = (struct request *)((char *)t - offsetof(struct request, deadline));

	rq->over = true;
	request_run(rq);
}

static void run_later(struct worker_task *t)
{
	request_run((struct request *)((char *)t - offsetof(struct request, later)));
}

void request_wait(struct request *rq, uint64_t ms)
{
	rq->fired = false;
	rq->waiting = ms > 0;
	rq->moved = rq->down->half.received + rq->down->half.sent;
	if (ms)
		loop_timer_set(rq->worker->io.loop, &rq->timer, ms);
}

enum step request_step_to_send(const struct request *rq)
{
	const struct loop *l = rq->worker->io.loop;
	bool plain = transport_is_tcp(&rq->down->half.transport) &&
		     transport_is_tcp(&rq->up->half.transport);

	/* A time that is over would be so before it is sent. */
	if (plain || !loop_has_more(l) || loop_timer_is_due(l, &rq->deadline) ||
	    loop_timer_is_due(l, &rq->timer))
		return STEP_AGAIN;
	return STEP_LATER;
}

bool request_stuck(struct request *rq, uint64_t ms)
{
	if (!rq->fired)
		return false;
	if (rq->down->half.received + rq->down->half.sent == rq->moved)
		return true;
	request_wait(rq, ms);
	return false;
}

/*
 * The client has closed its connection. TCP doesn't tell that from a half-close, behind which the
 * client still reads; but one that has asked to keep the connection would not half-close it.
 */
static bool has_left(struct request *rq)
{
	struct half *h = &rq->down->half;
	size_t of_body = (size_t)h->body.kept + h->body.ready;

	if (!h->hup || !rq->request.m.keep_alive || !body_received(h))
		return false;
	/* There may be further requests before the end. */
	if (!h->eof && buf_len(&h->in) == of_body)
		(void)half_receive(h);
	return h->eof && buf_len(&h->in) == of_body;
}

bool request_client_gone(struct request *rq)
{
	if (!rq->down->half.broken && !has_left(rq))
		return false;
	flags_add(&rq->flags, "DC");
	return true;
}

void request_time(struct request *rq)
{
	if (rq->timed || !body_received(&rq->down->half))
		return;
	rq->timed = true;
	rq->asked = loop_now(rq->worker->io.loop);
	if (rq->plan.timeout_ms)
		loop_timer_set(rq->worker->io.loop, &rq->deadline, rq->plan.timeout_ms);
}

/* What holds between events, whatever the state. */
static void check(const struct request *rq)
{
	const struct half *client = &rq->down->half;

	assert(rq->down->request == rq);
	assert(!rq->up || (rq->up->owner == rq && !rq->up->conn->link));
	assert(!rq->picked == (!rq->up && rq->state != REQUEST_PENDING));
	assert(!rq->pending == (rq->state != REQUEST_PENDING));
	assert((rq->state != REQUEST_FORWARD && rq->state != REQUEST_CONNECT &&
		rq->state != REQUEST_TUNNEL) ||
	       rq->up);
	assert(buf_len(&client->in) >= (size_t)client->body.kept + client->body.ready);
	(void)client;
	(void)rq;
}

static void end(struct request *rq, bool whole)
{
	struct downstream *d = rq->down;
	enum downstream_end how = rq->close ? DOWNSTREAM_LAST : DOWNSTREAM_DONE;

	request_forget(rq);
	d->ops->over(d, whole ? how : DOWNSTREAM_CUT);
}

void request_enter(struct request *rq, enum step first)
{
	enum step r = first;

	for (int n = 0; r == STEP_AGAIN && n < TURN_STEPS; n++)
		r = steps[rq->state](rq);
	rq->running = false;
	if (r == STEP_DONE || r == STEP_END) {
		end(rq, r == STEP_DONE);
		return;
	}
	check(rq);
	if (r != STEP_WAIT)
		worker_later(&rq->worker->io, &rq->later);
}

void request_run(struct request *rq)
{
	/* A step may close a socket of this request, which calls back. */
	if (rq->running)
		return;
	rq->running = true;
	request_enter(rq, STEP_AGAIN);
}

/* ---- its memory ---- */

static struct request *take(struct http_worker *w)
{
	struct request *rq = w->spare;

	if (rq) {
		w->spare = rq->spare;
		w->spares--;
		return rq;
	}
	rq = malloc(sizeof(*rq));
	if (!rq)
		return NULL;
	rq->timer = (struct loop_timer){ .fire = timer_fired };
	rq->deadline = (struct loop_timer){ .fire = deadline_fired };
	rq->later = (struct worker_task){ .run = run_later };
	return rq;
}

static void discard(struct http_worker *w, struct request *rq)
{
	loop_timer_clear(w->io.loop, &rq->timer);
	free(rq);
}

static void give(struct http_worker *w, struct request *rq)
{
	if (w->spares == SPARES) {
		discard(w, rq);
		return;
	}
	rq->spare = w->spare;
	w->spare = rq;
	w->spares++;
}

void request_free_spares(struct http_worker *w)
{
	while (w->spare)
		discard(w, take(w));
}

struct request *request_new(struct http_worker *w, struct downstream *down)
{
	struct request *rq = take(w);
	const size_t headers = sizeof(rq->request.m.headers);
	const size_t end = offsetof(struct request, headers);

	if (!rq)
		return NULL;
	/* The fields are filled in by the parser, as many as there are. */
	memset((char *)rq + headers, 0, end - headers);
	rq->headers.count = 0;
	rq->headers.sampled = false;
	rq->headers.request_id = (struct h1_span){ 0 };
	rq->worker = w;
	rq->down = down;
	rq->running = true;
	rq->started = loop_now(w->io.loop);
	rq->started_us = loop_now_us(w->io.loop);
	rq->next = w->requests;
	rq->link = &w->requests;
	if (rq->next)
		rq->next->link = &rq->next;
	w->requests = rq;
	return rq;
}

void request_drop(struct request *rq)
{
	*rq->link = rq->next;
	if (rq->next)
		rq->next->link = rq->link;
	rq->waiting = false;
	give(rq->worker, rq);
}

/* ---- its end ---- */

/* Behind it there may be the next request already. */
static uint64_t body_bytes(const struct request *rq)
{
	const struct half *h = &rq->down->half;
	uint64_t n = h->received - rq->received_before;

	return body_received(h) ? n - (buf_len(&h->in) - h->body.kept - h->body.ready) : n;
}

/* Of the response, as far as the client was sent it. */
static uint64_t sent_bytes(const struct request *rq)
{
	uint64_t sent = rq->down->half.sent - rq->sent_before;

	return sent > rq->heads ? sent - rq->heads : 0;
}

void request_entry(const struct request *rq, char flags[FLAGS_TEXT], struct access_entry *out)
{
	*out = (struct access_entry){
		.request = rq->planned ? &rq->request : NULL,
		.tls = rq->down->tls,
		.plan = rq->planned ? &rq->plan : NULL,
		.status = rq->status,
		.flags = flags_text(rq->flags, flags),
		.details = rq->flags & flags_of("DC") ? "downstream_remote_disconnect"
						      : rq->details,
		.audit = rq->audit,
		.received = body_bytes(rq),
		.sent = sent_bytes(rq),
		.duration_ms = loop_now(rq->worker->io.loop) - rq->started,
		.request_id = rq->headers.request_id,
		.service_ms = rq->answered ? (int64_t)(rq->answered - rq->asked) : -1,
		.tries = rq->tries,
		.client = rq->down->client_addr,
		.called = rq->down->called,
		.local = rq->local,
		.local_port = rq->local_port,
		.endpoint = rq->endpoint,
		.client_port = rq->down->client_port,
		.called_port = rq->down->called_port,
		.endpoint_port = rq->endpoint_port,
	};
}

static void write_log(struct request *rq)
{
	const struct worker_options *o = &rq->worker->options;
	char flags[FLAGS_TEXT];
	struct access_entry e;

	if (!o->log || (o->log_wants && !o->log_wants(o->log_arg, loop_now(rq->worker->io.loop))))
		return;
	request_entry(rq, flags, &e);
	o->log(o->log_arg, &e);
	rq->worker->unflushed = true;
}

void request_forget(struct request *rq)
{
	struct http_worker *w = rq->worker;

	worker_not_later(&w->io, &rq->later);
	request_leave_queue(rq);
	request_try_end(rq, OUTCOME_ABANDONED, rq->status, false);
	write_log(rq);
	if (rq->headers.sampled)
		request_trace(rq);
	request_traffic_count(rq, body_bytes(rq), sent_bytes(rq));
	request_end_retry(rq);
	rq->down->half.tee = NULL;
	mirrors_leave(rq, body_received(&rq->down->half));
	if (rq->planned)
		w->router->release(w->router, &rq->plan);
	buf_release(&w->io.buffers, &rq->plan.text);
	buf_release(&w->io.buffers, &rq->head);
	loop_timer_clear(w->io.loop, &rq->deadline);
	request_drop(rq);
}

/* ---- what is to be done ---- */

static bool same(struct h1_span a, struct h1_span b)
{
	return a.n == b.n && !memcmp(a.p, b.p, a.n);
}

static void identify(struct request *rq)
{
	const struct route_tls *tls = rq->down->tls;
	const struct request_headers_ask a = {
		.request = &rq->request,
		.scheme = rq->plan.scheme,
		.gateway = rq->plan.gateway,
		.client = rq->down->client_addr,
		.peer = tls ? &tls->facts.peer : NULL,
		.mutual = tls && tls->mutual,
		.rewritten = rq->plan.path.p && rq->request.path.p &&
			     !same(rq->plan.path, rq->request.path),
		.sampling = rq->plan.tracing.sampling,
		.told = request_is_traced(rq),
	};

	request_headers_make(&rq->headers, &a, &rq->worker->io.random);
}

/* A tunnel would go past all rules. As Envoy says it where CONNECT is not configured. */
static void refuse_tunnel(struct request *rq)
{
	rq->plan.action = PLAN_ANSWER;
	rq->plan.answer =
		(struct plan_answer){ .status = 403, .flags = "-", .details = "upgrade_failed" };
	rq->plan.delay_ms = 0;
	/* The client may have sent what is for the tunnel: it is no request. */
	rq->close = true;
}

static void ask(struct request *rq)
{
	struct http_worker *w = rq->worker;
	const struct route_ask a = {
		.request = &rq->request,
		.tls = rq->down->tls,
		.client = rq->down->client_addr,
		.called = rq->down->called,
		.client_port = rq->down->client_port,
		.called_port = rq->down->called_port,
		.called_node = upstream_is_node(&w->upstreams, &rq->down->called),
	};

	w->stats.requests++;
	w->router->plan(w->router, &a, &w->io.buffers, &rq->plan);
	rq->planned = true;
	if (rq->request.is_connect)
		refuse_tunnel(rq);
	rq->down->half.body.keep = rq->plan.retries ? KEEP_RETRIES : KEEP_STALE;
	if (rq->plan.identify)
		identify(rq);
}

static void copy_body(struct half *h, const char *bytes, size_t n)
{
	mirrors_copy(((struct downstream *)h)->request, bytes, n);
}

static enum step act(struct request *rq)
{
	const struct plan *p = &rq->plan;

	if (p->action == PLAN_ANSWER)
		return request_answer(rq, &p->answer);
	request_time(rq);
	/* Unless it is told to go on, the client may wait as long as the endpoint does. */
	if (p->timeout_ms && rq->request.expect_continue && !rq->timed)
		loop_timer_set(rq->worker->io.loop, &rq->deadline, p->timeout_ms);
	if (p->mirror_count)
		mirrors_begin(rq);
	if (rq->mirrors)
		rq->down->half.tee = copy_body;
	return request_try(rq);
}

enum step request_begin(struct request *rq)
{
	ask(rq);
	if (!rq->plan.delay_ms)
		return act(rq);
	flags_add(&rq->flags, "DI");
	rq->state = REQUEST_DELAY;
	request_wait(rq, rq->plan.delay_ms);
	return STEP_WAIT;
}

enum step request_step_delay(struct request *rq)
{
	if (request_client_gone(rq))
		return STEP_END;
	return rq->fired ? act(rq) : STEP_WAIT;
}
