// SPDX-License-Identifier: Apache-2.0
/*
 * From the first byte of a request to the decision what is to be done with it, and its end.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/request/conn.h"
#include "proxy/request/response_flags.h"
#include "lib/route/path.h"
#include "proxy/request/mirror.h"

enum {
	LINGER_MS = 2000,
	/* Bytes of a body that are kept. For the rules' retries, as many as Envoy keeps
	 * (per_connection_buffer_limit_bytes); else for one try where a connection was stale. */
	KEEP_RETRIES = 1024 * 1024,
	KEEP_STALE = BUF_SIZE,
	SPARES = 256, /* exchanges that a worker keeps: malloc() takes long for their size */
};

static struct exchange *take(struct worker *w)
{
	struct exchange *x = w->spare;

	if (!x)
		return malloc(sizeof(*x));
	w->spare = x->spare;
	w->spares--;
	return x;
}

static void give(struct worker *w, struct exchange *x)
{
	if (w->spares == SPARES) {
		free(x);
		return;
	}
	x->spare = w->spare;
	w->spare = x;
	w->spares++;
}

void conn_free_spares(struct worker *w)
{
	while (w->spare)
		free(take(w));
}

static struct exchange *exchange_new(struct conn *c)
{
	struct exchange *x = take(c->worker);
	const size_t headers = sizeof(x->request.m.headers);
	const size_t end = offsetof(struct exchange, added);

	if (!x)
		return NULL;
	/* The fields are filled in by the parser, as many as there are. */
	memset((char *)x + headers, 0, end - headers);
	x->added.count = 0;
	x->added.request_id = (struct h1_span){ 0 };
	x->started = loop_now(c->worker->loop);
	return x;
}

/* Behind it there may be the next request already. */
static uint64_t body_bytes(const struct conn *c)
{
	const struct half *h = &c->client;
	uint64_t n = h->received - c->x->received_before;

	return body_received(h) ? n - (buf_len(&h->in) - h->body.kept - h->body.ready) : n;
}

static void fill_entry(const struct conn *c, char flags[FLAGS_TEXT], struct access_entry *e)
{
	const struct exchange *x = c->x;
	uint64_t sent = c->client.sent - x->sent_before;

	*e = (struct access_entry){
		.request = x->planned ? &x->request : NULL,
		.plan = x->planned ? &x->plan : NULL,
		.status = x->status,
		.flags = flags_text(x->flags, flags),
		.details = x->flags & flags_of("DC") ? "downstream_remote_disconnect" : x->details,
		.received = body_bytes(c),
		.sent = sent > x->heads ? sent - x->heads : 0,
		.duration_ms = loop_now(c->worker->loop) - x->started,
		.request_id = x->added.request_id,
		.service_ms = x->answered ? (int64_t)(x->answered - x->asked) : -1,
		.tries = x->tries,
		.client = c->client_addr,
		.called = c->called,
		.local = x->local,
		.local_port = x->local_port,
		.endpoint = x->endpoint,
		.client_port = c->client_port,
		.called_port = c->called_port,
		.endpoint_port = x->endpoint_port,
	};
}

static void write_log(struct conn *c)
{
	const struct worker_options *o = &c->worker->options;
	char flags[FLAGS_TEXT];
	struct access_entry e;

	if (!o->log)
		return;
	fill_entry(c, flags, &e);
	o->log(o->log_arg, &e);
	c->worker->unflushed = true;
}

void conn_forget_exchange(struct conn *c)
{
	struct exchange *x = c->x;
	struct worker *w = c->worker;

	if (!x)
		return;
	write_log(c);
	conn_end_retry(x);
	c->client.tee = NULL;
	mirrors_leave(c, body_received(&c->client));
	if (x->planned)
		w->router->release(w->router, &x->plan);
	buf_release(&w->supply, &x->plan.text);
	buf_release(&w->supply, &x->head);
	loop_timer_clear(w->loop, &c->deadline);
	c->over = false;
	give(w, x);
	c->x = NULL;
}

/* Bytes behind the head: of the body, or of the next request. */
static int keep_head(struct conn *c, size_t n)
{
	struct buf *in = &c->client.in;
	struct exchange *x = c->x;
	size_t rest = buf_len(in) - n;

	x->head = *in;
	*in = (struct buf){ 0 };
	return rest ? buf_append(&c->worker->supply, in, buf_at(&x->head) + n, rest) : 0;
}

static bool same(struct h1_span a, struct h1_span b)
{
	return a.n == b.n && !memcmp(a.p, b.p, a.n);
}

static void identify(struct conn *c)
{
	const struct exchange *x = c->x;
	const struct added_ask a = {
		.request = &x->request,
		.scheme = x->plan.scheme,
		.gateway = x->plan.gateway,
		.client = c->client_addr,
		.rewritten = x->plan.path.p && x->request.path.p &&
			     !same(x->plan.path, x->request.path),
	};

	added_make(&c->x->added, &a, &c->worker->random);
}

/* A tunnel would go past all rules. As Envoy says it where CONNECT is not configured. */
static void refuse_tunnel(struct exchange *x)
{
	x->plan.action = PLAN_ANSWER;
	x->plan.answer =
		(struct plan_answer){ .status = 403, .flags = "-", .details = "upgrade_failed" };
	x->plan.delay_ms = 0;
	/* The client may have sent what is for the tunnel: it is no request. */
	x->close = true;
}

