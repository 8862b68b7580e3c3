// SPDX-License-Identifier: Apache-2.0
/*
 * The endpoint's response.
 */
#include <errno.h>

#include "proxy/request/conn.h"
#include "proxy/request/response_flags.h"

#define RESET_AFTER "upstream_reset_after_response_started"

/* The client has to see that what it got is not all: an orderly end could look like one. */
static enum step cut_off(struct conn *c, enum outcome outcome, const char *flags,
			 const char *details)
{
	c->x->details = details;
	flags_add(&c->x->flags, flags);
	conn_try_end(c, outcome, c->x->status, false);
	half_reset(&c->client);
	return STEP_END;
}

static enum h1_asked asked(const struct h1_request *q)
{
	return q->is_head ? H1_ASKED_HEAD : H1_ASKED_OTHER;
}

static enum step begin_tunnel(struct conn *c)
{
	c->x->close = true;
	body_begin(&c->client, H1_TUNNEL, 0);
	c->state = CONN_TUNNEL;
	conn_wait(c, c->worker->options.idle_timeout_ms);
	return STEP_AGAIN;
}

static int put_head(struct conn *c, const struct h1_response *r, bool dechunk)
{
	struct buf *out = &c->client.out;
	size_t before = buf_len(out);
	int error = heads_response(&c->worker->supply, out, c->x, r, dechunk);

	c->x->heads += buf_len(out) - before;
	return error;
}

static enum step begin(struct conn *c, const struct h1_response *r, size_t n)
{
	struct half *up = &c->up->half;
	struct exchange *x = c->x;
	bool dechunk = r->m.framing == H1_CHUNKED && x->request.m.minor == 0;

	x->status = r->status;
	x->details = "via_upstream";
	if (x->timed)
		x->answered = loop_now(c->worker->loop);
	conn_count_answer(x);
	x->keep_up = r->m.keep_alive && r->m.framing != H1_UNTIL_CLOSE;
	/* Without having been told to go on, the client may send its body, or leave it. */
	if (r->m.framing == H1_UNTIL_CLOSE || dechunk ||
	    (x->request.expect_continue && !body_done(&c->client)))
		x->close = true;
	if (put_head(c, r, dechunk))
		return STEP_END;
	buf_consume(&c->worker->supply, &up->in, n);
	body_begin(up, r->m.framing, r->m.content_length);
	up->body.dechunk = dechunk;
	/* Before the client can ask for more: others may wait for the connection. */
	up->body.early = x->target.most.connections;
	body_forget(&c->client);
	if (r->m.framing == H1_TUNNEL)
		return begin_tunnel(c);
	c->state = CONN_RESPONSE;
	conn_wait(c, c->worker->options.stream_timeout_ms);
	return STEP_AGAIN;
}

/* 1xx: more is to come. A client that doesn't read them does without. */
static enum step pass_interim(struct conn *c, const struct h1_response *r, size_t n)
{
	const struct exchange *x = c->x;
	int error = 0;

	if (r->status == 100 && !x->timed)
		loop_timer_clear(c->worker->loop, &c->deadline);
	if (x->request.m.minor == 1 && buf_len(&c->client.out) < BUF_BIG)
		error = put_head(c, r, false);
	if (!error)
		error = half_flush(&c->client);
	buf_consume(&c->worker->supply, &c->up->half.in, n);
	c->seen = 0;
	return error && error != -EAGAIN ? STEP_END : STEP_AGAIN;
}

/* What of the body has come with its head. As yet the client can be told that it is no response. */
static bool bad_chunks(const struct half *up, const struct h1_response *r, size_t head)
{
	const char *at = buf_at(&up->in) + head;
	size_t left = buf_len(&up->in) - head;
	struct h1_chunks chunks = { 0 };
	long n = 0;

	while (r->m.framing == H1_CHUNKED && left && !chunks.done && n >= 0) {
		n = h1_chunks_next(&chunks, at, left);
		at += n;
		left -= (size_t)n;
	}
	return n < 0;
}

/* A tunnel that nobody asked for, or for something else. */
static bool bad_switch(const struct h1_message *asked, const struct h1_response *r)
{
	return r->status == 101 && !(asked->has_upgrade && r->m.has_upgrade);
}

static enum step got_head(struct conn *c, const struct h1_response *r, size_t n)
{
	if (bad_switch(&c->x->request.m, r) || bad_chunks(&c->up->half, r, n))
		return conn_try_failed(c, FAIL_PROTOCOL);
	if (r->status < 200 && r->status != 101)
		return pass_interim(c, r, n);
	if (conn_try_again(c, r))
		return STEP_AGAIN;
	return begin(c, r, n);
}

static enum step read_head(struct conn *c)
{
	struct half *up = &c->up->half;
	struct h1_response *r = &c->worker->response;
	long n;

