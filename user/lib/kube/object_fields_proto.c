// SPDX-License-Identifier: Apache-2.0
/*
 * What is kept of an object that the API server has written as protobuf, as the JSON that it would
 * have written instead: "" and 0 are left out where Go's omitempty does so.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/json_io.h"
#include "lib/kube/object_fields_priv.h"
#include "lib/kube/proto.h"

enum { NUMBER_ROOM = 48, ENTRY_KEY = 1, ENTRY_VALUE = 2, TIME_SECONDS = 1 };

/* intstr.IntOrString */
enum { INT_OR_STRING_TYPE = 1, INT_OR_STRING_INT = 2, INT_OR_STRING_STRING = 3 };

/* The last second of the year 9999, as RFC 3339 has no later one; and the first of the year 1. */
#define SECONDS_MAX INT64_C(253402300799)
#define SECONDS_MIN INT64_C(-62135596800)

/* An object that is being written. */
struct writer {
	struct buffer *out;
	bool first; /* nothing is in the innermost bracket yet */
	unsigned depth;
};

static int keep_message(struct writer *w, const struct field *f, const struct proto_message *m,
			struct json_span message);

/* ---- JSON ---- */

static int put(struct writer *w, const char *text)
{
	return buffer_add_text(w->out, text);
}

static bool is_plain(struct json_span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < ' ' || text.at[i] > '~' || text.at[i] == '"' || text.at[i] == '\\')
			return false;
	return true;
}

/* Go writes U+FFFD for what is no UTF-8, too. */
static int put_unusual(struct writer *w, struct json_span text)
{
	_cleanup_json_ json_t *json = json_textn(text.at, text.len);
	_cleanup_free_ char *written = json ? json_dumps(json, JSON_ENCODE_ANY) : NULL;

	return written ? put(w, written) : -ENOMEM;
}

static int put_string(struct writer *w, struct json_span text)
{
	if (!text.at)
		return put(w, "\"\"");
	if (!is_plain(text))
		return put_unusual(w, text);
	return put(w, "\"") || buffer_add(w->out, text.at, text.len) || put(w, "\"") ? -ENOMEM : 0;
}

static int put_comma(struct writer *w)
{
	bool first = w->first;

	w->first = false;
	return first ? 0 : put(w, ",");
}

static int put_key(struct writer *w, const char *name)
{
	return put_comma(w) || put(w, "\"") || put(w, name) || put(w, "\":") ? -ENOMEM : 0;
}

static int put_bracket(struct writer *w, const char *bracket)
{
	w->first = *bracket == '{' || *bracket == '[';
	return put(w, bracket);
}

/* ---- values ---- */

static int put_int(struct writer *w, int64_t v)
{
	char text[NUMBER_ROOM];

	snprintf(text, sizeof(text), "%" PRId64, v);
	return put(w, text);
}

static bool scalar_in(struct json_span message, uint32_t number, uint64_t *out)
{
	struct proto_walk w = proto_fields(message);
	struct proto_value v;

	*out = 0;
	while (proto_next(&w, &v))
		if (v.number == number && v.wire == PROTO_VARINT)
			*out = v.scalar;
	return !w.bad;
}

static int put_time(struct writer *w, struct json_span value)
{
	char text[NUMBER_ROOM];
	uint64_t seconds;
	struct tm tm;
	time_t at;

	if (!scalar_in(value, TIME_SECONDS, &seconds) || (int64_t)seconds > SECONDS_MAX ||
	    (int64_t)seconds < SECONDS_MIN)
		return -EPROTO;
	at = (time_t)(int64_t)seconds;
	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "\"%Y-%m-%dT%H:%M:%SZ\"", &tm);
	return put(w, text);
}

static int put_int_or_string(struct writer *w, struct json_span value)
{
	uint64_t type, number;

	if (!scalar_in(value, INT_OR_STRING_TYPE, &type) ||
	    !scalar_in(value, INT_OR_STRING_INT, &number) || type > 1)
		return -EPROTO;
	return type ? put_string(w, proto_bytes(value, INT_OR_STRING_STRING))
		    : put_int(w, (int64_t)number);
}

static int put_object(struct writer *w, const struct field *f, const struct proto_message *m,
		      struct json_span message)
{
	int r;

	if (w->depth == OBJECT_DEPTH_MAX)
		return -EPROTO;
	w->depth++;
	r = put_bracket(w, "{") ? -ENOMEM : keep_message(w, f, m, message);
	w->depth--;
	if (r || put_bracket(w, "}"))
		return r ? r : -ENOMEM;
	return 0;
}

static int put_value(struct writer *w, const struct field *f, const struct proto_field *d,
		     const struct proto_value *v)
{
	switch (d->type) {
	case PROTO_STRING:
		return put_string(w, v->bytes);
	case PROTO_BOOL:
		return put(w, v->scalar ? "true" : "false");
	case PROTO_INT:
		return put_int(w, (int64_t)v->scalar);
	case PROTO_MESSAGE:
		return put_object(w, f, d->message, v->bytes);
	case PROTO_TIME:
		return put_time(w, v->bytes);
	case PROTO_INT_OR_STRING:
		return put_int_or_string(w, v->bytes);
	case PROTO_MAP:
		break;
	}
	return -EPROTO;
}

