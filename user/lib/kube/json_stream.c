// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "lib/kube/json_stream.h"

/* A list without its items is small; so is what most values are. */
enum { REST_MAX = 1 << 20, VALUE_KEPT = 256 << 10 };

/* Where a value may begin: at the outside of a watch, and in the array of a list. */
static bool between_values(const struct json_stream *s)
{
	if (s->mode == JSON_STREAM_VALUES)
		return s->depth == 0;
	return s->in_items && s->depth == 2;
}

/* Keeps the bytes of [from, to) where they belong. */
static int keep(struct json_stream *s, const char *from, const char *to)
{
	size_t size = (size_t)(to - from);
	bool in_value = s->mode == JSON_STREAM_VALUES || s->in_items;
	struct buffer *b = in_value ? &s->value : &s->rest;

	if (size > (size_t)(in_value ? JSON_VALUE_MAX : REST_MAX) - b->size)
		return -EFBIG;
	return buffer_add(b, from, size);
}

static void read_key(struct json_stream *s, char c)
{
	if (s->key_len < sizeof(s->key))
		s->key[s->key_len++] = c;
}

static void in_string(struct json_stream *s, char c)
{
	if (s->escaped)
		s->escaped = false;
	else if (c == '\\')
		s->escaped = true;
	else if (c == '"')
		s->in_string = false;
	if (s->in_string && s->is_key)
		read_key(s, c);
}

static void begin_string(struct json_stream *s)
{
	s->in_string = true;
	s->is_key = s->mode == JSON_STREAM_LIST && s->depth == 1;
	if (s->is_key)
		s->key_len = 0;
}

static bool is_items(const struct json_stream *s)
{
	return s->mode == JSON_STREAM_LIST && s->depth == 1 && s->key_len == 5 &&
	       !memcmp(s->key, "items", 5);
}

static int close_bracket(struct json_stream *s, bool *value_ends)
{
	if (s->depth == 0)
		return -EPROTO;
	s->depth--;
	*value_ends = between_values(s);
	return 0;
}

/* The first byte from `p` on that is more than one of a string, a number or a blank. */
static const char *next_special(const struct json_stream *s, const char *p, const char *end)
{
	if (s->in_string) {
		if (s->escaped || s->is_key)
			return p;
		while (p < end && *p != '"' && *p != '\\')
			p++;
		return p;
	}
	while (p < end && *p != '"' && *p != '{' && *p != '}' && *p != '[' && *p != ']')
		p++;
	return p;
}

/* One byte inside of a value, or of what is around the items. */
static int step(struct json_stream *s, char c, bool *value_ends, bool *items_begin)
{
	if (s->in_string) {
		in_string(s, c);
		return 0;
	}
	switch (c) {
	case '"':
		begin_string(s);
		return 0;
	case '[':
		*items_begin = is_items(s);
		s->depth++;
		return 0;
	case '{':
		s->depth++;
		return 0;
	case ']':
	case '}':
		return close_bracket(s, value_ends);
	}
	return 0;
}

/* A byte where a value may begin. 1 when one does, or when the items end; 0 for what is between;
 * -EPROTO for what can't be there. */
static int between(struct json_stream *s, char c)
{
	if (c == '{') {
		s->depth++;
		return 1;
	}
	if (c == ']' && s->mode == JSON_STREAM_LIST) {
		s->depth--;
		s->in_items = false;
		s->key_len = 0;
		return 1;
	}
	if (c == ',' && s->mode == JSON_STREAM_LIST)
		return 0;
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' ? 0 : -EPROTO;
}

static int give(struct json_stream *s, json_value_fn taken, void *arg)
{
	int r = taken(arg, s->value.bytes, s->value.size);

	buffer_clear(&s->value, VALUE_KEPT);
	return r;
}

int json_stream_feed(struct json_stream *s, const char *bytes, size_t size, json_value_fn taken,
		     void *arg)
{
	const char *end = bytes + size, *from = bytes;
	int r = 0;

	for (const char *p = bytes; p < end && !r; p++) {
		bool value_ends = false, items_begin = false;

		if (!s->in_string && between_values(s)) {
			r = between(s, *p);
			from = r > 0 ? p : p + 1;
			r = r > 0 ? 0 : r;
			continue;
		}
		p = next_special(s, p, end);
		if (p == end)
			break;
		r = step(s, *p, &value_ends, &items_begin);
		if (r || (!value_ends && !items_begin))
			continue;
		r = keep(s, from, p + 1);
		from = p + 1;
		s->in_items = s->in_items || items_begin;
		if (!r && value_ends)
			r = give(s, taken, arg);
	}
	return r ? r : keep(s, from, end);
}

bool json_stream_complete(const struct json_stream *s)
{
	return s->depth == 0 && !s->in_string && s->value.size == 0 &&
	       (s->mode == JSON_STREAM_VALUES || s->rest.size);
}

void json_stream_free(struct json_stream *s)
{
	buffer_free(&s->value);
	buffer_free(&s->rest);
}
