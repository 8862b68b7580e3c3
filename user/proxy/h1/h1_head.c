// SPDX-License-Identifier: Apache-2.0
/*
 * What the heads of requests and responses have in common.
 */
#include <string.h>

#include "proxy/h1/h1_priv.h"

static const char *const error_texts[H1_ERR_MAX] = {
	[H1_OK] = "none",
	[H1_ERR_LINE] = "first line",
	[H1_ERR_VERSION] = "version",
	[H1_ERR_TARGET] = "request target",
	[H1_ERR_FIELD] = "field line",
	[H1_ERR_HOST] = "Host",
	[H1_ERR_LENGTH] = "Content-Length",
	[H1_ERR_CODING] = "Transfer-Encoding",
	[H1_ERR_FRAMING] = "contradictory length",
	[H1_ERR_CONNECTION] = "Connection",
	[H1_ERR_EXPECT] = "Expect",
	[H1_ERR_TOO_LARGE] = "head too large",
	[H1_ERR_TOO_MANY] = "too many fields",
	[H1_ERR_CHUNK] = "chunk",
};

const char *h1_error_text(enum h1_error error)
{
	return error < H1_ERR_MAX ? error_texts[error] : "unknown";
}

unsigned h1_error_status(enum h1_error error)
{
	if (error == H1_ERR_TOO_LARGE || error == H1_ERR_TOO_MANY)
		return 431;
	return error == H1_ERR_EXPECT ? 417 : 400;
}

int h1_take_char(struct h1_cursor *c, char want, enum h1_error error)
{
	if (c->p == c->end)
		return H1_ERR_MORE;
	return *c->p++ == want ? 0 : (int)error;
}

int h1_take_crlf(struct h1_cursor *c, enum h1_error error)
{
	int r = h1_take_char(c, '\r', error);

	return r ? r : h1_take_char(c, '\n', error);
}

int h1_take_class(struct h1_cursor *c, enum h1_class class, enum h1_error error,
		  struct h1_span *out)
{
	const char *from = c->p;

	while (c->p < c->end && h1_char(*c->p, class))
		c->p++;
	if (c->p == c->end)
		return H1_ERR_MORE;
	if (c->p == from)
		return (int)error;
	*out = (struct h1_span){ from, (size_t)(c->p - from) };
	return 0;
}

int h1_take_version(struct h1_cursor *c, uint8_t *minor)
{
	static const char start[] = "HTTP/";
	char major, low;
	int r = 0;

	for (size_t i = 0; !r && start[i]; i++)
		r = h1_take_char(c, start[i], H1_ERR_LINE);
	if (r)
		return r;
	if (c->end - c->p < 3)
		return H1_ERR_MORE;
	major = c->p[0];
	low = c->p[2];
	if (!h1_digit(major) || c->p[1] != '.' || !h1_digit(low))
		return H1_ERR_LINE;
	if (major != '1')
		return H1_ERR_VERSION;
	*minor = low > '0';
	c->p += 3;
	return 0;
}

/* Whether all eight bytes may stand in a value: none is a control. A tab counts as one here:
 * after "no" the caller checks each byte. */
static bool eight_visible(const char *p)
{
	const uint64_t each = 0x0101010101010101, high = each * 0x80;
	uint64_t w, del;

	memcpy(&w, p, sizeof(w));
	del = w ^ each * 0x7f;
	return !(((w - each * 0x20) & ~w & high) | ((del - each) & ~del & high));
}

static const char *value_end(const char *p, const char *end)
{
	while (end - p >= 8 && eight_visible(p))
		p += 8;
	while (p < end && h1_char(*p, H1_C_VALUE))
		p++;
	return p;
}

static void skip_blanks(struct h1_cursor *c)
{
	while (c->p < c->end && h1_blank(*c->p))
		c->p++;
}

/* name ":" OWS value OWS CRLF. In a response there may be blanks before the colon: a proxy
 * has to leave them out (RFC 9112 5.1). */
static int take_field(struct h1_cursor *c, bool response, struct h1_header *h)
{
	const char *from;
	int r = h1_take_class(c, H1_C_TOKEN, H1_ERR_FIELD, &h->name);

	if (r)
		return r;
	if (response)
		skip_blanks(c);
	r = h1_take_char(c, ':', H1_ERR_FIELD);
	if (r)
		return r;
	skip_blanks(c);
	from = c->p;
	c->p = value_end(c->p, c->end);
	if (c->p == c->end)
		return H1_ERR_MORE;
	h->value = (struct h1_span){ from, (size_t)(c->p - from) };
	while (h->value.n && h1_blank(h->value.p[h->value.n - 1]))
		h->value.n--;
	return h1_take_crlf(c, H1_ERR_FIELD);
}

