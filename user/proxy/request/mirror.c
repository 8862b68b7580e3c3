// SPDX-License-Identifier: Apache-2.0
#include "proxy/request/mirror.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/cleanup.h"
#include "proxy/request/request_traffic.h"

enum {
	MAX_BEHIND = 1024 * 1024, /* bytes that wait for a slow mirror */
	TURN = 1024 * 1024,	  /* bytes of a response, before others have their turn */
	AGAIN_MS = 1,
};

struct mirror {
	struct http_worker *worker;
	struct upstream *up;
	struct target target;
	enum h1_asked asked;
	size_t seen;
	bool whole;	/* all of the request is in up->half.out, or sent */
	bool head_read; /* the response's body is being read */
	bool answered;	/* and all of it has been */
	bool keep_up;
	bool admitted;	/* counted for target.limit */
	bool active;	/* and as under way */
	uint64_t began; /* ms */
	uint64_t began_us;
	/* Of the endpoint's connection, where the bodies of the request and of the response begin.
	 */
	uint64_t sent_before, received_before;
	struct traffic_sample traffic;
	struct loop_timer timer, again;
	struct mirror *next, **link; /* worker->mirrors */
	struct mirror *next_copy;    /* of the same request; NULL once that is over */
};

static void end(struct mirror *m, bool reusable)
{
	if (m->up && reusable)
		upstream_release(m->up, &m->target);
	else
		upstream_close(m->up);
	if (m->active)
		gauge_dec(m->target.stat->upstream_rq_active);
	if (m->admitted)
		limit_give(&m->target.limit->admitted);
	loop_timer_clear(m->worker->io.loop, &m->timer);
	loop_timer_clear(m->worker->io.loop, &m->again);
	*m->link = m->next;
	if (m->next)
		m->next->link = m->link;
	target_done(&m->target);
	free(m);
}

/* Of no use any more, but the request may still hold on to it. */
static int give_up(struct mirror *m)
{
	upstream_close(m->up);
	m->up = NULL;
	loop_timer_clear(m->worker->io.loop, &m->again);
	return -ECANCELED;
}

static int read_head(struct mirror *m)
{
	struct half *h = &m->up->half;
	struct h1_response *r = &m->worker->response;
	int n = h1_parse_response(buf_at(&h->in), buf_len(&h->in), m->seen, m->asked, r);

	m->seen = buf_len(&h->in);
	if (n == H1_MORE)
		return -EAGAIN;
	if (n == H1_BAD || r->m.framing == H1_TUNNEL)
		return -EBADMSG;
	buf_consume(&m->worker->io.buffers, &h->in, (size_t)n);
	m->seen = 0;
	if (r->status < 200)
		return 0;
	m->traffic.key.code = (uint16_t)r->status;
	m->received_before = h->received - buf_len(&h->in);
	stat_cluster_answer(m->target.stat, r->status);
	m->head_read = true;
	m->keep_up = r->m.keep_alive && r->m.framing != H1_UNTIL_CLOSE;
	body_begin(h, r->m.framing, r->m.content_length);
	return 0;
}

/* To who talks to whom a copy is a request that the endpoint alone tells of, as in Istio. */
static void begin_traffic(struct mirror *m, const struct request *rq)
{
	const struct half *h = &m->up->half;
	struct traffic_end end;

	traffic_reach(&end, &m->target);
	m->traffic = (struct traffic_sample){ .key = traffic_key(&rq->plan, &end), .host = "" };
	m->traffic.key.cluster = m->target.cluster;
	m->traffic.key.reporters &= TRAFFIC_DESTINATION;
	m->traffic.key.grpc = TRAFFIC_GRPC_NONE;
	m->began_us = loop_now_us(m->worker->io.loop);
	m->sent_before = h->sent + buf_len(&h->out);
}

static void count_traffic(struct mirror *m)
{
	const struct half *h = &m->up->half;

	if (!m->traffic.key.reporters)
		return;
	m->traffic.duration_us = loop_now_us(m->worker->io.loop) - m->began_us;
	m->traffic.request_bytes = h->sent > m->sent_before ? h->sent - m->sent_before : 0;
	m->traffic.response_bytes = h->received - buf_len(&h->in) - m->received_before;
	http_worker_count(m->worker, &m->traffic);
}

static int answered(struct mirror *m)
{
	if (!m->answered) {
		stat_time(&m->target.stat->upstream_rq_time,
			  loop_now(m->worker->io.loop) - m->began);
		count_traffic(m);
	}
	m->answered = true;
	return 1;
}

/* 0: there's more to do; 1: the response is over; -EAGAIN; -errno. */
static int read_some(struct mirror *m)
{
	struct half *h = &m->up->half;
	long r;

	if (!m->head_read && buf_len(&h->in) > m->seen) {
		r = read_head(m);
		if (r != -EAGAIN)
			return (int)r;
	}
	if (m->head_read && body_discard(h))
		return answered(m);
	if (!h->readable)
		return h->broken ? -ECONNRESET : -EAGAIN;
	r = half_receive(h);
	if (r == 0)
		return m->head_read && h->body.framing == H1_UNTIL_CLOSE ? answered(m)
									 : -ECONNRESET;
	return r < 0 ? (int)r : 0;
}

/* As read_some(): 0 if others have their turn first. */
static int progress(struct mirror *m)
{
	uint64_t until = m->up->half.received + TURN;
	int r = upstream_connected(m->up);

	if (!r)
		r = half_flush(&m->up->half);
	if (r && r != -EAGAIN)
		return r;
	if (!m->up->conn->connected)
		return r;
	do
		r = read_some(m);
	while (!r && m->up->half.received < until);
	return r;
}