	if (buf_len(&up->in) > c->seen) {
		n = h1_parse_response(buf_at(&up->in), buf_len(&up->in), c->seen,
				      asked(&c->x->request), r);
		if (n == H1_BAD)
			return conn_try_failed(c, FAIL_PROTOCOL);
		if (n > 0)
			return got_head(c, r, (size_t)n);
		c->seen = buf_len(&up->in);
	}
	if (!up->readable)
		return up->broken ? conn_try_failed(c, FAIL_RESET) : STEP_WAIT;
	n = half_receive(up);
	if (n > 0)
		return STEP_AGAIN;
	return n == -EAGAIN ? STEP_WAIT : conn_try_failed(c, FAIL_RESET);
}

/* The request's body. STEP_END: the client is at fault. */
static enum step pass_request(struct conn *c)
{
	enum relay r;

	if (c->x->request_cut)
		return STEP_WAIT;
	r = relay(&c->client, &c->up->half);
	conn_time(c);
	switch (r) {
	case RELAY_AGAIN:
		return STEP_LATER;
	case RELAY_BAD:
	case RELAY_CUT:
		return STEP_END;
	case RELAY_FAILED:
		/* It may have said why before it stopped listening. */
		c->x->request_cut = true;
		return STEP_WAIT;
	default:
		return STEP_WAIT;
	}
}

static enum step client_at_fault(struct conn *c)
{
	bool bad = !c->client.eof && !conn_client_gone(c);

	if (!bad)
		flags_add(&c->x->flags, "DC");
	conn_try_end(c, OUTCOME_ABANDONED, c->x->status, false);
	return bad && !c->x->status ? conn_answer_bad(c, H1_ERR_CHUNK) : STEP_END;
}

enum step conn_step_forward(struct conn *c)
{
	enum step sent, r;

	if (conn_client_gone(c))
		return STEP_END;
	if (c->over)
		return conn_route_timeout(c);
	if (c->x->plan.per_try_timeout_ms ? c->fired
					  : conn_stuck(c, c->worker->options.stream_timeout_ms))
		return conn_try_failed(c, c->x->plan.per_try_timeout_ms ? FAIL_TIMEOUT : FAIL_IDLE);
	sent = pass_request(c);
	if (sent == STEP_END)
		return client_at_fault(c);
	r = read_head(c);
	return r == STEP_WAIT ? sent : r;
}

/* The route's time is over with the response half-way. */
static enum step cut_short(struct conn *c)
{
	conn_count_timeout(c->x);
	return cut_off(c, OUTCOME_TIMEOUT, "UT", "upstream_response_timeout");
}

enum step conn_step_response(struct conn *c)
{
	struct half *up = &c->up->half;
	enum step sent = STEP_WAIT;

	if (conn_client_gone(c))
		return STEP_END;
	if (c->over)
		return cut_short(c);
	if (conn_stuck(c, c->worker->options.stream_timeout_ms))
		return cut_off(c, OUTCOME_TIMEOUT, "SI", "stream_idle_timeout");
	if (!body_done(&c->client))
		sent = pass_request(c);
	if (sent == STEP_END)
		return client_at_fault(c);
	switch (relay(up, &c->client)) {
	case RELAY_DONE:
		conn_count_time(c);
		conn_try_end(c, OUTCOME_STATUS, c->x->status,
			     c->x->keep_up && body_done(&c->client) && !buf_len(&up->out));
		return conn_send_rest(c);
	case RELAY_BAD:
		return cut_off(c, OUTCOME_RESET, "UPE", RESET_AFTER "{protocol_error}");
	case RELAY_CUT:
		return cut_off(c, OUTCOME_RESET, "UC", RESET_AFTER "{connection_termination}");
	case RELAY_FAILED:
		flags_add(&c->x->flags, "DC");
		return STEP_END;
	case RELAY_AGAIN:
		return STEP_LATER;
	default:
		return sent;
	}
}

/* One direction of a tunnel; the other may still have something to say. */
static enum relay pass_on(struct half *from, struct half *to)
{
	enum relay r = relay(from, to);

	if (r == RELAY_DONE)
		half_shut(to);
	return r;
}

enum step conn_step_tunnel(struct conn *c)
{
	struct half *up = &c->up->half;
	enum relay there, back;

	if (conn_stuck(c, c->worker->options.idle_timeout_ms))
		return cut_off(c, OUTCOME_STATUS, "SI", "stream_idle_timeout");
	there = pass_on(&c->client, up);
	back = pass_on(up, &c->client);
	if (there >= RELAY_BAD || back >= RELAY_BAD)
		return cut_off(c, back == RELAY_CUT ? OUTCOME_RESET : OUTCOME_STATUS, "-",
			       c->x->details);
	if (there == RELAY_DONE && back == RELAY_DONE) {
		conn_count_time(c);
		conn_try_end(c, OUTCOME_STATUS, c->x->status, false);
		return STEP_END;
	}
	return there == RELAY_AGAIN || back == RELAY_AGAIN ? STEP_LATER : STEP_WAIT;
}
