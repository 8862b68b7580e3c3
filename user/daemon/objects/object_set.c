// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/objects/object_set.h"

enum { FIRST_SLOTS = 256, SQUEEZED_SINGLY = 8 };

/* FNV-1a, the terminating NUL included so that ("ab", "c") and ("a", "bc") differ. */
static uint32_t hash_text(uint32_t h, const char *text)
{
	do
		h = (h ^ (unsigned char)*text) * 16777619u;
	while (*text++);
	return h;
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static uint32_t hash_id(const struct object_id *id)
{
	uint32_t h = (2166136261u ^ (uint32_t)id->kind) * 16777619u;

	return hash_text(hash_text(h, or_empty(id->namespace)), id->name);
}

bool object_is(const struct object *o, const struct object_id *id)
{
	return (int)o->kind == id->kind && strcmp(o->meta.name, id->name) == 0 &&
	       strcmp(or_empty(o->meta.namespace), or_empty(id->namespace)) == 0;
}

struct object_id object_id(const struct object *o)
{
	return (struct object_id){ (int)o->kind, o->meta.namespace, o->meta.name };
}

struct known *known_find(const struct known_set *set, const struct object_id *id)
{
	uint32_t hash = hash_id(id);

	if (!set->slot_count)
		return NULL;
	for (size_t i = hash & (set->slot_count - 1); set->slots[i];
	     i = (i + 1) & (set->slot_count - 1)) {
		struct known *k = &set->items[set->slots[i] - 1];

		if (k->hash == hash && k->object && object_is(k->object, id))
			return k;
	}
	return NULL;
}

static void put_slot(uint32_t *slots, size_t slot_count, uint32_t hash, size_t position)
{
	size_t i = hash & (slot_count - 1);

	while (slots[i])
		i = (i + 1) & (slot_count - 1);
	slots[i] = (uint32_t)position + 1;
}

static int rebuild_slots(struct known_set *set, size_t slot_count)
{
	uint32_t *slots = calloc(slot_count, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < set->count; i++)
		put_slot(slots, slot_count, set->items[i].hash, i);
	free(set->slots);
	set->slots = slots;
	set->slot_count = slot_count;
	return 0;
}

static int make_room(struct known_set *set)
{
	size_t room = set->room ? 2 * set->room : FIRST_SLOTS / 2;
	struct known *items;

	if (set->count < set->room)
		return 0;
	items = realloc(set->items, room * sizeof(*items));
	if (!items)
		return -ENOMEM;
	set->items = items;
	set->room = room;
	return 0;
}

int known_add(struct known_set *set, struct object *o, struct origin *origin, int64_t since)
{
	struct object_id id = object_id(o);
	uint32_t hash = hash_id(&id);
	int r = make_room(set);

	if (!r && 2 * (set->count + 1) > set->slot_count)
		r = rebuild_slots(set, set->slot_count ? 2 * set->slot_count : FIRST_SLOTS);
	if (r)
		return r;
	put_slot(set->slots, set->slot_count, hash, set->count);
	set->items[set->count++] =
		(struct known){ .object = o, .origin = origin, .hash = hash, .since = since };
	return 0;
}

static size_t next_slot(const struct known_set *set, size_t i)
{
	return (i + 1) & (set->slot_count - 1);
}

static size_t slot_of(const struct known_set *set, size_t position)
{
	size_t i = set->items[position].hash & (set->slot_count - 1);

	while (set->slots[i] != position + 1)
		i = next_slot(set, i);
	return i;
}

/* Those behind it that were looked for from here on move up. */
static void free_slot(struct known_set *set, size_t gap)
{
	size_t mask = set->slot_count - 1;

	for (size_t i = next_slot(set, gap); set->slots[i]; i = next_slot(set, i)) {
		size_t first = set->items[set->slots[i] - 1].hash & mask;

		if (((i - first) & mask) < ((i - gap) & mask))
			continue;
		set->slots[gap] = set->slots[i];
		gap = i;
	}
	set->slots[gap] = 0;
}

struct known known_pop(struct known_set *set)
{
	free_slot(set, slot_of(set, set->count - 1));
	return set->items[--set->count];
}

static void take_out(struct known_set *set, size_t position)
{
	free_slot(set, slot_of(set, position));
	set->count--;
	memmove(&set->items[position], &set->items[position + 1],
		(set->count - position) * sizeof(*set->items));
	for (size_t i = 0; i < set->slot_count; i++)
		set->slots[i] -= set->slots[i] > position;
}

static void squeeze_all(struct known_set *set)
{
	size_t kept = 0;

	memset(set->slots, 0, set->slot_count * sizeof(*set->slots));
	for (size_t i = 0; i < set->count; i++)
		if (set->items[i].object)
			set->items[kept++] = set->items[i];
	set->count = kept;
	for (size_t i = 0; i < kept; i++)
		put_slot(set->slots, set->slot_count, set->items[i].hash, i);
}

/* One after the other while they are few. */
void known_squeeze(struct known_set *set)
{
	size_t gone = 0;

	for (size_t i = 0; i < set->count; i++)
		gone += !set->items[i].object;
	if (gone > SQUEEZED_SINGLY) {
		squeeze_all(set);
		return;
	}
	for (size_t i = set->count; gone && i-- > 0;) {
		if (set->items[i].object)
			continue;
		take_out(set, i);
		gone--;
	}
}

void known_free(struct known_set *set)
{
	free(set->items);
	free(set->slots);
	*set = (struct known_set){ 0 };
}
