/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_SCHEMA_OBJECT_TEXT_H
#define WEFT_LIB_SCHEMA_OBJECT_TEXT_H
/*
 * What an object was decoded from: its tree, or, where only its text is kept, a tree made anew.
 */
#include "lib/model/model.h"
#include "lib/yaml/tree.h"

struct object_tree {
	const struct node *root;
	struct arena *room; /* NULL: the object has the tree itself */
};

/* 0; -ENOMEM with *out as it was. */
int object_tree_open(const struct object *o, struct object_tree *out);
void object_tree_close(struct object_tree *t);

/* The object as JSON; to be freed. NULL when out of memory. */
char *object_json_text(const struct object *o, size_t *size);

#endif
