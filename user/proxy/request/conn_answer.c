// SPDX-License-Identifier: Apache-2.0
/*
 * Responses of the proxy's own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/request/conn.h"
#include "proxy/request/response_flags.h"
#include "proxy/h1/http_status.h"

static bool may_have_body(unsigned status)
{
	return status >= 200 && status != 204 && status != 304;
}

static bool has_header(const struct plan_answer *a, const char *name)
{
	for (size_t i = 0; i < a->header_count; i++)
		if (h1_is_nocase(a->headers[i].name, name))
			return true;
	return false;
}

static void write_date(FILE *f)
{
	char text[64];
	time_t now = time(NULL);
	struct tm t;

	if (gmtime_r(&now, &t) && strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &t))
		fprintf(f, "date: %s\r\n", text);
}

static void write_head(FILE *f, const struct exchange *x, const struct plan_answer *a)
{
	fprintf(f, "HTTP/1.1 %u %s\r\n", a->status, status_reason(a->status));
	if (may_have_body(a->status))
		fprintf(f, "content-length: %zu\r\n", a->body.n);
	if (a->body.n && !has_header(a, "content-type"))
		fputs("content-type: text/plain\r\n", f);
	for (size_t i = 0; i < a->header_count; i++)
		fprintf(f, "%.*s: %.*s\r\n", (int)a->headers[i].name.n, a->headers[i].name.p,
			(int)a->headers[i].value.n, a->headers[i].value.p);
	write_date(f);
	fputs("server: weft\r\n", f);
	if (x->close)
		fputs("connection: close\r\n", f);
	else if (x->request.m.minor == 0)
		fputs("connection: keep-alive\r\n", f);
	fputs("\r\n", f);
}

static int queue(struct conn *c, const struct plan_answer *a)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int r;

	if (!f)
		return -1;
	write_head(f, c->x, a);
	fflush(f);
	c->x->heads += len;
	if (may_have_body(a->status) && !c->x->request.is_head && a->body.n)
		fwrite(a->body.p, 1, a->body.n, f);
	r = fclose(f);
	if (!r)
		r = buf_append(&c->worker->io.supply, &c->client.out, text, len);
	free(text);
	return r;
}

enum step conn_answer(struct conn *c, const struct plan_answer *a)
{
	struct exchange *x = c->x;

	x->status = a->status;
	flags_add(&x->flags, a->flags);
	x->details = a->details;
	if (x->planned && x->plan.action == PLAN_FORWARD)
		conn_count_answer(x);
	c->worker->stats.responses_own++;
	/* What of the request has not come yet would be taken for the next one. */
	if (!body_discard(&c->client))
		x->close = true;
	if (queue(c, a))
		return STEP_END;
	return conn_send_rest(c);
}

enum step conn_answer_bad(struct conn *c, enum h1_error error)
{
	unsigned status = h1_error_status(error);
	const char *reason = status_reason(status);
	const struct plan_answer a = {
		.status = status,
		.body = { reason, strlen(reason) },
		.flags = "DPE",
		.details = "http1.codec_error",
	};

	c->worker->stats.bad_requests++;
	c->x->close = true;
	return conn_answer(c, &a);
}

enum step conn_send_rest(struct conn *c)
{
	c->state = CONN_ANSWER;
	conn_wait(c, c->worker->options.stream_timeout_ms);
	return STEP_AGAIN;
}

enum step conn_step_answer(struct conn *c)
{
	int r = half_flush(&c->client);

	if (!r)
		return conn_finish(c);
	return r == -EAGAIN && !c->fired ? STEP_WAIT : STEP_END;
}

/* Closing with bytes unread would send a RST, and that could overtake the response. */
enum step conn_step_linger(struct conn *c)
{
	long r = -EAGAIN;

	buf_release(&c->worker->io.supply, &c->client.in);
	body_begin(&c->client, H1_NO_BODY, 0);
	if (c->client.eof || c->client.broken || c->fired)
		return STEP_END;
	if (c->client.readable)
		r = half_receive(&c->client);
	if (r > 0)
		return STEP_AGAIN;
	return r == -EAGAIN ? STEP_WAIT : STEP_END;
}
