// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kube/object_fields.h"

/* Lists in lists are nowhere deeper. */
enum { DEPTH_MAX = 32 };

/* What to do with the member of that name. Those not named are kept if `others`. */
struct field {
	const char *name;
	size_t len;
	bool whole, dropped, others;
	/* Of a list, only elements whose member of this name is this word; NULL: all of them. */
	const char *only;
	size_t only_len;
	const char *is;
	size_t is_len;
	struct field *child, *next;
};

struct object_fields {
	struct field root;
};

static void free_children(struct field *f)
{
	while (f->child) {
		struct field *child = f->child;

		f->child = child->next;
		free_children(child);
		free(child);
	}
}

void object_fields_free(struct object_fields *f)
{
	if (f)
		free_children(&f->root);
	free(f);
}

static struct field *find(const struct field *parent, const char *name, size_t len)
{
	struct field *f = parent->child;

	while (f && (f->len != len || memcmp(f->name, name, len) != 0))
		f = f->next;
	return f;
}

static struct field *add(struct field *parent, const char *name, size_t len)
{
	struct field *f = find(parent, name, len);

	if (f)
		return f;
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	*f = (struct field){ .name = name, .len = len, .next = parent->child };
	parent->child = f;
	return f;
}

/* "[type=Ready]" */
static void add_condition(struct field *f, const char *text)
{
	size_t name = strcspn(text + 1, "="), word = strcspn(text + 1 + name + 1, "]");

	f->only = text + 1;
	f->only_len = name;
	f->is = text + 1 + name + 1;
	f->is_len = word;
}

/* A name between quotation marks may have dots. */
static struct field *add_name(struct field *parent, const char **path)
{
	bool quoted = **path == '\'';
	const char *name = *path + quoted;
	size_t len = strcspn(name, quoted ? "'" : ".[");
	struct field *f = add(parent, name, len);
	const char *end = name + len + quoted;

	if (f && *end == '[')
		add_condition(f, end);
	end += strcspn(end, ".");
	*path = end + (*end == '.');
	return f;
}

static int add_path(struct field *root, const char *path)
{
	struct field *f = root;

	while (f && *path)
		f = add_name(f, &path);
	if (f)
		f->whole = true;
	return f ? 0 : -ENOMEM;
}

static int add_some(struct field *root, const char *const *paths)
{
	static const char *const always[] = { "metadata.name", "metadata.namespace",
					      "metadata.resourceVersion", NULL };
	int r = 0;

	for (const char *const *p = always; *p && !r; p++)
		r = add_path(root, *p);
	for (const char *const *p = paths; *p && !r; p++)
		r = add_path(root, *p);
	return r;
}

static int drop(struct field *parent, const char *name)
{
	struct field *f = parent ? add(parent, name, strlen(name)) : NULL;

	if (f)
		f->dropped = true;
	return f ? 0 : -ENOMEM;
}

/* All but what is not read. */
static int add_all(struct field *root)
{
	struct field *metadata = add(root, "metadata", 8), *annotations;

	annotations = metadata ? add(metadata, "annotations", 11) : NULL;
	if (!annotations)
		return -ENOMEM;
	root->others = metadata->others = annotations->others = true;
	return drop(metadata, "managedFields") ||
			       drop(annotations, "kubectl.kubernetes.io/last-applied-configuration")
		       ? -ENOMEM
		       : 0;
}

struct object_fields *object_fields_new(const char *const *paths)
{
	struct object_fields *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	/* They are written by the caller of the next function. */
	if (drop(&f->root, "apiVersion") || drop(&f->root, "kind") ||
	    (paths ? add_some(&f->root, paths) : add_all(&f->root))) {
		object_fields_free(f);
		return NULL;
	}
	return f;
}

/* ---- an object ---- */

static int keep_value(const struct field *f, struct json_span value, unsigned depth,
		      struct buffer *out);

static int put(struct buffer *out, const char *bytes, size_t size)
{
	return buffer_add(out, bytes, size);
}

static int keep_member(const struct field *f, struct json_span key, struct json_span value,
		       bool *first, unsigned depth, struct buffer *out)
{
	const struct field *named = find(f, key.at, key.len);

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
	if (depth > DEPTH_MAX)
		return -EPROTO;
	if (*value.at == '[')
		return keep_elements(f, value, depth, out);
	return put(out, "{", 1) ? -ENOMEM : keep_members(f, value, true, depth, out);
}

int object_fields_keep(const struct object_fields *f, struct json_span object,
		       const char *api_version, const char *kind, struct buffer *out)
{
	if (buffer_add_text(out, "{\"apiVersion\":\"") || buffer_add_text(out, api_version) ||
	    buffer_add_text(out, "\",\"kind\":\"") || buffer_add_text(out, kind) ||
	    buffer_add_text(out, "\""))
		return -ENOMEM;
	return keep_members(&f->root, object, false, 0, out);
}
