/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_H1_H1_PRIV_H
#define WEFT_PROXY_H1_H1_PRIV_H
/*
 * Between the parts of the parser. All return 0 or an enum h1_error unless said otherwise; a cursor
 * that hits the end of the input is H1_ERR_MORE.
 */
#include <string.h>

#include "proxy/h1/h1.h"
#include "proxy/h1/h1_chars.h"

enum { H1_ERR_MORE = H1_ERR_MAX };

struct h1_cursor {
	const char *p, *end;
};

/* The line end CR LF, and nothing else. */
int h1_take_crlf(struct h1_cursor *c, enum h1_error error);
int h1_take_char(struct h1_cursor *c, char want, enum h1_error error);
/* One or more bytes of a class. */
int h1_take_class(struct h1_cursor *c, enum h1_class class, enum h1_error error,
		  struct h1_span *out);
/* HTTP/1.0, or HTTP/1.1, which later ones are read as (RFC 9110 2.5). */
int h1_take_version(struct h1_cursor *c, uint8_t *minor);
/* All field lines and the empty line after them, into m->headers; understands those of enum
 * h1_field: the length, the coding, what Connection says. */
int h1_take_fields(struct h1_cursor *c, bool response, struct h1_message *m);

/* The field of that name, or H1_OTHER. */
enum h1_field h1_field_of(struct h1_span name);
/* Some servers hand '_' and '-' to an application as the same: a name that is then the name of a
 * field that says how to read the message. */
bool h1_field_lookalike(struct h1_span name);

/* The next element of a comma-separated list, without white space around it; moves `list` past it.
 * False at the end. */
bool h1_list_next(struct h1_span *list, struct h1_span *element);
/* A host name, IPv4 address or [IPv6 address], with or without port. */
bool h1_authority_ok(struct h1_span s);

/* May the rest of a head be worth looking at? Not if no line has ended since `seen`. */
static inline bool h1_line_since(const char *buf, size_t len, size_t seen)
{
	return seen < len && memchr(buf + seen, '\n', len - seen);
}

#endif
