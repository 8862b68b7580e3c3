// SPDX-License-Identifier: Apache-2.0
#include "compile_map.h"

#include <errno.h>
#include <stdlib.h>

/* Multiply and fold, eight bytes at a time: good enough for names, and a name costs a few nanoseconds. */
uint64_t bytes_hash(const void *key, size_t len)
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
	return h * odd;
}

static struct bytemap_slot *find(const struct bytemap *m, const void *key, size_t len, uint64_t hash)
{
	/* The high bits: bytes_hash() ends in a multiplication, which mixes upwards. */
	size_t i = (hash >> 32) & (m->size - 1);

	for (;; i = (i + 1) & (m->size - 1)) {
		struct bytemap_slot *s = &m->slots[i];

		if (!s->key || (s->hash == hash && s->len == len && !memcmp(s->key, key, len)))
			return s;
	}
}

void *bytemap_get(const struct bytemap *m, const void *key, size_t len)
{
	return m->size ? find(m, key, len, bytes_hash(key, len))->value : NULL;
}

static int grow(struct bytemap *m)
{
	struct bytemap larger = {.size = m->size ? m->size * 2 : 64};
	size_t i;

	larger.slots = calloc(larger.size, sizeof(*larger.slots));
	if (!larger.slots)
		return -ENOMEM;
	for (i = 0; i < m->size; i++) {
		struct bytemap_slot *s = &m->slots[i];

		if (s->key)
			*find(&larger, s->key, s->len, s->hash) = *s;
	}
	free(m->slots);
	m->slots = larger.slots;
	m->size = larger.size;
	return 0;
}

void **bytemap_at(struct bytemap *m, const void *key, size_t len)
{
	uint64_t hash = bytes_hash(key, len);
	struct bytemap_slot *s;

	if (m->count * 2 >= m->size && grow(m))
		return NULL;
	s = find(m, key, len, hash);
	if (!s->key) {
		*s = (struct bytemap_slot){.key = key, .len = len, .hash = hash};
		m->count++;
	}
	return &s->value;
}

void bytemap_free(struct bytemap *m)
{
	free(m->slots);
	*m = (struct bytemap){0};
}
