// SPDX-License-Identifier: Apache-2.0
/*
 * Heads as the other side is to see them: what concerns one connection only is left out, what the
 * rules say is done.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "proxy/h1/http_status.h"
#include "proxy/request/request.h"

struct writer {
	struct buffer_pool *buffers;
	struct buf *out;
	int r;
	bool request;
	bool timed;	/* the client is told how long the endpoint took */
	unsigned tries; /* which one it is, for the endpoint to know; 0: it isn't */
	const struct request_headers *headers; /* or NULL */
};

static void put(struct writer *w, const char *p, size_t n)
{
	if (!w->r)
		w->r = buf_append(w->buffers, w->out, p, n);
}

static void put_text(struct writer *w, const char *text)
{
	put(w, text, strlen(text));
}

static void put_span(struct writer *w, struct h1_span s)
{
	put(w, s.p, s.n);
}

static const struct h1_span colon = { ": ", 2 }, crlf = { "\r\n", 2 };

static char *add(char *p, struct h1_span s)
{
	return s.n ? (char *)mempcpy(p, s.p, s.n) : p;
}

static void put_field(struct writer *w, struct h1_span name, struct h1_span value)
{
	size_t n = name.n + colon.n + value.n + crlf.n;
	char *p;

	if (!w->r)
		w->r = buf_enlarge(w->buffers, w->out, n);
	if (w->r)
		return;
	p = w->out->bytes + w->out->end;
	add(add(add(add(p, name), colon), value), crlf);
	w->out->end += (uint32_t)n;
}

/* Whether operations from the i-th on take a field of that name away. */
static bool taken_away(const struct plan_ops *ops, size_t i, struct h1_span name)
{
	for (; i < ops->count; i++)
		if (ops->items[i].type != PLAN_ADD && h1_same_nocase(ops->items[i].name, name))
			return true;
	return false;
}

/* How a message is framed is not for rules to change; Host is the plan's authority. */
static bool own_field(struct h1_span name)
{
	return h1_is_nocase(name, "host") || h1_is_nocase(name, "content-length") ||
	       h1_is_nocase(name, "transfer-encoding") || h1_is_nocase(name, "connection") ||
	       h1_is_nocase(name, "upgrade");
}

static const struct h1_span count_name = { "x-envoy-attempt-count", 21 };
static const struct h1_span time_name = { "x-envoy-upstream-service-time", 29 };

static bool left_out(const struct writer *w, const struct h1_header *h)
{
	if (h->hop)
		return true;
	if (w->headers && request_headers_replace(w->headers, h->name))
		return true;
	if (!w->request)
		return w->timed && h1_same_nocase(h->name, time_name);
	return h->field == H1_HOST || (w->tries && h1_same_nocase(h->name, count_name));
}

static void put_fields(struct writer *w, const struct h1_message *m, const struct plan_ops *ops)
{
	for (size_t i = 0; i < m->header_count; i++) {
		const struct h1_header *h = &m->headers[i];

		if (left_out(w, h))
			continue;
		if (h->field != H1_CONTENT_LENGTH && taken_away(ops, 0, h->name))
			continue;
		put_field(w, h->name, h->value);
	}
	for (size_t i = 0; i < ops->count; i++) {
		const struct plan_op *op = &ops->items[i];

		if (op->type != PLAN_REMOVE && !own_field(op->name) &&
		    !taken_away(ops, i + 1, op->name))
			put_field(w, op->name, op->value);
	}
}

static void put_request_headers(struct writer *w, const struct plan_ops *ops)
{
	const struct request_headers *a = w->headers;

	for (size_t i = 0; i < a->count; i++) {
		if (!a->fields[i].value.p || taken_away(ops, 0, a->fields[i].name))
			continue;
		put_field(w, a->fields[i].name, a->fields[i].value);
		if (!a->fields[i].more.n || w->r)
			continue;
		/* Before the end of the line. */
		w->out->end -= (uint32_t)crlf.n;
		put_span(w, a->fields[i].more);
		put_span(w, crlf);
	}
}

static void put_number(struct writer *w, struct h1_span name, unsigned long long n)
{
	char text[24], *end = text + sizeof(text), *p = end;

	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	put_field(w, name, (struct h1_span){ p, (size_t)(end - p) });
}

