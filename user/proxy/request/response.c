// SPDX-License-Identifier: Apache-2.0
/*
 * The endpoint's response.
 */
#include <errno.h>

#include "proxy/request/request.h"
#include "lib/base/response_flags.h"
#include "proxy/request/request_traffic.h"

#define RESET_AFTER "upstream_reset_after_response_started"

/* Resets the client's side: after an orderly close the client could take the part that it got for
 * the whole response. */
static enum step cut_off(struct request *rq, enum outcome outcome, const char *flags,
			 const char *details)
{
	rq->details = details;
	flags_add(&rq->flags, flags);
	request_try_end(rq, outcome, rq->status, false);
	rq->down->ops->reset(rq);
	return STEP_END;
}

static enum h1_asked asked(const struct h1_request *q)
{
	return q->is_head ? H1_ASKED_HEAD : H1_ASKED_OTHER;
}

static enum step begin_tunnel(struct request *rq)
{
	rq->close = true;
	body_begin(&rq->down->half, H1_TUNNEL, 0);
	rq->state = REQUEST_TUNNEL;
	request_wait(rq, rq->worker->options.idle_timeout_ms);
	return STEP_AGAIN;
}

static enum step begin(struct request *rq, const struct h1_response *r, size_t n)
{
	struct half *up = &rq->up->half;
	bool dechunk = r->m.framing == H1_CHUNKED && rq->request.m.minor == 0;

	rq->status = r->status;
	rq->details = "via_upstream";
	if (rq->timed)
		rq->answered = loop_now(rq->worker->io.loop);
	request_count_answer(rq);
	request_traffic_response(rq, r);
	rq->keep_up = r->m.keep_alive && r->m.framing != H1_UNTIL_CLOSE;
	/* Without having been told to go on, the client may send its body, or leave it. */
	if (r->m.framing == H1_UNTIL_CLOSE || dechunk ||
	    (rq->request.expect_continue && !body_done(&rq->down->half)))
		rq->close = true;
	if (rq->down->ops->send_head(rq, r, dechunk))
		return STEP_END;
	buf_consume(&rq->worker->io.buffers, &up->in, n);
	body_begin(up, r->m.framing, r->m.content_length);
	up->body.dechunk = dechunk;
	/* Before the client can ask for more: others may wait for the connection. */
	up->body.early = rq->target.max.connections;
	body_forget(&rq->down->half);
	if (r->m.framing == H1_TUNNEL)
		return begin_tunnel(rq);
	rq->state = REQUEST_RESPONSE;
	request_wait(rq, rq->worker->options.stream_timeout_ms);
	return request_step_to_send(rq);
}

/* 1xx: more is to come. A client that doesn't read them does without. */
static enum step pass_interim(struct request *rq, const struct h1_response *r, size_t n)
{
	int error = 0;

	if (r->status == 100 && !rq->timed)
		loop_timer_clear(rq->worker->io.loop, &rq->deadline);
	if (rq->request.m.minor == 1 && buf_len(&rq->down->half.out) < BUF_BIG)
		error = rq->down->ops->send_head(rq, r, false);
	if (!error)
		error = half_flush(&rq->down->half);
	buf_consume(&rq->worker->io.buffers, &rq->up->half.in, n);
	rq->seen = 0;
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

/* Switches protocols although the request had no Upgrade, or names none. */
static bool bad_switch(const struct h1_message *asked, const struct h1_response *r)
{
	return r->status == 101 && !(asked->has_upgrade && r->m.has_upgrade);
}

static enum step got_head(struct request *rq, const struct h1_response *r, size_t n)
{
	if (bad_switch(&rq->request.m, r) || bad_chunks(&rq->up->half, r, n))
		return request_try_failed(rq, FAIL_PROTOCOL);
	if (r->status < 200 && r->status != 101)
		return pass_interim(rq, r, n);
	if (request_try_again(rq, r))
		return STEP_AGAIN;
	return begin(rq, r, n);
}

static enum step read_head(struct request *rq)
{
	struct half *up = &rq->up->half;
	struct h1_response *r = &rq->worker->response;
	long n;

