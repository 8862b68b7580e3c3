// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/model/hostname.h"
#include "lib/model/model_http.h"
#include "lib/route/regex.h"
#include "lib/route/route.h"

enum { JOINED_MAX = 16384 }; /* a header that comes several times, joined */

bool http_span_is(struct http_span a, struct http_span b)
{
	return a.len == b.len && !memcmp(a.at, b.at, a.len);
}

bool http_span_folds(struct http_span a, struct http_span b)
{
	return a.len == b.len && !strncasecmp(a.at, b.at, a.len);
}

static bool starts(struct http_span text, struct http_span with)
{
	return text.len >= with.len && !memcmp(text.at, with.at, with.len);
}

static bool starts_fold(struct http_span text, struct http_span with)
{
	return text.len >= with.len && !strncasecmp(text.at, with.at, with.len);
}

bool http_value_holds(const struct http_snapshot *s, const struct hs_value *v,
		      struct http_span text)
{
	struct http_span want = hs_span(s, v->value);

	switch (v->type) {
	case MATCH_EXACT:
		return v->fold ? http_span_folds(text, want) : http_span_is(text, want);
	case MATCH_PREFIX:
		return v->fold ? starts_fold(text, want) : starts(text, want);
	case MATCH_REGEX:
		return http_regex_match(s->regexes, v->regex, text.at, text.len);
	default:
		return true;
	}
}

