// SPDX-License-Identifier: Apache-2.0
#include "proxy/log/trace_line.h"

#include <string.h>

enum {
	ID_MAX = 32,
	SCHEME_MAX = 8,
	HOST_BYTES = 255,
	NAME_BYTES = 128, /* of a tag */
	VALUE_BYTES = 256,
	DIGITS = 20,
	ESCAPED = 6, /* bytes that one becomes at most */
	AROUND = 8,  /* what stands around a tag, and more */
};

#define TEXT(key, max) (sizeof(",\"" key "\":\"\"") - 1 + (max))
#define NUMBER(key) (sizeof(",\"" key "\":") - 1 + DIGITS)
#define SPAN_BYTES                                                                              \
	(TEXT("client", 0) + TEXT("span_id", SPAN_ID) + NUMBER("start_ns") + NUMBER("end_ns") + \
	 TEXT("tags", 0))
/* But for tags. */
#define LINE_BYTES                                                                                 \
	(TEXT("trace_id", ID_MAX) + TEXT("parent_span_id", SPAN_ID) + TEXT("scheme", SCHEME_MAX) + \
	 TEXT("host", HOST_BYTES) + NUMBER("gateway") + NUMBER("attempts") + NUMBER("source") +    \
	 NUMBER("destination") + NUMBER("cluster") + 2 * SPAN_BYTES + 2)

_Static_assert(LINE_BYTES <= ACCESS_MORE, "a line may be too long");

static char *put_key(char *p, const char *key)
{
	return stpcpy(stpcpy(stpcpy(p, ",\""), key), "\":");
}

static char *put_text(char *p, const char *key, struct h1_span text, size_t max)
{
	return access_line_text(put_key(p, key), text, max);
}

static char *put_number(char *p, const char *key, uint64_t n)
{
	return access_line_number(put_key(p, key), n);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Leaves what does not fit out. `end` is where the line must have come to its end without them. */
static char *put_tags(char *p, const char *end, const struct trace_span *s)
{
	bool any = false;

	for (size_t i = 0; i < s->tag_count; i++) {
		const struct h1_span name = s->tags[i].name, value = s->tags[i].value;
		const size_t most = least(ESCAPED * name.n, NAME_BYTES) +
				    least(ESCAPED * value.n, VALUE_BYTES) + AROUND;

		if (p >= end || most > (size_t)(end - p))
			continue;
		if (any)
			*p++ = ',';
		any = true;
		p = access_line_text(p, name, NAME_BYTES);
		*p++ = ':';
		p = access_line_text(p, (struct h1_span){ value.p ?: "", value.n }, VALUE_BYTES);
	}
	return p;
}

static char *put_span(char *p, const char *end, const char *key, const struct trace_span *s)
{
	const struct h1_span id = { s->id, SPAN_ID };

	p = stpcpy(put_key(p, key), "{\"span_id\":");
	p = access_line_text(p, id, SPAN_ID);
	p = put_number(p, "start_ns", s->start_ns);
	p = put_number(p, "end_ns", s->end_ns);
	p = stpcpy(put_key(p, "tags"), "{");
	return stpcpy(put_tags(p, end, s), "}}");
}

size_t trace_line(char line[ACCESS_LINE_MAX], const struct trace_entry *e)
{
	char *p = access_line_begin(line, &e->access);
	const char *end = line + ACCESS_LINE_MAX - 3; /* "}\n", and a NUL of stpcpy() */

	p = put_text(p, "trace_id", e->trace_id, ID_MAX);
	p = put_text(p, "parent_span_id", e->parent_id, SPAN_ID);
	p = put_text(p, "scheme", e->scheme, SCHEME_MAX);
	p = put_text(p, "host", e->host, HOST_BYTES);
	p = put_number(p, "gateway", e->gateway);
	p = put_number(p, "attempts", e->access.tries);
	p = put_number(p, "source", e->source);
	p = put_number(p, "destination", e->destination);
	p = put_number(p, "cluster", e->cluster);
	/* The second one's own bytes are kept free. */
	if (e->client.id[0])
		p = put_span(p, end - SPAN_BYTES - 2, "client", &e->client);
	if (e->server.id[0])
		p = put_span(p, end - 2, "server", &e->server);
	p = stpcpy(p, "}\n");
	return (size_t)(p - line);
}
