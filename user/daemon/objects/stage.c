// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "lib/base/fnv.h"
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

static bool trees_same(const struct object *a, const struct object *b)
{
	struct object_tree x, y;
	bool same;

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

/* Of nodes that node_same() finds the same it is the same. */
static uint64_t hash_node(uint64_t hash, const struct node *n)
{
	n = node_target(n);
	hash = fnv1a(hash, &n->type, sizeof(n->type));
	hash = fnv1a(hash, &n->count, sizeof(n->count));
	if (n->type == NODE_SCALAR)
		return fnv1a(hash, n->text, n->count);
	for (const struct node *x = n->count ? n->child : NULL; x; x = x->next)
		hash = hash_node(hash, x);
	return hash;
}

static uint64_t hash_tree(const struct node *root)
{
	uint64_t hash = FNV1A_BEGIN;

	for (const struct node *x = node_target(root)->child; x; x = x->next->next)
		if (!node_text(x) || strcmp(node_text(x), "metadata") != 0)
			hash = hash_node(hash_node(hash, x), x->next);
	return hash | 1;
}

/* 0 without memory. */
static uint64_t content_of(struct object *o)
{
	struct object_tree t;

	if (o->content || object_tree_open(o, &t))
		return o->content;
	o->content = hash_tree(t.root);
	object_tree_close(&t);
	return o->content;
}

bool object_same(struct object *a, struct object *b)
{
	if (a->text && b->text && a->text_size == b->text_size &&
	    !memcmp(a->text, b->text, a->text_size))
		return true;
	return content_of(a) && content_of(a) == content_of(b) && trees_same(a, b);
}

/* Rules are told to the user by file and line: an object that has moved is taken over quietly. */
static bool same_place(const struct object *a, const struct object *b)
{
	return strcmp(a->file, b->file) == 0 && a->pos.line == b->pos.line &&
	       a->pos.col == b->pos.col;
}

void stage_init(struct stage *st, struct known_set *set)
{
	*st = (struct stage){ .set = set, .now = time(NULL) };
}

/* Room for one more. */
static int reserve_edit(struct stage *st)
{
	size_t room = st->edit_room ? 2 * st->edit_room : 16;
	struct edit *edits;

	if (st->edit_count < st->edit_room)
		return 0;
	edits = realloc(st->edits, room * sizeof(*edits));
	if (!edits)
		return -ENOMEM;
	st->edits = edits;
	st->edit_room = room;
	return 0;
}

/* There is room for it. */
static void replace(struct stage *st, struct known *k, struct object *o)
{
	st->edits[st->edit_count++] = (struct edit){ .at = (size_t)(k - st->set->items),
						     .other = *k,
						     .first = !k->staged };
	k->object = o;
	k->origin = NULL;
	k->staged = true;
}

static int append(struct stage *st, struct object *o)
{
	int r = known_add(st->set, o, NULL, st->now);

	if (r)
		return r;
	st->set->items[st->set->count - 1].staged = true;
	st->edits[st->edit_count++] =
		(struct edit){ .at = st->set->count - 1, .added = true, .first = true };
	return 0;
}

int stage_put(struct stage *st, struct object *o, const char **change)
{
	struct object_id id = object_id(o);
	struct known *k = known_find(st->set, &id);
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
	r = reserve_edit(st);
	if (!r && k)
		r = list_add(&st->gone, k->object);
	if (!r && k)
		replace(st, k, o);
	else if (!r)
		r = append(st, o);
	return r;
}

int stage_remove(struct stage *st, const struct object_id *id)
{
	struct known *k = known_find(st->set, id);
	int r;

	if (!k)
		return -ENOENT;
	r = reserve_edit(st);
	if (!r)
		r = list_add(&st->gone, k->object);
	if (r)
		return r;
	replace(st, k, NULL);
	st->dirty = st->removed = true;
	return 0;
}

bool stage_removed(const struct stage *st, const struct object_id *id)
{
	for (size_t i = 0; i < st->gone.count; i++)
		if (object_is(st->gone.items[i], id))
			return true;
	return false;
}

bool stage_next_change(const struct stage *st, size_t *i, const struct object **old,
		       const struct object **new)
{
	for (; *i < st->edit_count; ++*i) {
		const struct edit *e = &st->edits[*i];

		*old = e->other.object;
		*new = st->set->items[e->at].object;
		if (e->first && *old != *new) {
			++*i;
			return true;
		}
	}
	return false;
}

static void exchange(struct known *a, struct known *b)
{
	struct known was = *a;

	*a = *b;
	*b = was;
}

void stage_withdraw(struct stage *st)
{
	for (size_t i = st->edit_count; i-- > 0 && !st->withdrawn;) {
		struct edit *e = &st->edits[i];

		if (e->added)
			e->other = known_pop(st->set);
		else
			exchange(&st->set->items[e->at], &e->other);
	}
	st->withdrawn = true;
}

/* An element that was there is there again: it needs no memory. */
static void add_again(struct known_set *set, struct known *k)
{
	int r = known_add(set, k->object, k->origin, k->since);

	assert(!r);
	(void)r;
	set->items[set->count - 1].staged = true;
	*k = (struct known){ 0 };
}

void stage_again(struct stage *st)
{
	for (size_t i = 0; i < st->edit_count && st->withdrawn; i++) {
		struct edit *e = &st->edits[i];

		if (e->added)
			add_again(st->set, &e->other);
		else
			exchange(&st->set->items[e->at], &e->other);
	}
	st->withdrawn = false;
}

/* A set refers to the origins of its elements, a stage does not. */
static void settle_edit(struct stage *st, const struct edit *e)
{
	struct known *k = &st->set->items[e->at];

	if (!e->first)
		return;
	origin_ref(k->origin);
	origin_unref(e->other.origin);
	k->staged = false;
}

static void forget(struct stage *st)
{
	free(st->edits);
	st->edits = NULL;
	st->edit_count = st->edit_room = 0;
}

void stage_keep(struct stage *st)
{
	for (size_t i = 0; i < st->edit_count; i++)
		settle_edit(st, &st->edits[i]);
	if (st->removed)
		known_squeeze(st->set);
	forget(st);
	list_free(&st->fresh, false);
	list_free(&st->gone, true);
}

void stage_drop(struct stage *st)
{
	if (st->set)
		stage_withdraw(st);
	forget(st);
	list_free(&st->fresh, true);
	list_free(&st->gone, false);
}
