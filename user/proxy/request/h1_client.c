// SPDX-License-Identifier: Apache-2.0
#include "proxy/request/h1_client.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/route/path.h"
#include "proxy/h1/http_status.h"
#include "proxy/io/sock.h"
#include "proxy/request/drain.h"
#include "proxy/request/h1_client_peek.h"
#include "proxy/request/h1_client_tls.h"
#include "proxy/request/tunnel.h"

enum {
	TURN_STEPS = 16, /* that a connection may take before others have their turn */
	LINGER_MS = 2000,
	/* A ClientHello that got lost on the wire twice is there by then. */
	HURRY_MS = 1000,
};

void h1_client_wait(struct h1_client *c, uint64_t ms)
{
	c->fired = false;
	c->waiting = ms > 0;
	if (ms)
		loop_timer_set(c->worker->io.loop, &c->timer, ms);
}

void h1_client_linger(struct h1_client *c)
{
	half_shut(&c->down.half);
	c->state = H1_CLIENT_LINGER;
	h1_client_wait(c, LINGER_MS);
}

/* The last answer of a TLS connection whose worker drains: h1_client_drain_tls(). */
static void last_of_drained(struct request *rq)
{
	if (!transport_is_tcp(&rq->down->half.transport) && rq->worker->draining)
		rq->close = true;
}

/* ---- a request's head ---- */

/* Bytes behind the head: of the body, or of the next request. */
static int keep_head(struct request *rq, size_t n)
{
	struct buf *in = &rq->down->half.in;
	size_t rest = buf_len(in) - n;

	rq->head = *in;
	*in = (struct buf){ 0 };
	return rest ? buf_append(&rq->worker->io.buffers, in, buf_at(&rq->head) + n, rest) : 0;
}

static enum step begin(struct request *rq, size_t n)
{
	struct half *h = &rq->down->half;
	struct h1_request *q = &rq->request;

	rq->received_before = h->received - (buf_len(&h->in) - n);
	rq->sent_before = h->sent;
	if (keep_head(rq, n))
		return STEP_END;
	rq->close = !q->m.keep_alive;
	/* A body after an upgrade would have to be told from what follows it: upgrading is
	 * optional. */
	if (q->m.framing != H1_NO_BODY)
		q->m.has_upgrade = false;
	body_begin(h, q->m.framing, q->m.content_length);
	if (body_scan(h))
		return request_answer_bad(rq, H1_ERR_CHUNK);
	return request_begin(rq);
}

