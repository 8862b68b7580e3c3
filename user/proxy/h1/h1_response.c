// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "proxy/h1/h1_priv.h"

static int take_status(struct h1_cursor *c, struct h1_response *s)
{
	int r = h1_take_char(c, ' ', H1_ERR_LINE);

	for (int i = 0; !r && i < 3; i++) {
		if (c->p == c->end)
			return H1_ERR_MORE;
		if (!h1_digit(*c->p))
			return H1_ERR_LINE;
		s->status = s->status * 10 + (unsigned)(*c->p++ - '0');
	}
	return r || (s->status >= 100 && s->status <= 599) ? r : H1_ERR_LINE;
}

/* The space before an empty reason is left out by many. */
static int take_reason(struct h1_cursor *c, struct h1_response *s)
{
	s->reason = (struct h1_span){ c->p, 0 };
	if (c->p < c->end && *c->p == ' ') {
		s->reason.p = ++c->p;
		while (c->p < c->end && h1_char(*c->p, H1_C_VALUE))
			c->p++;
		s->reason.n = (size_t)(c->p - s->reason.p);
	}
	return h1_take_crlf(c, H1_ERR_LINE);
}

static bool bodyless(unsigned status)
{
	return status < 200 || status == 204;
}

static int find_framing(struct h1_response *s, enum h1_asked asked)
{
	struct h1_message *m = &s->m;

	if (m->chunked && (m->has_length || m->minor == 0))
		return H1_ERR_FRAMING;
	if (s->status == 101) {
		m->framing = H1_TUNNEL;
		return m->chunked || m->content_length ? H1_ERR_FRAMING : 0;
	}
	/* A client that doesn't know the rule would wait for a body. */
	if (bodyless(s->status))
		return m->chunked || m->content_length ? H1_ERR_FRAMING : 0;
	if (asked == H1_ASKED_HEAD || s->status == 304)
		return 0;
	if (m->chunked)
		m->framing = H1_CHUNKED;
	else if (!m->has_length)
		m->framing = H1_UNTIL_CLOSE;
	else if (m->content_length)
		m->framing = H1_LENGTH;
	return 0;
}

static int parse(struct h1_cursor *c, enum h1_asked asked, struct h1_response *s)
{
	int r = h1_take_version(c, &s->m.minor);

	if (!r)
		r = take_status(c, s);
	if (!r)
		r = take_reason(c, s);
	if (!r)
		r = h1_take_fields(c, true, &s->m);
	return r ? r : find_framing(s, asked);
}

static void clear(struct h1_response *s)
{
	memset((char *)s + sizeof(s->m.headers), 0, sizeof(*s) - sizeof(s->m.headers));
}

int h1_parse_response(const char *buf, size_t len, size_t seen, enum h1_asked asked,
		      struct h1_response *s)
{
	struct h1_cursor c = { buf, buf + (len < H1_MAX_HEAD ? len : H1_MAX_HEAD) };
	int r;

	clear(s);
	if (seen && len < H1_MAX_HEAD && !h1_line_since(buf, len, seen))
		return H1_MORE;
	r = parse(&c, asked, s);
	if (!r)
		return (int)(c.p - buf);
	if (r == H1_ERR_MORE && len < H1_MAX_HEAD)
		return H1_MORE;
	s->m.error = r == H1_ERR_MORE ? H1_ERR_TOO_LARGE : (uint8_t)r;
	return H1_BAD;
}