/* No sign, no list, no leading zero, not twice; below 2^63. */
static int take_length(struct h1_message *m, struct h1_span v)
{
	uint64_t n = 0;

	if (m->has_length || !v.n || v.n > 18 || (v.n > 1 && *v.p == '0'))
		return H1_ERR_LENGTH;
	for (size_t i = 0; i < v.n; i++) {
		if (!h1_digit(v.p[i]))
			return H1_ERR_LENGTH;
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	m->has_length = true;
	m->content_length = n;
	return 0;
}

/* Codings other than chunked are for the two ends to agree on in Content-Encoding. */
static int take_coding(struct h1_message *m, struct h1_span v)
{
	if (m->chunked || !h1_is_nocase(v, "chunked"))
		return H1_ERR_CODING;
	m->chunked = true;
	return 0;
}

static int understand(struct h1_message *m, struct h1_header *h)
{
	h->field = (uint8_t)h1_field_of(h->name);
	h->hop = false;
	switch (h->field) {
	case H1_OTHER:
		return h1_field_lookalike(h->name) ? H1_ERR_FIELD : 0;
	case H1_CONTENT_LENGTH:
		return take_length(m, h->value);
	case H1_TRANSFER_ENCODING:
		h->hop = true;
		return take_coding(m, h->value);
	case H1_CONNECTION:
	case H1_KEEP_ALIVE:
	case H1_PROXY_CONNECTION:
	case H1_TE:
	case H1_UPGRADE:
	case H1_HTTP2_SETTINGS:
		h->hop = true;
		return 0;
	default:
		return 0;
	}
}

/* Fields of that name concern this connection only. */
static int nominate(struct h1_message *m, struct h1_span name)
{
	enum h1_field field = h1_field_of(name);

	if (field == H1_HOST || field == H1_CONTENT_LENGTH || field == H1_TRANSFER_ENCODING ||
	    field == H1_EXPECT)
		return H1_ERR_CONNECTION;
	for (size_t i = 0; i < m->header_count; i++)
		if (h1_same_nocase(m->headers[i].name, name))
			m->headers[i].hop = true;
	return 0;
}

/* Each option costs a walk over the fields. */
enum { MAX_OPTIONS = 32 };

struct options {
	bool close, keep_alive, upgrade;
	unsigned count;
};

static int take_options(struct h1_message *m, struct h1_span list, struct options *o)
{
	struct h1_span option;
	int r = 0;

	while (!r && h1_list_next(&list, &option)) {
		if (o->count++ == MAX_OPTIONS)
			return H1_ERR_CONNECTION;
		for (size_t i = 0; i < option.n; i++)
			if (!h1_char(option.p[i], H1_C_TOKEN))
				return H1_ERR_CONNECTION;
		if (h1_is_nocase(option, "close"))
			o->close = true;
		else if (h1_is_nocase(option, "keep-alive"))
			o->keep_alive = true;
		else if (h1_is_nocase(option, "upgrade"))
			o->upgrade = true;
		else
			r = nominate(m, option);
	}
	return r;
}

/* Whatever else a tunnel could be for would go past the rules: HTTP/2 (h2c) above all. */
static bool offers_websocket(struct h1_span protocols)
{
	struct h1_span protocol;

	while (h1_list_next(&protocols, &protocol))
		if (h1_is_nocase(protocol, "websocket"))
			return true;
	return false;
}

static int take_connection(struct h1_message *m)
{
	struct options o = { 0 };
	bool websocket = false;
	int r = 0;

	for (size_t i = 0; !r && i < m->header_count; i++) {
		if (m->headers[i].field == H1_CONNECTION)
			r = take_options(m, m->headers[i].value, &o);
		else if (m->headers[i].field == H1_UPGRADE)
			websocket |= offers_websocket(m->headers[i].value);
	}
	m->keep_alive = !o.close && (m->minor == 1 || o.keep_alive);
	m->has_upgrade = m->minor == 1 && o.upgrade && websocket;
	return r;
}

int h1_take_fields(struct h1_cursor *c, bool response, struct h1_message *m)
{
	int r;

	m->header_count = 0;
	while (c->p < c->end && *c->p != '\r') {
		if (m->header_count == H1_MAX_HEADERS)
			return H1_ERR_TOO_MANY;
		r = take_field(c, response, &m->headers[m->header_count]);
		if (!r)
			r = understand(m, &m->headers[m->header_count]);
		if (r)
			return r;
		m->header_count++;
	}
	r = h1_take_crlf(c, H1_ERR_FIELD);
	return r ? r : take_connection(m);
}
