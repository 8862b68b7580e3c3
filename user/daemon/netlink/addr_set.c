/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/netlink/addr_set.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int addr_list_add(struct addr_list *l, const struct addr *a)
{
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 4;
		struct addr *more = reallocarray(l->items, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->items = more;
		l->room = room;
	}
	l->items[l->count++] = *a;
	return 0;
}

bool addr_list_remove(struct addr_list *l, const struct addr *a)
{
	for (size_t i = 0; i < l->count; i++) {
		if (!addr_equal(&l->items[i], a))
			continue;
		l->count--;
		memmove(l->items + i, l->items + i + 1, (l->count - i) * sizeof(*l->items));
		return true;
	}
	return false;
}

bool addr_list_has(const struct addr_list *l, const struct addr *a)
{
	for (size_t i = 0; i < l->count; i++) {
		if (addr_equal(&l->items[i], a))
			return true;
	}
	return false;
}

bool addr_list_equal(const struct addr_list *a, const struct addr_list *b)
{
	return a->count == b->count &&
	       (!a->count || !memcmp(a->items, b->items, a->count * sizeof(*a->items)));
}

void addr_list_free(struct addr_list *l)
{
	free(l->items);
	*l = (struct addr_list){};
}

/* Addresses differ in their last bytes mostly: the high bits of the second word, which a product
 * alone leaves there. */
static uint64_t mix(const struct addr *a)
{
	uint64_t words[2], h;

	memcpy(words, a, sizeof(words));
	h = words[0] * 0x9e3779b97f4a7c15 ^ words[1];
	h = (h ^ h >> 32) * 0xff51afd7ed558ccd;
	h = (h ^ h >> 32) * 0xc4ceb9fe1a85ec53;
	return h ^ h >> 32;
}

static size_t find(const struct addr_set *s, const struct addr *a)
{
	size_t i = mix(a) & (s->room - 1);

	while (!addr_is_unset(&s->slots[i]) && !addr_equal(&s->slots[i], a))
		i = (i + 1) & (s->room - 1);
	return i;
}

static int grow(struct addr_set *s)
{
	struct addr_set bigger = { .room = s->room ? 2 * s->room : 64, .count = s->count };

	bigger.slots = calloc(bigger.room, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < s->room; i++) {
		if (!addr_is_unset(&s->slots[i]))
			bigger.slots[find(&bigger, &s->slots[i])] = s->slots[i];
	}
	addr_set_free(s);
	*s = bigger;
	return 0;
}

int addr_set_add(struct addr_set *s, const struct addr *a)
{
	size_t i;

	if (addr_is_unset(a))
		return 0;
	if (4 * s->count >= 3 * s->room) {
		int r = grow(s);

		if (r)
			return r;
	}
	i = find(s, a);
	if (addr_is_unset(&s->slots[i])) {
		s->slots[i] = *a;
		s->count++;
	}
	return 0;
}

void addr_set_remove(struct addr_set *s, const struct addr *a)
{
	size_t gap, i;

	if (!addr_set_has(s, a))
		return;
	gap = find(s, a);
	s->slots[gap] = (struct addr){};
	s->count--;
	/* close the gap, or a search for what was pushed past it would end there */
	for (i = (gap + 1) & (s->room - 1); !addr_is_unset(&s->slots[i]);
	     i = (i + 1) & (s->room - 1)) {
		size_t moved = (i - mix(&s->slots[i])) & (s->room - 1);

		if (moved < ((i - gap) & (s->room - 1)))
			continue;
		s->slots[gap] = s->slots[i];
		s->slots[i] = (struct addr){};
		gap = i;
	}
}

bool addr_set_has(const struct addr_set *s, const struct addr *a)
{
	return s->room && !addr_is_unset(a) && addr_equal(&s->slots[find(s, a)], a);
}

void addr_set_free(struct addr_set *s)
{
	free(s->slots);
	*s = (struct addr_set){};
}
