// SPDX-License-Identifier: Apache-2.0
/*
 * What is kept of an object that the API server has written as JSON: its own text.
 */
#include <errno.h>
#include <string.h>

#include "lib/kube/object_fields_priv.h"

static int keep_value(const struct field *f, struct json_span value, unsigned depth,
		      struct buffer *out);

static int put(struct buffer *out, const char *bytes, size_t size)
{
	return buffer_add(out, bytes, size);
}

static int keep_member(const struct field *f, struct json_span key, struct json_span value,
		       bool *first, unsigned depth, struct buffer *out)
{
	const struct field *named = object_fields_find(f, key.at, key.len);

	if (named ? named->dropped : !f->others)
		return 0;
	if (put(out, ",", *first ? 0 : 1) || put(out, "\"", 1) || put(out, key.at, key.len) ||
	    put(out, "\":", 2))
		return -ENOMEM;
	*first = false;
	return named ? keep_value(named, value, depth + 1, out) : put(out, value.at, value.len);
}

static int keep_members(const struct field *f, struct json_span object, bool first, unsigned depth,
			struct buffer *out)
{
	struct json_walk w = json_members(object);
	struct json_span key, value;
	int r = 0;

	while (!r && json_next_member(&w, &key, &value))
		r = keep_member(f, key, value, &first, depth, out);
	if (!r && w.bad)
		r = -EPROTO;
	return r ? r : put(out, "}", 1);
}

static bool is_wanted(const struct field *f, struct json_span element)
{
	struct json_walk w = json_members(element);
	struct json_span key, value;

	if (!f->only)
		return true;
	while (json_next_member(&w, &key, &value))
		if (key.len == f->only_len && !memcmp(key.at, f->only, key.len)) {
			value = json_plain(value);
			return value.len == f->is_len && !memcmp(value.at, f->is, value.len);
		}
	return false;
}

static int keep_elements(const struct field *f, struct json_span array, unsigned depth,
			 struct buffer *out)
{
	struct json_walk w = json_elements(array);
	struct json_span value;
	bool first = true;
	int r = put(out, "[", 1);

	while (!r && json_next_element(&w, &value)) {
		if (!is_wanted(f, value))
			continue;
		r = put(out, ",", first ? 0 : 1);
		first = false;
		if (!r)
			r = keep_value(f, value, depth + 1, out);
	}
	if (!r && w.bad)
		r = -EPROTO;
	return r ? r : put(out, "]", 1);
}

static int keep_value(const struct field *f, struct json_span value, unsigned depth,
		      struct buffer *out)
{
	if ((f->whole && !(f->only && *value.at == '[')) || (*value.at != '{' && *value.at != '['))
		return put(out, value.at, value.len);
	if (depth > OBJECT_DEPTH_MAX)
		return -EPROTO;
	if (*value.at == '[')
		return keep_elements(f, value, depth, out);
	return put(out, "{", 1) ? -ENOMEM : keep_members(f, value, true, depth, out);
}

int object_fields_keep_json(const struct object_fields *f, struct json_span object,
			    struct buffer *out)
{
	return keep_members(&f->root, object, false, 0, out);
}
