// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kube/object_fields_priv.h"

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

const struct field *object_fields_find(const struct field *parent, const char *name, size_t len)
{
	const struct field *f = parent->child;

	while (f && (f->len != len || memcmp(f->name, name, len) != 0))
		f = f->next;
	return f;
}

static struct field *add(struct field *parent, const char *name, size_t len)
{
	struct field *f = (struct field *)object_fields_find(parent, name, len);

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

/* ---- what is described of it in protobuf ---- */

/* Whether nothing of it is left out. */
static bool is_whole(const struct proto_field *described)
{
	const struct proto_message *m = described->message;
	bool whole = !m || !m->partial;

	for (const struct proto_field *p = m ? m->fields : NULL; whole && p && p->name; p++)
		whole = is_whole(p);
	return whole;
}

static bool describe(struct field *parent, const struct proto_message *m)
{
	bool all = true;

	for (struct field *f = parent->child; f && all; f = f->next) {
		if (f->dropped)
			continue;
		f->described = proto_field_named(m, f->name, f->len);
		if (!f->described || (f->whole && !is_whole(f->described)))
			return false;
		if (f->described->message)
			all = describe(f, f->described->message);
		else
			all = !f->child || f->described->type == PROTO_MAP;
	}
	return all;
}

/* ---- all of it ---- */

int object_fields_new(const char *const *paths, const struct proto_message *message,
		      struct object_fields **out)
{
	struct object_fields *f = calloc(1, sizeof(*f));
	int r = f ? 0 : -ENOMEM;

	/* They are written by the caller of the next function. */
	if (!r && (drop(&f->root, "apiVersion") || drop(&f->root, "kind")))
		r = -ENOMEM;
	if (!r)
		r = paths ? add_some(&f->root, paths) : add_all(&f->root);
	if (!r && message && !(paths && describe(&f->root, message)))
		r = -EINVAL;
	if (r) {
		object_fields_free(f);
		return r;
	}
	f->message = message;
	*out = f;
	return 0;
}

int object_fields_keep(const struct object_fields *f, enum kube_format format,
		       struct json_span object, const char *api_version, const char *kind,
		       struct buffer *out)
{
	if (buffer_add_text(out, "{\"apiVersion\":\"") || buffer_add_text(out, api_version) ||
	    buffer_add_text(out, "\",\"kind\":\"") || buffer_add_text(out, kind) ||
	    buffer_add_text(out, "\""))
		return -ENOMEM;
	return format == KUBE_PROTO ? object_fields_keep_proto(f, object, out)
				    : object_fields_keep_json(f, object, out);
}
