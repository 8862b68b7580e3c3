/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_OBJECT_FIELDS_PRIV_H
#define WEFT_LIB_KUBE_OBJECT_FIELDS_PRIV_H
/*
 * The paths of object_fields.h as a tree, and what goes over an object by it.
 */
#include "lib/kube/object_fields.h"

/* Lists in lists are nowhere deeper. */
enum { OBJECT_DEPTH_MAX = 32 };

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
	const struct proto_field *described; /* NULL: a key of a map, or only JSON is read */
	struct field *child, *next;
};

struct object_fields {
	struct field root;
	const struct proto_message *message; /* NULL: only JSON is read */
};

/* The one of that name; NULL: it is not named. */
const struct field *object_fields_find(const struct field *parent, const char *name, size_t len);

/* Appends the members that are kept of an object, and its closing bracket, behind others. 0;
 * -EPROTO; -ENOMEM. */
int object_fields_keep_json(const struct object_fields *f, struct json_span object,
			    struct buffer *out);
int object_fields_keep_proto(const struct object_fields *f, struct json_span object,
			     struct buffer *out);

#endif
