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

static struct h1_span without_empty_port(struct h1_span authority)
{
	if (authority.n && authority.p[authority.n - 1] == ':')
		authority.n--;
	return authority;
}

/*
 * "http://" authority [path] [query]. "https" would ask for what this connection, which is not
 * secured, can't keep (RFC 9110 7.4).
 */
static int split_absolute(struct h1_request *q)
{
	static const char scheme[] = "http://";
	const size_t n = sizeof(scheme) - 1;
	const char *p = q->target.p + n, *end = q->target.p + q->target.n, *host = p;

	if (q->target.n < n || !h1_is_nocase((struct h1_span){ q->target.p, n }, scheme))
		return H1_ERR_TARGET;
	while (p < end && *p != '/' && *p != '?')
		p++;
	q->authority = (struct h1_span){ host, (size_t)(p - host) };
	if (!h1_authority_ok(q->authority))
		return H1_ERR_TARGET;
	q->authority = without_empty_port(q->authority);
	if (p < end)
		q->path = (struct h1_span){ p, (size_t)(end - p) };
	else /* RFC 9112 3.2.4: OPTIONS is then about the server as a whole */
		q->path = (struct h1_span){ h1_is(q->method, "OPTIONS") ? "*" : "/", 1 };
	return 0;
}

static bool has_port(struct h1_span authority)
{
	const char *colon = memrchr(authority.p, ':', authority.n);

	return colon && colon + 1 < authority.p + authority.n &&
	       !memchr(colon, ']', (size_t)(authority.p + authority.n - colon));
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

/* There must be one, but it only counts where the target has no authority (RFC 9112 3.2.2). */
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
	if (!q->authority.p)
		q->authority = without_empty_port(host);
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
		r = h1_take_fields(c, false, &q->m);
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

/* ---- what is no HTTP at all ---- */

static bool ends_with_version(const char *line, const char *end)
{
	static const char version[] = "HTTP/1.";
	const size_t n = sizeof(version) - 1;

	return (size_t)(end - line) > n && h1_digit(end[-1]) && !memcmp(end - 1 - n, version, n);
}

int h1_begins(const char *buf, size_t len)
{
	const char *end = buf + len, *line = buf, *at;

	if (len && *line == '\r')
		line++;
	if (line < end && line > buf && *line == '\n')
		line++;
	for (at = line; at < end && *at >= ' ' && *at < 0x7f; at++)
		;
	if (at == end || (*at == '\r' && at + 1 == end))
		return H1_MORE;
	if (*at == '\r' && at[1] == '\n')
		return ends_with_version(line, at) ? 0 : H1_BAD;
	return *at == '\n' && ends_with_version(line, at) ? 0 : H1_BAD;
}
