/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What our parser and http-parser both take for a request, they must take for the same one: method,
 * target, fields, and where the body ends.
 */
#include <http_parser.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/h1/h1.h"

enum { MAX_FIELDS = H1_MAX_HEADERS + 1 };

struct other {
	struct h1_span url, names[MAX_FIELDS], values[MAX_FIELDS];
	size_t count;
	bool in_value, head_done, done;
	unsigned flags; /* at the end of the head: trailer fields add to them */
	uint64_t body;
};

static void extend(struct h1_span *s, const char *at, size_t n)
{
	if (!s->p)
		s->p = at;
	s->n = (size_t)(at + n - s->p);
}

static int on_url(http_parser *p, const char *at, size_t n)
{
	extend(&((struct other *)p->data)->url, at, n);
	return 0;
}

static int on_name(http_parser *p, const char *at, size_t n)
{
	struct other *t = p->data;

	if (t->head_done)
		return 0;
	if (t->in_value || !t->count) {
		if (t->count == MAX_FIELDS)
			return 1;
		t->count++;
		t->in_value = false;
	}
	extend(&t->names[t->count - 1], at, n);
	return 0;
}

static int on_value(http_parser *p, const char *at, size_t n)
{
	struct other *t = p->data;

	if (t->head_done || !t->count)
		return 0;
	t->in_value = true;
	extend(&t->values[t->count - 1], at, n);
	return 0;
}

static int on_head(http_parser *p)
{
	struct other *t = p->data;

	t->head_done = true;
	t->flags = p->flags;
	return 0;
}

static int on_body(http_parser *p, const char *at, size_t n)
{
	(void)at;
	((struct other *)p->data)->body += n;
	return 0;
}

/* Only one message is looked at. */
static int on_done(http_parser *p)
{
	((struct other *)p->data)->done = true;
	http_parser_pause(p, 1);
	return 0;
}

static const http_parser_settings settings = {
	.on_url = on_url,
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_headers_complete = on_head,
	.on_body = on_body,
	.on_message_complete = on_done,
};

static void same(struct h1_span own, struct h1_span other)
{
	while (other.n && (other.p[other.n - 1] == ' ' || other.p[other.n - 1] == '\t'))
		other.n--;
	if (own.n != other.n || memcmp(own.p, other.p ? other.p : "", own.n) != 0)
		abort();
}

static void compare_heads(const struct h1_request *q, const struct other *t, const http_parser *p)
{
	if (!h1_is(q->method, http_method_str((enum http_method)p->method)))
		abort();
	same(q->target, t->url);
	if (q->m.header_count != t->count || q->m.minor != (p->http_minor > 0))
		abort();
	for (size_t i = 0; i < t->count; i++) {
		same(q->m.headers[i].name, t->names[i]);
		same(q->m.headers[i].value, t->values[i]);
	}
	if (q->m.chunked != !!(t->flags & F_CHUNKED) ||
	    q->m.has_length != !!(t->flags & F_CONTENTLENGTH))
		abort();
}

/* Data of the body, and whether it is whole; H1_BAD if refused. */
static int our_body(const struct h1_request *q, const char *buf, size_t len, uint64_t *body)
{
	struct h1_chunks c = { 0 };
	long r = 0;

	*body = q->m.content_length < len ? q->m.content_length : len;
	if (q->m.framing != H1_CHUNKED)
		return q->m.content_length <= len;
	*body = 0;
	for (size_t at = 0; at < len && !c.done; at += (size_t)r) {
		r = h1_chunks_next(&c, buf + at, len - at);
		if (r == H1_BAD)
			return H1_BAD;
		*body += c.data ? (uint64_t)r : 0;
	}
	return c.done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct h1_request q;
	const char *buf = (const char *)data;
	struct other t = { 0 };
	http_parser p;
	uint64_t body;
	int head = h1_parse_request(buf, size, 0, &q), whole;

	if (head <= 0)
		return 0;
	http_parser_init(&p, HTTP_REQUEST);
	p.data = &t;
	http_parser_execute(&p, &settings, buf, size);
	if (!t.head_done)
		return 0;
	compare_heads(&q, &t, &p);
	/* To http-parser, what follows CONNECT and upgrades is not HTTP any more: it has no body.
	 */
	whole = our_body(&q, buf + head, size - (size_t)head, &body);
	if (whole == H1_BAD || p.upgrade ||
	    (HTTP_PARSER_ERRNO(&p) != HPE_OK && HTTP_PARSER_ERRNO(&p) != HPE_PAUSED))
		return 0;
	if (body != t.body || !!whole != t.done)
		abort();
	return 0;
}