	if (buf_len(&up->in) > rq->seen) {
		n = h1_parse_response(buf_at(&up->in), buf_len(&up->in), rq->seen,
				      asked(&rq->request), r);
		if (n == H1_BAD)
			return request_try_failed(rq, FAIL_PROTOCOL);
		if (n > 0)
			return got_head(rq, r, (size_t)n);
		rq->seen = buf_len(&up->in);
	}
	if (!up->readable)
		return up->broken ? request_try_failed(rq, FAIL_RESET) : STEP_WAIT;
	n = half_receive(up);
	if (n > 0)
		return STEP_AGAIN;
	return n == -EAGAIN ? STEP_WAIT : request_try_failed(rq, FAIL_RESET);
}

/* The request's body. STEP_END: the client is at fault. */
static enum step pass_request(struct request *rq)
{
	enum relay r;

	if (rq->request_cut)
		return STEP_WAIT;
	r = relay(&rq->down->half, &rq->up->half);
	request_time(rq);
	switch (r) {
	case RELAY_AGAIN:
		return STEP_LATER;
	case RELAY_BAD:
	case RELAY_CUT:
		return STEP_END;
	case RELAY_FAILED:
		/* It may have said why before it stopped listening. */
		rq->request_cut = true;
		return STEP_WAIT;
	default:
		return STEP_WAIT;
	}
}

static enum step client_at_fault(struct request *rq)
{
	bool bad = !rq->down->half.eof && !request_client_gone(rq);

	if (!bad)
		flags_add(&rq->flags, "DC");
	request_try_end(rq, OUTCOME_ABANDONED, rq->status, false);
	return bad && !rq->status ? request_answer_bad(rq, H1_ERR_CHUNK) : STEP_END;
}

enum step request_step_forward(struct request *rq)
{
	enum step sent, r;

	if (request_client_gone(rq))
		return STEP_END;
	if (rq->over)
		return request_route_timeout(rq);
	if (rq->plan.per_try_timeout_ms ? rq->fired
					: request_stuck(rq, rq->worker->options.stream_timeout_ms))
		return request_try_failed(rq,
					  rq->plan.per_try_timeout_ms ? FAIL_TIMEOUT : FAIL_IDLE);
	sent = pass_request(rq);
	if (sent == STEP_END)
		return client_at_fault(rq);
	r = read_head(rq);
	return r == STEP_WAIT ? sent : r;
}

/* The route's time is over with the response half-way. */
static enum step cut_short(struct request *rq)
{
	request_count_timeout(rq);
	return cut_off(rq, OUTCOME_TIMEOUT, "UT", "upstream_response_timeout");
}

enum step request_step_response(struct request *rq)
{
	struct half *up = &rq->up->half;
	enum step sent = STEP_WAIT;

	if (request_client_gone(rq))
		return STEP_END;
	if (rq->over)
		return cut_short(rq);
	if (request_stuck(rq, rq->worker->options.stream_timeout_ms))
		return cut_off(rq, OUTCOME_TIMEOUT, "SI", "stream_idle_timeout");
	if (!body_done(&rq->down->half))
		sent = pass_request(rq);
	if (sent == STEP_END)
		return client_at_fault(rq);
	switch (relay(up, &rq->down->half)) {
	case RELAY_DONE:
		request_count_time(rq);
		request_try_end(rq, OUTCOME_STATUS, rq->status,
				rq->keep_up && body_done(&rq->down->half) && !buf_len(&up->out));
		return request_send_rest(rq);
	case RELAY_BAD:
		return cut_off(rq, OUTCOME_RESET, "UPE", RESET_AFTER "{protocol_error}");
	case RELAY_CUT:
		return cut_off(rq, OUTCOME_RESET, "UC", RESET_AFTER "{connection_termination}");
	case RELAY_FAILED:
		flags_add(&rq->flags, "DC");
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

enum step request_step_tunnel(struct request *rq)
{
	struct half *up = &rq->up->half;
	enum relay there, back;

	if (request_stuck(rq, rq->worker->options.idle_timeout_ms))
		return cut_off(rq, OUTCOME_STATUS, "SI", "stream_idle_timeout");
	there = pass_on(&rq->down->half, up);
	back = pass_on(up, &rq->down->half);
	if (there >= RELAY_BAD || back >= RELAY_BAD)
		return cut_off(rq, back == RELAY_CUT ? OUTCOME_RESET : OUTCOME_STATUS, "-",
			       rq->details);
	if (there == RELAY_DONE && back == RELAY_DONE) {
		request_count_time(rq);
		request_try_end(rq, OUTCOME_STATUS, rq->status, false);
		return STEP_END;
	}
	return there == RELAY_AGAIN || back == RELAY_AGAIN ? STEP_LATER : STEP_WAIT;
}