/* Ends it when it is over; only the request's end ends one that the request holds on to. */
static void run(struct mirror *m)
{
	int r = progress(m);

	if (!r)
		loop_timer_set(m->worker->io.loop, &m->again, AGAIN_MS);
	if (!r || r == -EAGAIN || (r == 1 && !m->whole))
		return;
	if (!m->whole)
		(void)give_up(m);
	else
		end(m, r == 1 && m->keep_up && !buf_len(&m->up->half.out));
}

static void changed(struct upstream *u)
{
	run(u->owner);
}

static void run_again(struct loop_timer *t)
{
	run((struct mirror *)((char *)t - offsetof(struct mirror, again)));
}

static void too_long(struct loop_timer *t)
{
	struct mirror *m = (struct mirror *)((char *)t - offsetof(struct mirror, timer));

	if (m->whole)
		end(m, false);
	else
		(void)give_up(m);
}

static int copy(struct mirror *m, const char *bytes, size_t n)
{
	struct buf *out = &m->up->half.out;

	if (buf_len(out) + n > MAX_BEHIND || buf_append(&m->worker->io.buffers, out, bytes, n))
		return give_up(m);
	return 0;
}

/* A copy doesn't wait for a connection. */
static int reach(struct mirror *m, const struct request *rq)
{
	struct upstreams *pool = &m->worker->upstreams;
	const struct target *t = &m->target;
	struct addr from = upstream_source(pool, t, &rq->down->client_addr, &rq->down->called);
	int r = 0;

	if (t->tls.broken)
		return -EPROTO;
	m->admitted = t->limit && limit_admit(t->limit, &t->max);
	if (t->limit && !m->admitted)
		return -EBUSY;
	m->up = upstream_reuse(pool, t, &from);
	if (!m->up) {
		if (t->limit && !limit_connect(t->limit, t->max.connections))
			return -EBUSY;
		r = upstream_connect(pool, t, &from, &m->up);
	}
	if (r)
		return r;
	m->active = true;
	stat_inc(&t->stat->upstream_rq_total);
	gauge_inc(t->stat->upstream_rq_active);
	stat_inc(&rq->plan.route->rq_mirrored);
	m->up->owner = m;
	m->up->changed = changed;
	return 0;
}

/* Takes the target over, also on failure. */
static struct mirror *mirror_new(struct request *rq, struct target *t)
{
	struct http_worker *w = rq->worker;
	struct mirror *m = calloc(1, sizeof(*m));
	uint32_t ms = rq->plan.timeout_ms;

	if (!m) {
		target_done(t);
		return NULL;
	}
	m->worker = w;
	m->target = *t;
	m->asked = rq->request.is_head ? H1_ASKED_HEAD : H1_ASKED_OTHER;
	m->timer.fire = too_long;
	m->again.fire = run_again;
	m->next = w->mirrors;
	m->link = &w->mirrors;
	if (m->next)
		m->next->link = &m->next;
	w->mirrors = m;
	loop_timer_set(w->io.loop, &m->timer, ms ? ms : w->options.stream_timeout_ms);
	return m;
}

static void begin(struct request *rq, struct target *t, struct h1_span authority)
{
	const struct half *h = &rq->down->half;
	struct mirror *m = mirror_new(rq, t);

	if (!m)
		return;
	if (reach(m, rq) ||
	    head_write_request(&rq->worker->io.buffers, &m->up->half.out, rq, authority)) {
		end(m, false);
		return;
	}
	begin_traffic(m, rq);
	if (h->body.ready && copy(m, buf_at(&h->in) + h->body.kept, h->body.ready)) {
		end(m, false);
		return;
	}
	m->began = loop_now(rq->worker->io.loop);
	m->next_copy = rq->mirrors;
	rq->mirrors = m;
}

/* Where a copy goes that policies allow, which is the caller's then. */
static bool pick(struct request *rq, size_t i, struct target *t)
{
	struct router *r = rq->worker->router;

	if (r->pick_mirror(r, &rq->plan, i, t) != PICK_OK)
		return false;
	if (!r->allows || r->allows(r, &rq->plan, &rq->request, t, NULL))
		return true;
	target_done(t);
	return false;
}

void mirrors_begin(struct request *rq)
{
	const struct plan *p = &rq->plan;
	struct target t;

	/* What comes of an upgrade can't be had twice. */
	if (rq->request.m.has_upgrade)
		return;
	for (size_t i = 0; i < p->mirror_count; i++)
		if (pick(rq, i, &t))
			begin(rq, &t, p->mirror_authority);
	if (rq->mirrors && body_received(&rq->down->half))
		mirrors_leave(rq, true);
}

void mirrors_copy(struct request *rq, const char *bytes, size_t n)
{
	for (struct mirror *m = rq->mirrors; m; m = m->next_copy)
		if (m->up && !copy(m, bytes, n))
			run(m);
}

void mirrors_leave(struct request *rq, bool whole)
{
	struct mirror *m = rq->mirrors;

	rq->mirrors = NULL;
	while (m) {
		struct mirror *next = m->next_copy;

		m->next_copy = NULL;
		m->whole = true;
		if (!whole || !m->up)
			end(m, false);
		else
			run(m);
		m = next;
	}
}

void mirrors_close(struct http_worker *w)
{
	while (w->mirrors)
		end(w->mirrors, false);
}
