// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "lib/kube/json_span.h"

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

/* Behind the closing quote; NULL if there is none. `p` is behind the opening one. */
static const char *skip_string(const char *p, const char *end)
{
	for (;;) {
		/* Most of what is read goes through here. */
		while (p < end && *p != '"' && *p != '\\')
			p++;
		if (p >= end)
			return NULL;
		if (*p == '"')
			return p + 1;
		p += 2;
	}
}

static const char *skip_nested(const char *p, const char *end)
{
	size_t depth = 0;

	while (p && p < end) {
		char c = *p++;

		if (c == '"')
			p = skip_string(p, end);
		else if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			return p;
	}
	return NULL;
}

/* Behind the value that begins at `p`; NULL if there is none, or it does not end. */
static const char *skip_value(const char *p, const char *end)
{
	const char *from = p;

	if (p == end)
		return NULL;
	if (*p == '"')
		return skip_string(p + 1, end);
	if (*p == '{' || *p == '[')
		return skip_nested(p, end);
	while (p < end && !strchr(",:]}[{\" \t\r\n", *p))
		p++;
	return p > from ? p : NULL;
}

static struct json_walk walk(struct json_span value, char opening, char closing)
{
	const char *p, *end;

	if (!value.at)
		return (struct json_walk){ .bad = true };
	end = value.at + value.len;
	p = skip_blanks(value.at, end);
	if (p == end || *p != opening)
		return (struct json_walk){ .bad = true };
	return (struct json_walk){ p + 1, end, closing, false };
}

struct json_walk json_members(struct json_span object)
{
	return walk(object, '{', '}');
}

struct json_walk json_elements(struct json_span array)
{
	return walk(array, '[', ']');
}

static bool broken(struct json_walk *w)
{
	w->bad = true;
	return false;
}

/* Whether there is another one at w->at. */
static bool goes_on(struct json_walk *w)
{
	if (w->bad || !w->at)
		return false;
	w->at = skip_blanks(w->at, w->end);
	if (w->at == w->end)
		return broken(w);
	if (*w->at == w->closing) {
		w->at = NULL;
		return false;
	}
	return true;
}

static bool take_value(struct json_walk *w, struct json_span *value)
{
	const char *from = skip_blanks(w->at, w->end), *p = skip_value(from, w->end);

	if (!p || p > w->end)
		return broken(w);
	*value = (struct json_span){ from, (size_t)(p - from) };
	w->at = skip_blanks(p, w->end);
	if (w->at < w->end && *w->at == ',')
		w->at++;
	else if (w->at == w->end || *w->at != w->closing)
		return broken(w);
	return true;
}

bool json_next_element(struct json_walk *w, struct json_span *value)
{
	return goes_on(w) && take_value(w, value);
}

bool json_next_member(struct json_walk *w, struct json_span *key, struct json_span *value)
{
	const char *from, *p;

	if (!goes_on(w))
		return false;
	from = w->at + 1;
	p = *w->at == '"' ? skip_string(from, w->end) : NULL;
	if (!p || p > w->end)
		return broken(w);
	*key = (struct json_span){ from, (size_t)(p - 1 - from) };
	p = skip_blanks(p, w->end);
	if (p == w->end || *p != ':')
		return broken(w);
	w->at = p + 1;
	return take_value(w, value);
}

bool json_span_is(struct json_span text, const char *word)
{
	return text.at && text.len == strlen(word) && !memcmp(text.at, word, text.len);
}

struct json_span json_member(struct json_span object, const char *key)
{
	struct json_walk w = json_members(object);
	struct json_span name, value;

	while (json_next_member(&w, &name, &value))
		if (json_span_is(name, key))
			return json_span_is(value, "null") ? (struct json_span){ 0 } : value;
	return (struct json_span){ 0 };
}

struct json_span json_at(struct json_span object, const char *const *keys)
{
	while (*keys && object.at)
		object = json_member(object, *keys++);
	return object;
}

struct json_span json_plain(struct json_span value)
{
	if (value.len < 2 || value.at[0] != '"' || memchr(value.at, '\\', value.len))
		return (struct json_span){ 0 };
	return (struct json_span){ value.at + 1, value.len - 2 };
}