/* ---- maps and lists: all the fields of that number, wherever they are ---- */

static bool is_wanted(const struct field *f, const struct proto_field *d, struct json_span element)
{
	const struct proto_field *by;
	struct json_span word;

	if (!f || !f->only)
		return true;
	by = d->message ? proto_field_named(d->message, f->only, f->only_len) : NULL;
	word = by ? proto_bytes(element, by->number) : (struct json_span){ 0 };
	return word.at && word.len == f->is_len && !memcmp(word.at, f->is, word.len);
}

static int put_entry(struct writer *w, const struct field *f, struct json_span entry)
{
	struct json_span key = proto_bytes(entry, ENTRY_KEY),
			 value = proto_bytes(entry, ENTRY_VALUE);
	struct proto_walk check = proto_fields(entry);
	struct proto_value ignored;

	while (proto_next(&check, &ignored))
		;
	if (check.bad)
		return -EPROTO;
	if (f && !f->whole && !object_fields_find(f, key.at ? key.at : "", key.len))
		return 0;
	if (put_comma(w) || put_string(w, key) || put(w, ":"))
		return -ENOMEM;
	return put_string(w, value);
}

static int put_element(struct writer *w, const struct field *f, const struct proto_field *d,
		       const struct proto_value *v)
{
	if (d->type == PROTO_MAP)
		return put_entry(w, f, v->bytes);
	if (!is_wanted(f, d, v->bytes))
		return 0;
	return put_comma(w) ? -ENOMEM : put_value(w, f, d, v);
}

/* `rest`: from behind the first of them, which is `v`. */
static int put_all(struct writer *w, const struct field *f, const struct proto_field *d,
		   struct proto_value v, struct proto_walk rest)
{
	bool map = d->type == PROTO_MAP;
	int r = put_key(w, d->name) || put_bracket(w, map ? "{" : "[") ? -ENOMEM : 0;

	do {
		if (v.number == d->number && v.wire != PROTO_BYTES)
			r = -EPROTO;
		else if (v.number == d->number)
			r = put_element(w, f, d, &v);
	} while (!r && proto_next(&rest, &v));
	if (!r && rest.bad)
		r = -EPROTO;
	return r ? r : put_bracket(w, map ? "}" : "]");
}

/* ---- messages ---- */

/* Whether JSON would not have it. */
static bool is_left_out(const struct proto_field *d, const struct proto_value *v)
{
	switch (d->type) {
	case PROTO_STRING:
	case PROTO_TIME:
		return !d->zero && !v->bytes.len;
	case PROTO_BOOL:
	case PROTO_INT:
		return !d->zero && !v->scalar;
	case PROTO_MESSAGE:
	case PROTO_MAP:
	case PROTO_INT_OR_STRING:
		break;
	}
	return false;
}

static bool has_its_wire(const struct proto_field *d, const struct proto_value *v)
{
	return v->wire ==
	       (d->type == PROTO_BOOL || d->type == PROTO_INT ? PROTO_VARINT : PROTO_BYTES);
}

/* What a newer Kubernetes has in a message of which all is to be kept: whether JSON would have it
 * can't be told, as each object may have it, empty. */
static int take_nameless(const struct proto_value *v)
{
	return v->wire == PROTO_VARINT && !v->scalar ? 0 : -EOPNOTSUPP;
}

/* A message's fields that have been written, by their place in its description. */
struct written {
	uint64_t bits;
};

static bool note(struct written *seen, const struct proto_message *m, const struct proto_field *d)
{
	uint64_t bit = 1ull << (d - m->fields);
	bool again = seen->bits & bit;

	seen->bits |= bit;
	return !again;
}

static const struct field *named(const struct field *f, const struct proto_field *d)
{
	const struct field *child = f->child;

	while (child && child->described != d)
		child = child->next;
	return child;
}

static int keep_field(struct writer *w, const struct field *f, const struct proto_message *m,
		      const struct proto_value *v, const struct proto_walk *rest,
		      struct written *seen)
{
	const struct proto_field *d = proto_field(m, v->number);
	bool whole = !f || f->whole;
	const struct field *child;

	if (!d)
		return whole && !m->partial ? take_nameless(v) : 0;
	child = whole ? NULL : named(f, d);
	if (!whole && !child)
		return 0;
	if (d->list || d->type == PROTO_MAP)
		return note(seen, m, d) ? put_all(w, child, d, *v, *rest) : 0;
	if (!has_its_wire(d, v) || !note(seen, m, d))
		return -EPROTO;
	if (is_left_out(d, v))
		return 0;
	return put_key(w, d->name) ? -ENOMEM : put_value(w, child, d, v);
}

static int keep_message(struct writer *w, const struct field *f, const struct proto_message *m,
			struct json_span message)
{
	struct proto_walk walk = proto_fields(message);
	struct written seen = { 0 };
	struct proto_value v;
	int r = 0;

	while (!r && proto_next(&walk, &v))
		r = keep_field(w, f, m, &v, &walk, &seen);
	return !r && walk.bad ? -EPROTO : r;
}

int object_fields_keep_proto(const struct object_fields *f, struct json_span object,
			     struct buffer *out)
{
	struct writer w = { .out = out };
	int r = f->message ? keep_message(&w, &f->root, f->message, object) : -EPROTO;

	return r ? r : put(&w, "}");
}
