/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/schema/object_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/yaml/json_text.h"
#include "lib/yaml/print.h"

static char *restored(const struct object *o, char *copy)
{
	if (!copy || !o->text)
		return NULL;
	memcpy(copy, o->text, o->text_size);
	copy[o->text_size] = '\0';
	json_text_restore(copy, o->text_size);
	return copy;
}

int object_tree_open(const struct object *o, struct object_tree *out)
{
	struct object_tree t = { .root = o->tree };
	char *copy;
	int r;

	if (o->tree) {
		*out = t;
		return 0;
	}
	t.room = arena_new();
	copy = t.room ? restored(o, arena_alloc(t.room, o->text_size + 1)) : NULL;
	/* It was read once: only memory can be missing. */
	r = copy ? json_text_parse(copy, o->text_size, t.room, t.room, &t.root) : -ENOMEM;
	if (r) {
		arena_unref(t.room);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

void object_tree_close(struct object_tree *t)
{
	arena_unref(t->room);
	*t = (struct object_tree){ 0 };
}

static char *printed(const struct object *o, size_t *size)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, size);
	int r;

	if (!f)
		return NULL;
	r = node_print(o->tree, o->meta.namespace, true, f);
	if (!fclose(f) && !r)
		return text;
	free(text);
	return NULL;
}

char *object_json_text(const struct object *o, size_t *size)
{
	if (o->tree)
		return printed(o, size);
	*size = o->text_size;
	return restored(o, malloc(o->text_size + 1));
}