static void ask(struct conn *c)
{
	struct worker *w = c->worker;
	const struct route_ask a = {
		.request = &c->x->request,
		.client = c->client_addr,
		.called = c->called,
		.client_port = c->client_port,
		.called_port = c->called_port,
		.called_node = upstream_is_node(&w->upstreams, &c->called),
	};

	w->stats.requests++;
	w->router->plan(w->router, &a, &w->supply, &c->x->plan);
	c->x->planned = true;
	if (c->x->request.is_connect)
		refuse_tunnel(c->x);
	c->client.body.keep = c->x->plan.retries ? KEEP_RETRIES : KEEP_STALE;
	if (c->x->plan.identify)
		identify(c);
}

static void copy_body(struct half *h, const char *bytes, size_t n)
{
	mirrors_copy((struct conn *)h, bytes, n);
}

static enum step act(struct conn *c)
{
	const struct plan *p = &c->x->plan;

	if (p->action == PLAN_ANSWER)
		return conn_answer(c, &p->answer);
	conn_time(c);
	/* Unless it is told to go on, the client may wait as long as the endpoint does. */
	if (p->timeout_ms && c->x->request.expect_continue && !c->x->timed)
		loop_timer_set(c->worker->loop, &c->deadline, p->timeout_ms);
	if (p->mirror_count)
		mirrors_begin(c);
	if (c->x->mirrors)
		c->client.tee = copy_body;
	return conn_try(c);
}

static enum step begin(struct conn *c, size_t n)
{
	struct exchange *x = c->x;
	struct h1_request *q = &x->request;

	x->received_before = c->client.received - (buf_len(&c->client.in) - n);
	x->sent_before = c->client.sent;
	c->seen = 0;
	if (keep_head(c, n))
		return STEP_END;
	x->close = !q->m.keep_alive;
	/* A body after an upgrade would have to be told from what follows it: upgrading is
	 * optional. */
	if (q->m.framing != H1_NO_BODY)
		q->m.has_upgrade = false;
	body_begin(&c->client, q->m.framing, q->m.content_length);
	if (body_scan(&c->client))
		return conn_answer_bad(c, H1_ERR_CHUNK);
	conn_wait(c, 0);
	ask(c);
	if (!x->plan.delay_ms)
		return act(c);
	flags_add(&x->flags, "DI");
	c->state = CONN_DELAY;
	conn_wait(c, x->plan.delay_ms);
	return STEP_WAIT;
}

enum step conn_step_delay(struct conn *c)
{
	if (conn_client_gone(c))
		return STEP_END;
	return c->fired ? act(c) : STEP_WAIT;
}

/* The path as rules and endpoints are to see it. It lies in the buffer, unless it is one that stays
 * as it is. */
static void normalize(struct h1_request *q)
{
	char *path = (char *)q->path.p;

	/* "http://a?b": the path before the query is "/", for which the target moves by one. */
	if (q->path.n && *path == '?') {
		memmove((char *)q->target.p - 1, q->target.p, (size_t)(path - q->target.p));
		q->target = (struct h1_span){ q->target.p - 1, q->target.n + 1 };
		q->authority.p--;
		*--path = '/';
		q->path = (struct h1_span){ path, q->path.n + 1 };
	}
	q->path.n = http_path_normalize(path, q->path.n);
}

static enum step parse(struct conn *c)
{
	struct buf *in = &c->client.in;
	struct exchange *x = exchange_new(c);
	int n;

	if (!x)
		return STEP_END;
	n = h1_parse_request(buf_at(in), buf_len(in), c->seen, &x->request);
	if (n == H1_MORE) {
		c->seen = buf_len(in);
		give(c->worker, x);
		return STEP_AGAIN;
	}
	c->x = x;
	if (n < 0)
		return conn_answer_bad(c, x->request.m.error);
	normalize(&x->request);
	return begin(c, (size_t)n);
}

static enum step no_more_bytes(struct conn *c, long r)
{
	static const struct plan_answer slow = { .status = 408,
						 .flags = "DT",
						 .details = "request_header_timeout" };

	if (r != -EAGAIN)
		return STEP_END;
	if (!c->fired)
		return STEP_WAIT;
	if (!c->seen)
		return STEP_END;
	c->x = exchange_new(c);
	if (!c->x)
		return STEP_END;
	c->x->close = true;
	return conn_answer(c, &slow);
}

enum step conn_step_head(struct conn *c)
{
	bool idle = !buf_len(&c->client.in);
	long r = -EAGAIN;

	if (buf_len(&c->client.in) > c->seen)
		return parse(c);
	if (c->client.readable)
		r = half_receive(&c->client);
	if (r <= 0)
		return no_more_bytes(c, r);
	if (idle)
		conn_wait(c, c->worker->options.head_timeout_ms);
	return STEP_AGAIN;
}

enum step conn_finish(struct conn *c)
{
	struct worker *w = c->worker;
	bool over = c->x->close || !body_done(&c->client) || c->client.shut || c->client.eof ||
		    __atomic_load_n(&w->stopping, __ATOMIC_RELAXED);

	conn_forget_exchange(c);
	if (!over) {
		body_forget(&c->client);
		body_begin(&c->client, H1_NO_BODY, 0);
		c->state = CONN_HEAD;
		c->seen = 0;
		conn_wait(c, buf_len(&c->client.in) ? w->options.head_timeout_ms
						    : w->options.idle_timeout_ms);
		return STEP_AGAIN;
	}
	if (c->client.eof)
		return STEP_END;
	half_shut(&c->client);
	c->state = CONN_LINGER;
	conn_wait(c, LINGER_MS);
	return STEP_AGAIN;
}