__attribute__((format(printf, 2, 3))) static bool because(struct http_reason *why, const char *fmt,
							  ...)
{
	va_list args;

	if (!why)
		return false;
	va_start(args, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	return false;
}

static int width(struct http_span text)
{
	return text.len < 80 ? (int)text.len : 80;
}

/* "header end-user: 'x' is not 'jason'" */
static bool because_value(const struct http_snapshot *s, struct http_reason *why, const char *what,
			  struct http_span name, const struct hs_value *v, struct http_span text)
{
	static const char *const verbs[] = { [MATCH_NONE] = "is not",
					     [MATCH_EXACT] = "is not",
					     [MATCH_PREFIX] = "does not start with",
					     [MATCH_REGEX] = "does not match",
					     [MATCH_PRESENT] = "is not" };

	return because(why, "%s%s%.*s: '%.*s' %s '%.80s'", what, name.len ? " " : "", width(name),
		       name.at, width(text), text.at, verbs[v->type], hs_text(s, v->value));
}

/* ---- headers ---- */

const struct http_field *http_find_field(const struct http_request *q, struct http_span name)
{
	for (size_t i = 0; i < q->field_count; i++)
		if (http_span_folds(q->fields[i].name, name))
			return &q->fields[i];
	return NULL;
}

static const struct http_span *pseudo(const struct http_request *q, struct http_span name)
{
	const struct {
		const char *name;
		const struct http_span *value;
	} words[] = {
		{ ":method", &q->method }, { ":authority", &q->authority },
		{ "host", &q->authority }, { ":path", &q->path },
		{ ":scheme", &q->scheme },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (http_span_is(name, http_span(words[i].name)))
			return words[i].value;
	return NULL;
}

/* All values with commas between them, in `buf` if there are several. -ENOENT; -ENOSPC. */
static int header(const struct http_request *q, struct http_span name, char buf[JOINED_MAX],
		  struct http_span *out)
{
	const struct http_span *special = pseudo(q, name);
	const struct http_field *f = special ? NULL : http_find_field(q, name);
	const struct http_field *end = q->fields + q->field_count;
	size_t len;

	if (special) {
		*out = *special;
		return 0;
	}
	if (!f)
		return -ENOENT;
	*out = f->value;
	for (f++; f < end; f++) {
		if (!http_span_folds(f->name, name))
			continue;
		len = out->len;
		if (len + 1 + f->value.len > JOINED_MAX)
			return -ENOSPC;
		if (out->at != buf)
			memcpy(buf, out->at, len);
		buf[len] = ',';
		memcpy(buf + len + 1, f->value.at, f->value.len);
		*out = (struct http_span){ buf, len + 1 + f->value.len };
	}
	return 0;
}

static bool header_holds(const struct http_snapshot *s, const struct hs_named *n,
			 const struct http_request *q, struct http_reason *why)
{
	struct http_span name = hs_span(s, n->name), text;
	char joined[JOINED_MAX];
	int r = header(q, name, joined, &text);

	if (r == -ENOENT)
		return because(why, "header %.*s: missing", width(name), name.at);
	if (r)
		return because(why, "header %.*s: too long", width(name), name.at);
	return http_value_holds(s, &n->value, text) ||
	       because_value(s, why, "header", name, &n->value, text);
}

/* A missing header is as good as an empty one, except where only its presence matters. */
static bool header_absent(const struct http_snapshot *s, const struct hs_named *n,
			  const struct http_request *q, struct http_reason *why)
{
	struct http_span name = hs_span(s, n->name), text = http_span("");
	char joined[JOINED_MAX];
	int r = header(q, name, joined, &text);

	if (r == -ENOENT && n->value.type == MATCH_PRESENT)
		return true;
	if (r == -ENOSPC || !http_value_holds(s, &n->value, text))
		return true;
	return because(why, "withoutHeaders %.*s: is '%.*s'", width(name), name.at, width(text),
		       text.at);
}

/* ---- the path ---- */

static struct http_span without_query(struct http_span path)
{
	const char *end = memchr(path.at, '?', path.len);
	const char *fragment;

	if (end)
		path.len = end - path.at;
	fragment = memchr(path.at, '#', path.len);
	if (fragment)
		path.len = fragment - path.at;
	return path;
}

/* The first parameter of that name, as it is written. */
static bool find_param(struct http_span path, struct http_span name, struct http_span *out)
{
	const char *at = memchr(path.at, '?', path.len), *end = path.at + path.len;

	while (at && at < end) {
		const char *start = at + 1, *equals;
		const char *next = memchr(start, '&', end - start);
		size_t len = (next ? next : end) - start;

		equals = memchr(start, '=', len);
		if (http_span_is(name, (struct http_span){ start, equals ? (size_t)(equals - start)
									 : len })) {
			*out = equals ? (struct http_span){ equals + 1, start + len - equals - 1 }
				      : (struct http_span){ start + len, 0 };
			return true;
		}
		at = next;
	}
	return false;
}

static bool param_holds(const struct http_snapshot *s, const struct hs_named *n,
			const struct http_request *q, struct http_reason *why)
{
	struct http_span name = hs_span(s, n->name), text;

	if (!find_param(q->path, name, &text))
		return because(why, "queryParams %.*s: missing", width(name), name.at);
	return http_value_holds(s, &n->value, text) ||
	       because_value(s, why, "queryParams", name, &n->value, text);
}

/* ---- all together ---- */

static bool line_holds(const struct http_snapshot *s, const struct hs_match *m,
		       const struct http_request *q, struct http_reason *why)
{
	const struct {
		const char *what;
		const struct hs_value *value;
		struct http_span text;
	} parts[] = {
		{ "uri", &m->uri, without_query(q->path) },
		{ "scheme", &m->scheme, q->scheme },
		{ "method", &m->method, q->method },
		{ "authority", &m->authority, q->authority },
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (!http_value_holds(s, parts[i].value, parts[i].text))
			return because_value(s, why, parts[i].what, (struct http_span){ "", 0 },
					     parts[i].value, parts[i].text);
	return true;
}

bool http_match_request(const struct http_snapshot *s, const struct hs_match *m,
			const struct http_request *q, struct http_reason *why)
{
	if (!line_holds(s, m, q, why))
		return false;
	for (__u32 i = 0; i < m->headers.count; i++)
		if (!header_holds(s, hs_named(s, m->headers.first + i), q, why))
			return false;
	for (__u32 i = 0; i < m->without_headers.count; i++)
		if (!header_absent(s, hs_named(s, m->without_headers.first + i), q, why))
			return false;
	for (__u32 i = 0; i < m->query_params.count; i++)
		if (!param_holds(s, hs_named(s, m->query_params.first + i), q, why))
			return false;
	return true;
}

/* ---- the source ---- */

static bool label_holds(const struct http_snapshot *s, const struct hs_label *want,
			const struct http_source *source)
{
	const struct hs_source *known = source->known;
	const char *value;

	if (!known) {
		value = source->labels ? labels_get(source->labels, hs_text(s, want->key)) : NULL;
		return value && !strcmp(value, hs_text(s, want->value));
	}
	for (__u32 i = 0; i < known->labels.count; i++) {
		const struct hs_label *has = hs_label(s, known->labels.first + i);

		/* Equal strings are stored once. */
		if (has->key.at == want->key.at)
			return has->value.at == want->value.at;
	}
	return false;
}

bool http_match_source(const struct http_snapshot *s, const struct hs_match *m,
		       const struct http_source *source, struct http_reason *why)
{
	struct http_span ns = m ? hs_span(s, m->source_namespace) : (struct http_span){ "", 0 };

	/* At a gateway this was decided when the rules were compiled. */
	if (!m || !source)
		return true;
	if (ns.len && !http_span_is(ns, source->name))
		return because(why, "sourceNamespace: '%.*s' is not '%.*s'", width(source->name),
			       source->name.at, width(ns), ns.at);
	for (__u32 i = 0; i < m->source_labels.count; i++)
		if (!label_holds(s, hs_label(s, m->source_labels.first + i), source))
			return because(why, "sourceLabels: the client does not have %.200s",
				       hs_text(s, m->source_labels_text));
	return true;
}
