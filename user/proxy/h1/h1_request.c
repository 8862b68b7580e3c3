// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "proxy/h1/h1_priv.h"

enum { MAX_METHOD = 32 };

static int take_method(struct h1_cursor *c, struct h1_request *q)
{
	int r = h1_take_class(c, H1_C_METHOD, H1_ERR_LINE, &q->method);

	if (r)
		return r;
	if (q->method.n > MAX_METHOD || *q->method.p < 'A' || *q->method.p > 'Z')
		return H1_ERR_LINE;
	q->is_head = h1_is(q->method, "HEAD");
	q->is_connect = h1_is(q->method, "CONNECT");
	return h1_take_char(c, ' ', H1_ERR_LINE);
}

/* scheme "://" authority [path] */
static int split_absolute(struct h1_request *q)
{
	const char *p = q->target.p, *end = p + q->target.n, *host;

	while (p < end && h1_char(*p, H1_C_SCHEME))
		p++;
	if (end - p < 3 || memcmp(p, "://", 3) != 0)
		return H1_ERR_TARGET;
	q->scheme = (struct h1_span){ q->target.p, (size_t)(p - q->target.p) };
	if (!h1_is_nocase(q->scheme, "http") && !h1_is_nocase(q->scheme, "https"))
		return H1_ERR_TARGET;
	host = p += 3;
	while (p < end && *p != '/' && *p != '?')
		p++;
	q->authority = (struct h1_span){ host, (size_t)(p - host) };
	if (!h1_authority_ok(q->authority) || (p < end && *p == '?'))
		return H1_ERR_TARGET;
	if (p < end)
		q->path = (struct h1_span){ p, (size_t)(end - p) };
	else
		q->path = (struct h1_span){ "/", 1 };
	return 0;
}

static bool has_port(struct h1_span authority)
{
	const char *colon = memrchr(authority.p, ':', authority.n);

	return colon && !memchr(colon, ']', (size_t)(authority.p + authority.n - colon));
}

static int split_target(struct h1_request *q)
{
	if (q->is_connect) {
		q->authority = q->target;
		return h1_authority_ok(q->target) && has_port(q->target) ? 0 : H1_ERR_TARGET;
	}
	if (*q->target.p == '/' || (h1_is(q->target, "*") && h1_is(q->method, "OPTIONS"))) {
		q->path = q->target;
		return 0;
	}
	return split_absolute(q);
}

static int take_line(struct h1_cursor *c, struct h1_request *q)
{
	int r = take_method(c, q);

	if (!r)
		r = h1_take_class(c, H1_C_TARGET, H1_ERR_TARGET, &q->target);
	if (!r)
		r = h1_take_char(c, ' ', H1_ERR_LINE);
	if (!r)
		r = h1_take_version(c, &q->m.minor);
	if (!r)
		r = h1_take_crlf(c, H1_ERR_LINE);
	return r ? r : split_target(q);
}

/* The same host and port; with CONNECT, whose target must have a port, Host may go without. */
static bool same_authority(const struct h1_request *q, struct h1_span host)
{
	if (h1_same_nocase(q->authority, host))
		return true;
	return q->is_connect && host.n < q->authority.n && q->authority.p[host.n] == ':' &&
	       h1_same_nocase((struct h1_span){ q->authority.p, host.n }, host);
}

static int check_host(struct h1_request *q)
{
	struct h1_span host = { 0 };

	for (size_t i = 0; i < q->m.header_count; i++) {
		const struct h1_header *h = &q->m.headers[i];

		if (h->field != H1_HOST)
			continue;
		if (host.p || !h1_authority_ok(h->value))
			return H1_ERR_HOST;
		host = h->value;
	}
	if (!host.p)
		return q->m.minor == 1 ? H1_ERR_HOST : 0;
	if (q->authority.p && !same_authority(q, host))
		return H1_ERR_HOST;
	if (!q->authority.p)
		q->authority = host;
	return 0;
}

static int check_expect(struct h1_request *q)
{
	for (size_t i = 0; i < q->m.header_count; i++) {
		if (q->m.headers[i].field != H1_EXPECT)
			continue;
		if (!h1_is_nocase(q->m.headers[i].value, "100-continue"))
			return H1_ERR_EXPECT;
		/* A 1.0 client can't be meant to wait for what it doesn't know. */
		q->expect_continue = q->m.minor == 1;
	}
	return 0;
}

static int find_framing(struct h1_request *q)
{
	struct h1_message *m = &q->m;

	if (m->chunked && (m->has_length || m->minor == 0))
		return H1_ERR_FRAMING;
	if (q->is_connect && (m->chunked || m->content_length))
		return H1_ERR_FRAMING;
	if (m->chunked)
		m->framing = H1_CHUNKED;
	else if (m->content_length)
		m->framing = H1_LENGTH;
	return 0;
}

/* An empty line before a request is what some clients send after the body of the one before. */
static int skip_empty_line(struct h1_cursor *c)
{
	return c->p < c->end && *c->p == '\r' ? h1_take_crlf(c, H1_ERR_LINE) : 0;
}

static int parse(struct h1_cursor *c, struct h1_request *q)
{
	int r = skip_empty_line(c);

	if (!r)
		r = take_line(c, q);
	if (!r)
		r = h1_take_fields(c, &q->m);
	if (!r)
		r = check_host(q);
	if (!r)
		r = check_expect(q);
	return r ? r : find_framing(q);
}

static void clear(struct h1_request *q)
{
	memset((char *)q + sizeof(q->m.headers), 0, sizeof(*q) - sizeof(q->m.headers));
}

int h1_parse_request(const char *buf, size_t len, size_t seen, struct h1_request *q)
{
	struct h1_cursor c = { buf, buf + (len < H1_MAX_HEAD ? len : H1_MAX_HEAD) };
	int r;

	clear(q);
	if (seen && len < H1_MAX_HEAD && !h1_line_since(buf, len, seen))
		return H1_MORE;
	r = parse(&c, q);
	if (!r)
		return (int)(c.p - buf);
	if (r == H1_ERR_MORE && len < H1_MAX_HEAD)
		return H1_MORE;
	q->m.error = r == H1_ERR_MORE ? H1_ERR_TOO_LARGE : (uint8_t)r;
	return H1_BAD;
}