static const char upgrade[] = "connection: upgrade\r\nupgrade: websocket\r\n";

int head_write_request(struct buffer_pool *pool, struct buf *out, const struct request *rq,
		       struct h1_span authority)
{
	const struct h1_request *q = &rq->request;
	struct writer w = { .buffers = pool,
			    .out = out,
			    .request = true,
			    .tries = rq->plan.count_tries ? rq->tries : 0,
			    .headers = rq->plan.identify ? &rq->headers : NULL };

	put_span(&w, q->method);
	put_text(&w, " ");
	put_span(&w, rq->plan.path);
	put_text(&w, " HTTP/1.1\r\n");
	put_field(&w, (struct h1_span){ "host", 4 }, authority);
	if (w.tries)
		put_number(&w, count_name, w.tries);
	if (w.headers)
		put_request_headers(&w, &rq->plan.request);
	put_fields(&w, &q->m, &rq->plan.request);
	if (q->m.framing == H1_CHUNKED)
		put_text(&w, "transfer-encoding: chunked\r\n");
	if (q->m.has_upgrade)
		put_text(&w, upgrade);
	put_text(&w, "\r\n");
	return w.r;
}

static void put_status(struct writer *w, unsigned status, struct h1_span reason)
{
	char line[] = "HTTP/1.1 000 ";

	line[9] += (char)(status / 100);
	line[10] += (char)(status / 10 % 10);
	line[11] += (char)(status % 10);
	put(w, line, sizeof(line) - 1);
	put_span(w, reason);
	put_text(w, "\r\n");
}

int head_write_response(struct buffer_pool *pool, struct buf *out, const struct request *rq,
			const struct h1_response *r, bool dechunk)
{
	struct writer w = { .buffers = pool, .out = out };

	w.timed = rq->plan.identify && rq->answered && r->status >= 200;
	put_status(&w, r->status, r->reason);
	if (w.timed && !taken_away(&rq->plan.response, 0, time_name))
		put_number(&w, time_name, rq->answered - rq->asked);
	put_fields(&w, &r->m, &rq->plan.response);
	if (r->m.chunked && !dechunk)
		put_text(&w, "transfer-encoding: chunked\r\n");
	if (r->status == 101)
		put_text(&w, upgrade);
	else if (r->status >= 200 && rq->close)
		put_text(&w, "connection: close\r\n");
	else if (r->status >= 200 && rq->request.m.minor == 0)
		put_text(&w, "connection: keep-alive\r\n");
	put_text(&w, "\r\n");
	return w.r;
}

static bool has_header(const struct plan_answer *a, const char *name)
{
	for (size_t i = 0; i < a->header_count; i++)
		if (h1_is_nocase(a->headers[i].name, name))
			return true;
	return false;
}

static void put_date(struct writer *w)
{
	char text[64];
	time_t now = time(NULL);
	struct tm t;
	size_t n = 0;

	if (gmtime_r(&now, &t))
		n = strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &t);
	if (n)
		put_field(w, (struct h1_span){ "date", 4 }, (struct h1_span){ text, n });
}

int head_write_answer(struct buffer_pool *pool, struct buf *out, const struct request *rq,
		      const struct plan_answer *a)
{
	const char *reason = status_reason(a->status);
	struct writer w = { .buffers = pool, .out = out };

	put_status(&w, a->status, (struct h1_span){ reason, strlen(reason) });
	if (status_has_body(a->status))
		put_number(&w, (struct h1_span){ "content-length", 14 }, a->body.n);
	if (a->body.n && !has_header(a, "content-type"))
		put_text(&w, "content-type: text/plain\r\n");
	for (size_t i = 0; i < a->header_count; i++)
		put_field(&w, a->headers[i].name, a->headers[i].value);
	put_date(&w);
	put_text(&w, "server: weft\r\n");
	if (rq->close)
		put_text(&w, "connection: close\r\n");
	else if (rq->request.m.minor == 0)
		put_text(&w, "connection: keep-alive\r\n");
	put_text(&w, "\r\n");
	return w.r;
}
