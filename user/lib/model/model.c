// SPDX-License-Identifier: Apache-2.0
#include "lib/model/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"

void object_free(struct object *o)
{
	if (o)
		arena_unref(o->arena);
}

void objects_free(struct objects *set)
{
	for (size_t i = 0; i < set->count; i++)
		object_free(set->items[i]);
	free(set->items);
	memset(set, 0, sizeof(*set));
}

int objects_add(struct objects *set, struct object *o)
{
	struct object **items = reallocarray(set->items, set->count + 1, sizeof(void *));

	if (!items)
		return -ENOMEM;
	set->items = items;
	set->items[set->count++] = o;
	return 0;
}
