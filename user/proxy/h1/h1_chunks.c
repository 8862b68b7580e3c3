// SPDX-License-Identifier: Apache-2.0
/*
 * chunk = 1*HEXDIG CRLF data CRLF, the last one of size 0 followed by trailer fields and an empty
 * line. Extensions are refused: nobody sends them but who wants two readers to disagree about where
 * they end.
 */
#include <string.h>

#include "proxy/h1/h1_priv.h"

enum state {
	SIZE = 0,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,      /* at the beginning of a line */
	TRAILER_NAME, /* in a field's name */
	TRAILER_VALUE,
	TRAILER_LF,
	END_LF,
};

static int in_size(struct h1_chunks *c, char byte)
{
	int digit = h1_hex(byte);

	if (digit >= 0) {
		if (c->digits++ == H1_MAX_CHUNK_DIGITS)
			return H1_BAD;
		c->next = c->next << 4 | (unsigned)digit;
		return SIZE;
	}
	return byte == '\r' && c->digits ? SIZE_LF : H1_BAD;
}

static int after_size(struct h1_chunks *c)
{
	c->left = c->next;
	c->next = 0;
	c->digits = 0;
	return c->left ? DATA : TRAILER;
}

/* Fields that would change how the message, by then forwarded, ought to have been read. */
static bool forbidden(const struct h1_chunks *c)
{
	struct h1_span name = { c->name, c->name_len };

	if (c->name_len == sizeof(c->name))
		return false;
	return h1_field_of(name) != H1_OTHER || h1_field_lookalike(name);
}

static int in_trailer_name(struct h1_chunks *c, char byte)
{
	if (h1_char(byte, H1_C_TOKEN)) {
		if (c->name_len < sizeof(c->name))
			c->name[c->name_len++] = byte;
		return TRAILER_NAME;
	}
	if (byte != ':' || !c->name_len || forbidden(c))
		return H1_BAD;
	c->name_len = 0;
	return TRAILER_VALUE;
}

static int in_trailer_value(char byte)
{
	if (byte == '\r')
		return TRAILER_LF;
	return h1_char(byte, H1_C_VALUE) ? TRAILER_VALUE : H1_BAD;
}

/* The state after one byte of framing, or H1_BAD. */
static int step(struct h1_chunks *c, char byte)
{
	switch ((enum state)c->state) {
	case SIZE:
		return in_size(c, byte);
	case SIZE_LF:
		return byte == '\n' ? after_size(c) : H1_BAD;
	case DATA:
		break;
	case DATA_CR:
		return byte == '\r' ? DATA_LF : H1_BAD;
	case DATA_LF:
		return byte == '\n' ? SIZE : H1_BAD;
	case TRAILER:
		return byte == '\r' ? END_LF : in_trailer_name(c, byte);
	case TRAILER_NAME:
		return in_trailer_name(c, byte);
	case TRAILER_VALUE:
		return in_trailer_value(byte);
	case TRAILER_LF:
		return byte == '\n' ? TRAILER : H1_BAD;
	case END_LF:
		c->done = byte == '\n';
		return c->done ? END_LF : H1_BAD;
	}
	return H1_BAD;
}

void h1_chunks_skip(struct h1_chunks *c, uint64_t n)
{
	c->left -= n;
	if (!c->left)
		c->state = DATA_CR;
}

long h1_chunks_next(struct h1_chunks *c, const char *buf, size_t len)
{
	size_t n = 0;
	int r;

	c->data = c->state == DATA;
	if (c->data) {
		n = c->left < len ? (size_t)c->left : len;
		if (n)
			h1_chunks_skip(c, n);
		return (long)n;
	}
	while (n < len && !c->done && c->state != DATA) {
		if (c->state >= TRAILER && c->size++ == H1_MAX_TRAILER)
			return H1_BAD;
		r = step(c, buf[n++]);
		if (r < 0)
			return H1_BAD;
		c->state = (uint8_t)r;
	}
	return (long)n;
}
