// SPDX-License-Identifier: Apache-2.0
#include "lib/base/bytemap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* Multiply and fold, eight bytes at a time: good enough for names, and a name costs a few
 * nanoseconds. */
uint32_t bytes_hash(const void *key, size_t len)
{
	const uint64_t odd = 0x9e3779b97f4a7c15ull;
	uint64_t h = len * odd, word;
	const char *p = key;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		h = (h ^ word) * odd;
		h ^= h >> 29;
	}
	word = 0;
	memcpy(&word, p, len);
	h = (h ^ word) * odd;
	h ^= h >> 32;
	return (h * odd) >> 32;
}

static bool is_at(const struct bytemap_entry *e, const void *key, size_t len)
{
	return e->len == len && !memcmp(e->key, key, len);
}

/* The slot that leads to `key`, or the free one that shall. */
static struct bytemap_slot *find(const struct bytemap *m, const void *key, size_t len,
				 uint32_t hash)
{
	size_t i = hash & (m->size - 1);

	for (;; i = (i + 1) & (m->size - 1)) {
		struct bytemap_slot *s = &m->slots[i];

		if (!s->entry)
			return s;
		if (s->hash == hash && is_at(&m->entries[s->entry - 1], key, len))
			return s;
	}
}

void *bytemap_get(struct bytemap *m, const void *key, size_t len)
{
	size_t i = m->next;

	if (!m->count)
		return NULL;
	if (i == m->count || !is_at(&m->entries[i], key, len)) {
		const struct bytemap_slot *s = find(m, key, len, bytes_hash(key, len));

		if (!s->entry)
			return NULL;
		i = s->entry - 1;
	}
	m->next = i + 1;
	return m->entries[i].value;
}

/* At most two thirds full: longer chains cost more than a larger table. */
static size_t room_of(size_t size)
{
	return size / 3 * 2;
}

static void move_slots(const struct bytemap *from, struct bytemap_slot *to, size_t size)
{
	size_t i, at;

	for (i = 0; i < from->size; i++) {
		if (!from->slots[i].entry)
			continue;
		at = from->slots[i].hash & (size - 1);
		while (to[at].entry)
			at = (at + 1) & (size - 1);
		to[at] = from->slots[i];
	}
}

static int resize(struct bytemap *m, size_t size)
{
	struct bytemap_entry *entries;
	struct bytemap_slot *slots;

	if (room_of(size) >= UINT32_MAX)
		return -ENOMEM;
	entries = reallocarray(m->entries, room_of(size), sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	m->entries = entries;
	slots = calloc(size, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	move_slots(m, slots, size);
	free(m->slots);
	m->slots = slots;
	m->size = size;
	return 0;
}

int bytemap_reserve(struct bytemap *m, size_t count)
{
	size_t size = m->size ? m->size : 64;

	while (count > room_of(size))
		size *= 2;
	return size == m->size ? 0 : resize(m, size);
}

void **bytemap_at(struct bytemap *m, const void *key, size_t len)
{
	uint32_t hash = bytes_hash(key, len);
	struct bytemap_slot *s;

	if (bytemap_reserve(m, m->count + 1))
		return NULL;
	s = find(m, key, len, hash);
	if (!s->entry) {
		m->entries[m->count] = (struct bytemap_entry){ .key = key, .len = len };
		*s = (struct bytemap_slot){ .hash = hash, .entry = ++m->count };
	}
	return &m->entries[s->entry - 1].value;
}

void bytemap_clear(struct bytemap *m)
{
	if (m->size)
		memset(m->slots, 0, m->size * sizeof(*m->slots));
	m->count = m->next = 0;
}

void bytemap_free(struct bytemap *m)
{
	free(m->slots);
	free(m->entries);
	*m = (struct bytemap){ 0 };
}