/* From now on the request is moved by its own events, until over(). */
static void hand_over(struct h1_client *c, struct request *rq)
{
	c->down.request = rq;
	c->state = H1_CLIENT_REQUEST;
	c->seen = 0;
	h1_client_wait(c, 0);
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

static enum step parse(struct h1_client *c)
{
	struct buf *in = &c->down.half.in;
	struct request *rq = request_new(c->worker, &c->down);
	int n;

	if (!rq)
		return STEP_END;
	n = h1_parse_request(buf_at(in), buf_len(in), c->seen, &rq->request);
	if (n == H1_MORE) {
		c->seen = buf_len(in);
		request_drop(rq);
		return STEP_AGAIN;
	}
	hand_over(c, rq);
	if (n < 0) {
		request_enter(rq, request_answer_bad(rq, rq->request.m.error));
		return STEP_AGAIN;
	}
	normalize(&rq->request);
	request_enter(rq, begin(rq, (size_t)n));
	return STEP_AGAIN;
}

/* Behind mutual TLS to a port of HTTP: HTTP/2 and others are carried on as they are. */
static enum step sort(struct h1_client *c)
{
	const struct buf *in = &c->down.half.in;
	int r = h1_begins(buf_at(in), buf_len(in));

	if (r == H1_MORE && buf_len(in) < H1_MAX_HEAD) {
		c->seen = buf_len(in);
		return STEP_AGAIN;
	}
	c->unsorted = false;
	c->seen = 0;
	return r == H1_BAD ? h1_client_tls_tunnel(c) : parse(c);
}

static enum step too_slow(struct h1_client *c)
{
	static const struct plan_answer slow = { .status = 408,
						 .flags = "DT",
						 .details = "request_header_timeout" };
	struct request *rq = request_new(c->worker, &c->down);

	if (!rq)
		return STEP_END;
	hand_over(c, rq);
	rq->close = true;
	request_enter(rq, request_answer(rq, &slow));
	return STEP_AGAIN;
}

static enum step no_more_bytes(struct h1_client *c, long r)
{
	if (r != -EAGAIN)
		return STEP_END;
	if (!c->fired)
		return STEP_WAIT;
	return c->seen ? too_slow(c) : STEP_END;
}

static enum step step_head(struct h1_client *c)
{
	struct half *h = &c->down.half;
	bool idle = !buf_len(&h->in);
	long r = -EAGAIN;

	if (c->worker->draining) {
		if (transport_is_tcp(&h->transport))
			return drain_client(c) ? STEP_END : STEP_WAIT;
		if (h1_client_is_idle(c))
			return h1_client_drain_tls(c);
	}
	if (buf_len(&h->in) > c->seen)
		return c->unsorted ? sort(c) : parse(c);
	if (h->readable)
		r = half_receive(h);
	if (r <= 0)
		return no_more_bytes(c, r);
	if (idle)
		h1_client_wait(c, c->worker->options.head_timeout_ms);
	return STEP_AGAIN;
}

/* Events go to the request. */
static enum step step_request(struct h1_client *c)
{
	(void)c;
	return STEP_WAIT;
}

static enum step step_tunnel(struct h1_client *c)
{
	return tunnel_run(c->tunnel);
}

/* Closing with bytes unread would send a RST, and that could overtake the response. */
static enum step step_linger(struct h1_client *c)
{
	struct half *h = &c->down.half;
	long r = -EAGAIN;

	buf_release(&c->worker->io.buffers, &h->in);
	body_begin(h, H1_NO_BODY, 0);
	if (h->eof || h->broken || c->fired)
		return STEP_END;
	if (h->readable)
		r = half_receive(h);
	if (r > 0 || h->transport.more)
		return STEP_AGAIN;
	return r == -EAGAIN ? STEP_WAIT : STEP_END;
}

static enum step step_end(struct h1_client *c)
{
	(void)c;
	return STEP_END;
}

static enum step (*const steps[H1_CLIENT_STATES])(struct h1_client *c) = {
	[H1_CLIENT_PEEK] = h1_client_peek, [H1_CLIENT_HANDSHAKE] = h1_client_handshake,
	[H1_CLIENT_HEAD] = step_head,	   [H1_CLIENT_REQUEST] = step_request,
	[H1_CLIENT_TUNNEL] = step_tunnel,  [H1_CLIENT_LINGER] = step_linger,
	[H1_CLIENT_END] = step_end,
};

static void run(struct h1_client *c)
{
	enum step r;
	int n = 0;

	/* A request may be over while its head is still at hand. */
	if (c->running)
		return;
	c->running = true;
	do
		r = steps[c->state](c);
	while (r == STEP_AGAIN && ++n < TURN_STEPS);
	c->running = false;
	if (r == STEP_END) {
		h1_client_close(c);
		return;
	}
	assert(!c->down.request == (c->state != H1_CLIENT_REQUEST));
	if (r != STEP_WAIT)
		worker_later(&c->worker->io, &c->later);
}

/* ---- what the request asks for ---- */

static int send_head(struct request *rq, const struct h1_response *r, bool dechunk)
{
	struct buf *out = &rq->down->half.out;
	size_t before = buf_len(out);
	int error;

	if (r->status >= 200)
		last_of_drained(rq);
	error = head_write_response(&rq->worker->io.buffers, out, rq, r, dechunk);
	rq->heads += buf_len(out) - before;
	return error;
}

static int send_answer(struct request *rq, const struct plan_answer *a)
{
	struct buffer_pool *buffers = &rq->worker->io.buffers;
	struct buf *out = &rq->down->half.out;
	size_t before = buf_len(out);
	int r;

	last_of_drained(rq);
	r = head_write_answer(buffers, out, rq, a);
	rq->heads += buf_len(out) - before;
	if (r || rq->request.is_head || !status_has_body(a->status))
		return r;
	return buf_append(buffers, out, a->body.p, a->body.n);
}

/* HTTP/1 has no other way to tell: an orderly close could be taken for the end of the response. */
static void reset(struct request *rq)
{
	half_reset(&rq->down->half);
}

static void next_request(struct h1_client *c)
{
	const struct worker_options *o = &c->worker->options;
	struct half *h = &c->down.half;

	body_forget(h);
	body_begin(h, H1_NO_BODY, 0);
	c->state = H1_CLIENT_HEAD;
	h1_client_wait(c, buf_len(&h->in) ? o->head_timeout_ms : o->idle_timeout_ms);
}

static void last_request(struct h1_client *c)
{
	if (c->down.half.eof) {
		c->state = H1_CLIENT_END;
		return;
	}
	h1_client_linger(c);
}

static void over(struct downstream *d, enum downstream_end end)
{
	struct h1_client *c = (struct h1_client *)d;
	const struct half *h = &d->half;

	d->request = NULL;
	if (end == DOWNSTREAM_CUT)
		c->state = H1_CLIENT_END;
	else if (end == DOWNSTREAM_LAST || !body_done(h) || h->shut || h->eof ||
		 worker_stopping(&c->worker->io))
		last_request(c);
	else
		next_request(c);
	run(c);
}

/* ---- the connection ---- */

void h1_client_run(struct h1_client *c)
{
	if (c->state == H1_CLIENT_HEAD || c->state == H1_CLIENT_HANDSHAKE ||
	    c->state == H1_CLIENT_PEEK)
		run(c);
}

static void tunnel_changed(struct tunnel *t)
{
	run(t->owner);
}

int h1_client_begin_tunnel(struct h1_client *c, const struct plan *plan, struct h1_span name)
{
	int r = tunnel_new(c->worker, &c->down, plan, name, &c->tunnel);

	if (r)
		return r;
	c->tunnel->owner = c;
	c->tunnel->changed = tunnel_changed;
	c->state = H1_CLIENT_TUNNEL;
	h1_client_wait(c, 0);
	return 0;
}

static void changed(struct half *h)
{
	struct h1_client *c = (struct h1_client *)h;

	if (c->down.request)
		request_run(c->down.request);
	else
		run(c);
}

static void timer_fired(struct loop_timer *t)
{
	struct h1_client *c = (struct h1_client *)((char *)t - offsetof(struct h1_client, timer));

	/* It stays set when the state stops caring: that costs less than taking it out. */
	if (!c->waiting)
		return;
	c->fired = true;
	run(c);
}

static void run_later(struct worker_task *t)
{
	run((struct h1_client *)((char *)t - offsetof(struct h1_client, later)));
}

static int client_new(struct http_worker *w, int fd, struct h1_client **out)
{
	static const struct downstream_ops ops = { send_head, send_answer, reset, over };
	_cleanup_free_ struct h1_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	r = half_open(&c->down.half, fd, w->io.loop, &w->io.buffers, changed);
	if (r)
		return r;
	c->down.half.writable = true;
	c->down.ops = &ops;
	c->state = H1_CLIENT_HEAD;
	c->worker = w;
	c->timer.fire = timer_fired;
	c->later.run = run_later;
	c->next = w->clients;
	c->link = &w->clients;
	if (c->next)
		c->next->link = &c->next;
	w->clients = c;
	*out = TAKE_PTR(c);
	return 0;
}

/* Fills in whose connection it is. */
static void begin_client(struct h1_client *c, const struct addr *client, uint16_t client_port,
			 const struct addr *called, uint16_t called_port)
{
	c->down.client_addr = *client;
	c->down.client_port = client_port;
	c->down.called = *called;
	c->down.called_port = called_port;
	c->worker->stats.connections++;
	c->worker->stats.active++;
}

/* How long the client has to say what it is. */
static uint64_t patience(const struct h1_client *c)
{
	const struct worker_options *o = &c->worker->options;

	if (c->state == H1_CLIENT_HEAD)
		return o->head_timeout_ms;
	return c->state == H1_CLIENT_PEEK && c->hurries && o->handshake_timeout_ms > HURRY_MS
		       ? HURRY_MS
		       : o->handshake_timeout_ms;
}

/* Nothing has been read of it. */
static int begin_fresh(struct h1_client *c)
{
	bool tls = c->worker->router->tls, peeks = tls && h1_client_begin_peek(c);
	int r = tls && !peeks ? h1_client_begin_tls(c) : 0;

	if (r) {
		h1_client_close(c);
		return r;
	}
	h1_client_wait(c, patience(c));
	run(c);
	return 0;
}

int h1_client_serve(struct worker *io, int fd, const struct addr *client, uint16_t client_port,
		    const struct addr *called, uint16_t called_port)
{
	struct h1_client *c;
	int r = client_new((struct http_worker *)io, fd, &c);

	if (r)
		return r;
	begin_client(c, client, client_port, called, called_port);
	return begin_fresh(c);
}

int h1_client_serve_on(struct http_worker *w, int fd, const char *bytes, size_t n, bool fresh)
{
	struct addr client, called;
	uint16_t client_port, called_port;
	int r = sock_adopt(fd, &client, &client_port, &called, &called_port);
	struct h1_client *c;

	if (r) {
		close(fd);
		return r;
	}
	r = client_new(w, fd, &c);
	if (r)
		return r;
	begin_client(c, &client, client_port, &called, called_port);
	if (fresh)
		return begin_fresh(c);
	if (n && buf_append(&w->io.buffers, &c->down.half.in, bytes, n)) {
		h1_client_close(c);
		return -ENOMEM;
	}
	c->down.half.received = n;
	h1_client_wait(c, n ? w->options.head_timeout_ms : w->options.idle_timeout_ms);
	run(c);
	return 0;
}

void h1_client_close(struct h1_client *c)
{
	struct http_worker *w = c->worker;

	worker_not_later(&w->io, &c->later);
	if (c->down.request)
		request_forget(c->down.request);
	tunnel_free(c->tunnel);
	half_close(&c->down.half);
	loop_timer_clear(w->io.loop, &c->timer);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	w->stats.active--;
	if (c->tls)
		tls_peer_free(&c->tls->facts.peer);
	free(c->tls);
	free(c);
}
