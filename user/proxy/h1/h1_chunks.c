// SPDX-License-Identifier: Apache-2.0
/*
 * chunk = 1*HEXDIG [extensions] CRLF data CRLF, the last one of size 0 followed by trailer fields
 * and an empty line (RFC 9112 7.1). Extensions are held to the letter of their grammar, so that no
 * other reader can see their end elsewhere: neither a bare LF nor a CR inside quotes. Blanks at the
 * end of the line are what some servers pad a size with that they fill in later.
 */
#include <string.h>

#include "proxy/h1/h1_priv.h"

enum { PAID_PER_CHUNK = 16 };

enum chunk_state {
	SIZE = 0,
	PAD, /* blanks behind a size or an extension */
	EXT, /* behind ';' */
	EXT_NAME,
	EXT_EQUALS, /* blanks behind a name */
	EXT_VALUE,  /* behind '=' */
	EXT_TOKEN,
	EXT_QUOTED,
	EXT_ESCAPED,
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

/* What may stand behind a size, an extension's name or its value. */
static int after_part(char byte)
{
	if (h1_blank(byte))
		return PAD;
	if (byte == ';')
		return EXT;
	return byte == '\r' ? SIZE_LF : H1_BAD;
}

static int in_size(struct h1_chunks *c, char byte)
{
	int digit = h1_hex(byte);

	if (digit >= 0) {
		if (c->digits++ == H1_MAX_CHUNK_DIGITS)
			return H1_BAD;
		c->next = c->next << 4 | (unsigned)digit;
		return SIZE;
	}
	return c->digits ? after_part(byte) : H1_BAD;
}

/* Is part of extensions or of the blanks about them. */
static bool is_ignored(const struct h1_chunks *c, char byte)
{
	if (c->state == SIZE)
		return byte == ';' || h1_blank(byte);
	return c->state >= PAD && c->state <= EXT_ESCAPED && byte != '\r';
}

/* A chunk makes up for as many bytes of extensions as it has of data, and a few. More would only be
 * sent to cost a reader time. */
static bool too_much(struct h1_chunks *c)
{
	return c->extra++ == H1_MAX_EXTENSIONS;
}

static int in_extension(enum chunk_state state, char byte)
{
	switch (state) {
	case EXT:
		if (h1_char(byte, H1_C_TOKEN))
			return EXT_NAME;
		return h1_blank(byte) ? EXT : H1_BAD;
	case EXT_NAME:
		if (h1_char(byte, H1_C_TOKEN))
			return EXT_NAME;
		/* fallthrough */
	case EXT_EQUALS:
		if (byte == '=')
			return EXT_VALUE;
		return h1_blank(byte) ? EXT_EQUALS : after_part(byte);
	case EXT_VALUE:
		if (byte == '"')
			return EXT_QUOTED;
		if (h1_blank(byte))
			return EXT_VALUE;
		return h1_char(byte, H1_C_TOKEN) ? EXT_TOKEN : H1_BAD;
	case EXT_TOKEN:
		return h1_char(byte, H1_C_TOKEN) ? EXT_TOKEN : after_part(byte);
	case EXT_QUOTED:
		if (byte == '"')
			return PAD;
		if (byte == '\\')
			return EXT_ESCAPED;
		/* fallthrough */
	case EXT_ESCAPED:
		return h1_char(byte, H1_C_VALUE) ? EXT_QUOTED : H1_BAD;
	default:
		return after_part(byte);
	}
}

static int after_size(struct h1_chunks *c)
{
	uint64_t paid = c->next + PAID_PER_CHUNK;

	c->extra = paid < c->extra ? c->extra - (uint32_t)paid : 0;
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
	switch ((enum chunk_state)c->state) {
	case SIZE:
		return in_size(c, byte);
	case PAD:
	case EXT:
	case EXT_NAME:
	case EXT_EQUALS:
	case EXT_VALUE:
	case EXT_TOKEN:
	case EXT_QUOTED:
	case EXT_ESCAPED:
		return in_extension((enum chunk_state)c->state, byte);
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
	c->ignored = false;
	if (c->data) {
		n = c->left < len ? (size_t)c->left : len;
		if (n)
			h1_chunks_skip(c, n);
		return (long)n;
	}
	c->ignored = len && is_ignored(c, *buf);
	while (n < len && !c->done && c->state != DATA && is_ignored(c, buf[n]) == c->ignored) {
		if (c->state >= TRAILER && c->size++ == H1_MAX_TRAILER)
			return H1_BAD;
		if (c->ignored && too_much(c))
			return H1_BAD;
		r = step(c, buf[n++]);
		if (r < 0)
			return H1_BAD;
		c->state = (uint8_t)r;
	}
	return (long)n;
}
