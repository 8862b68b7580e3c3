// SPDX-License-Identifier: Apache-2.0
#include "lib/yaml/yaml_merge.h"

#include <errno.h>
#include <string.h>

#include "lib/base/bytemap.h"
#include "lib/base/cleanup.h"

/* The pairs of a map in the making. */
struct pairs {
	struct pair {
		const struct node *key, *value;
	} * items;
	size_t count, room;
	struct bytemap seen; /* a key's text -> its index + 1 */
};

bool yaml_is_merge(const struct node *key)
{
	const struct node *n = node_target(key);

	return n->type == NODE_SCALAR && !n->quoted && !strcmp(n->text, "<<");
}

static void pairs_free(struct pairs *p)
{
	bytemap_free(&p->seen);
	free(p->items);
}

static int set_pair(struct pairs *p, const struct node *key, const struct node *value)
{
	const char *text = node_text(key);
	void **at = bytemap_at(&p->seen, text, strlen(text));

	if (!at)
		return -ENOMEM;
	if (!*at && p->count == p->room) {
		size_t room = p->room ? 2 * p->room : 8;
		struct pair *items = reallocarray(p->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		p->items = items;
		p->room = room;
	}
	if (!*at)
		*at = (void *)(uintptr_t)++p->count;
	p->items[(uintptr_t)*at - 1] = (struct pair){ key, value };
	return 0;
}

/* `from` has been closed, so that it has no merge keys of its own any more. */
static int add_map(struct pairs *p, const struct node *from, const struct node **wrong)
{
	const struct node *map = node_target(from);
	int r = 0;

	if (map->type != NODE_MAP) {
		*wrong = from;
		return -EINVAL;
	}
	for (const struct node *k = map->child; k && !r; k = k->next->next)
		r = set_pair(p, k, k->next);
	return r;
}

/* The first of the maps counts, so it comes last. */
static int add_maps(struct pairs *p, const struct node *list, const struct node **wrong)
{
	_cleanup_free_ const struct node **maps = calloc(list->count + 1, sizeof(void *));
	size_t n = 0;
	int r = 0;

	if (!maps)
		return -ENOMEM;
	for (const struct node *e = list->child; e; e = e->next)
		maps[n++] = e;
	while (n && !r)
		r = add_map(p, maps[--n], wrong);
	return r;
}

static int gather(struct pairs *p, const struct node *map, const struct node **wrong)
{
	int r = 0;

	for (const struct node *k = map->child; k && !r; k = k->next->next) {
		if (!yaml_is_merge(k))
			r = set_pair(p, k, k->next);
		else if (k->next->type == NODE_LIST)
			r = add_maps(p, k->next, wrong);
		else
			r = add_map(p, k->next, wrong);
	}
	return r;
}

/* A node stands in one list only: the pairs get others that stand for them. */
static struct node *stand_in(struct arena *arena, const struct node *for_node)
{
	struct node *n = arena_alloc(arena, sizeof(*n));

	if (n)
		*n = (struct node){ .line = for_node->line,
				    .col = for_node->col,
				    .type = NODE_ALIAS,
				    .target = node_target(for_node) };
	return n;
}

static int rewrite(struct arena *arena, struct node *map, const struct pairs *p)
{
	struct node *last = NULL;

	map->child = NULL;
	map->count = (uint32_t)p->count;
	for (size_t i = 0; i < p->count; i++) {
		struct node *key = stand_in(arena, p->items[i].key);
		struct node *value = stand_in(arena, p->items[i].value);

		if (!key || !value)
			return -ENOMEM;
		if (last)
			last->next = key;
		else
			map->child = key;
		key->next = value;
		last = value;
	}
	return 0;
}

int yaml_merge(struct arena *arena, struct node *map, const struct node **wrong)
{
	_cleanup_(pairs_free) struct pairs pairs = { 0 };
	bool any = false;
	int r;

	for (const struct node *k = map->child; k && !any; k = k->next->next)
		any = yaml_is_merge(k);
	if (!any)
		return 0;
	r = gather(&pairs, map, wrong);
	return r ? r : rewrite(arena, map, &pairs);
}
