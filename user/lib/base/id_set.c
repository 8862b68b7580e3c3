/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/id_set.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Eight neighbours share a cache line: ids are given one after the other, and asked for so. Such
 * eights end up far apart (the factor is 2^64 over the golden ratio).
 */
static size_t home(const struct ids *s, uint64_t id)
{
	uint64_t eight = (id >> 3) * 0x9e3779b97f4a7c15 >> 32;

	return (eight << 3 | (id & 7)) & (s->room - 1);
}

/* The slot that holds `id` or where it would go. Needs a free slot. */
static size_t find(const struct ids *s, uint64_t id)
{
	size_t i = home(s, id);

	while (s->slots[i] && s->slots[i] != id)
		i = (i + 1) & (s->room - 1);
	return i;
}

bool ids_has(const struct ids *s, uint64_t id)
{
	return s->room && s->slots[find(s, id)] == id;
}

static int grow(struct ids *s)
{
	struct ids bigger = { .room = s->room ? 2 * s->room : 64 };

	bigger.slots = calloc(bigger.room, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < s->room; i++) {
		if (s->slots[i])
			bigger.slots[find(&bigger, s->slots[i])] = s->slots[i];
	}
	bigger.count = s->count;
	ids_free(s);
	*s = bigger;
	return 0;
}

int ids_add(struct ids *s, uint64_t id)
{
	size_t i;

	if (2 * s->count >= s->room) {
		int r = grow(s);

		if (r)
			return r;
	}
	i = find(s, id);
	if (s->slots[i])
		return 0;
	s->slots[i] = id;
	s->count++;
	return 1;
}

void ids_remove(struct ids *s, uint64_t id)
{
	size_t gap, i;

	if (!ids_has(s, id))
		return;
	gap = find(s, id);
	s->slots[gap] = 0;
	s->count--;
	/* close the gap, or a search for what was pushed past it would end there */
	for (i = (gap + 1) & (s->room - 1); s->slots[i]; i = (i + 1) & (s->room - 1)) {
		size_t moved = (i - home(s, s->slots[i])) & (s->room - 1);

		if (moved < ((i - gap) & (s->room - 1)))
			continue;
		s->slots[gap] = s->slots[i];
		s->slots[i] = 0;
		gap = i;
	}
}

void ids_free(struct ids *s)
{
	free(s->slots);
	*s = (struct ids){};
}
