// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "daemon/objects/stage.h"
#include "lib/schema/object_text.h"

static int list_add(struct object_list *list, struct object *o)
{
	size_t room = list->room ? 2 * list->room : 64;
	struct object **items;

	if (list->count == list->room) {
		items = realloc(list->items, room * sizeof(*items));
		if (!items)
			return -ENOMEM;
		list->items = items;
		list->room = room;
	}
	list->items[list->count++] = o;
	return 0;
}

static void list_free(struct object_list *list, bool objects)
{
	for (size_t i = 0; objects && i < list->count; i++)
		object_free(list->items[i]);
	free(list->items);
	*list = (struct object_list){ 0 };
}

static bool node_same(const struct node *a, const struct node *b)
{
	const struct node *x, *y;

	a = node_target(a);
	b = node_target(b);
	if (a->type != b->type || a->count != b->count)
		return false;
	if (a->type == NODE_SCALAR)
		return memcmp(a->text, b->text, a->count) == 0 && node_scalar(a) == node_scalar(b);
	x = a->count ? a->child : NULL;
	y = b->count ? b->child : NULL;
	for (; x && y; x = x->next, y = y->next)
		if (!node_same(x, y))
			return false;
	return !x && !y;
}

static bool is_compared(const struct node *key)
{
	const char *text = node_text(key);

	return !text || (strcmp(text, "namespace") != 0 && strcmp(text, "resourceVersion") != 0);
}

/* This key of `metadata`, or the next one that says anything about the object itself. */
static const struct node *next_compared(const struct node *key)
{
	while (key && !is_compared(key))
		key = key->next->next;
	return key;
}

/* Objects that are compared are of one namespace, whether it was written into both or not; their
 * resourceVersion changes with what is no part of them here. */
static bool metadata_same(const struct node *a, const struct node *b)
{
	const struct node *x = next_compared(node_target(a)->child);
	const struct node *y = next_compared(node_target(b)->child);

	for (; x && y; x = next_compared(x->next->next), y = next_compared(y->next->next))
		if (!node_same(x, y) || !node_same(x->next, y->next))
			return false;
	return !x && !y;
}

static bool tree_same(const struct node *a, const struct node *b)
{
	const struct node *x = node_target(a)->child;
	const struct node *y = node_target(b)->child;

	for (; x && y; x = x->next->next, y = y->next->next) {
		bool metadata = node_text(x) && strcmp(node_text(x), "metadata") == 0;

		if (!node_same(x, y))
			return false;
		if (metadata ? !metadata_same(x->next, y->next) : !node_same(x->next, y->next))
			return false;
	}
	return !x && !y;
}

bool object_same(const struct object *a, const struct object *b)
{
	struct object_tree x, y;
	bool same;

	if (a->text && b->text && a->text_size == b->text_size &&
	    !memcmp(a->text, b->text, a->text_size))
		return true;
	if (object_tree_open(a, &x))
		return false;
	if (object_tree_open(b, &y)) {
		object_tree_close(&x);
		return false;
	}
	same = tree_same(x.root, y.root);
	object_tree_close(&x);
	object_tree_close(&y);
	return same;
}

/* Rules are told to the user by file and line: an object that has moved is taken over quietly. */
static bool same_place(const struct object *a, const struct object *b)
{
	return strcmp(a->file, b->file) == 0 && a->pos.line == b->pos.line &&
	       a->pos.col == b->pos.col;
}

int stage_init(struct stage *st, const struct known_set *from)
{
	*st = (struct stage){ .now = time(NULL) };
	return known_copy(from, &st->set);
}

int stage_put(struct stage *st, struct object *o, const char **change)
{
	struct object_id id = object_id(o);
	struct known *k = known_find(&st->set, &id);
	bool same = k && object_same(k->object, o);
	int r;

	*change = !k ? "created" : same ? "unchanged" : "configured";
	r = list_add(&st->fresh, o);
	if (r) {
		object_free(o);
		return r;
	}
	if (!same || !same_place(k->object, o))
		st->dirty = true;
	if (!k)
		return known_add(&st->set, o, NULL, st->now);
	r = list_add(&st->gone, k->object);
	if (r)
		return r;
	k->object = o;
	k->origin = NULL;
	return 0;
}

int stage_remove(struct stage *st, const struct object_id *id)
{
	struct known *k = known_find(&st->set, id);
	int r;

	if (!k)
		return -ENOENT;
	r = list_add(&st->gone, k->object);
	if (r)
		return r;
	k->object = NULL;
	k->origin = NULL;
	st->dirty = true;
	return 0;
}

bool stage_removed(const struct stage *st, const struct object_id *id)
{
	for (size_t i = 0; i < st->gone.count; i++)
		if (object_is(st->gone.items[i], id))
			return true;
	return false;
}

int stage_seal(struct stage *st)
{
	return known_squeeze(&st->set);
}

void stage_keep(struct stage *st, struct known_set *set)
{
	for (size_t i = 0; i < st->set.count; i++)
		origin_ref(st->set.items[i].origin);
	for (size_t i = 0; i < set->count; i++)
		origin_unref(set->items[i].origin);
	known_free(set);
	*set = st->set;
	st->set = (struct known_set){ 0 };
	list_free(&st->fresh, false);
	list_free(&st->gone, true);
}

void stage_drop(struct stage *st)
{
	known_free(&st->set);
	list_free(&st->fresh, true);
	list_free(&st->gone, false);
}
