/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { ARENA_SMALL = 128, ARENA_FIRST = 512, ARENA_LARGEST = 1 << 20 };

struct chunk {
	struct chunk *next;
	size_t used, size;
	alignas(8) char bytes[];
};

struct arena {
	struct chunk *chunks;
	size_t total; /* bytes of all chunks */
	unsigned refs;
	bool small;
};

static struct chunk *chunk_new(struct arena *a, size_t size)
{
	struct chunk *c = calloc(1, sizeof(*c) + size);

	if (!c)
		return NULL;
	c->size = size;
	a->total += size;
	return c;
}

struct arena *arena_new(void)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->refs = 1;
	return a;
}

struct arena *arena_new_small(size_t size)
{
	struct arena *a = arena_new();

	if (!a)
		return NULL;
	a->small = true;
	a->chunks = chunk_new(a, (size + 7) & ~(size_t)7);
	if (!a->chunks) {
		arena_unref(a);
		return NULL;
	}
	return a;
}

struct arena *arena_ref(struct arena *a)
{
	a->refs++;
	return a;
}

void arena_unref(struct arena *a)
{
	if (!a || --a->refs)
		return;
	while (a->chunks) {
		struct chunk *next = a->chunks->next;

		free(a->chunks);
		a->chunks = next;
	}
	free(a);
}

/* What is left of the last chunk is lost: a quarter of the whole at most, as there is an arena for
 * each of 10,000 small objects. */
static size_t next_size(const struct arena *a)
{
	size_t size = a->total / 4, least = a->small ? ARENA_SMALL : ARENA_FIRST;

	return size < least ? least : size > ARENA_LARGEST ? ARENA_LARGEST : size;
}

/* A piece that would waste most of a chunk gets its own, behind the one that is being filled. */
static void *alloc_large(struct arena *a, size_t size)
{
	struct chunk *c = chunk_new(a, size);

	if (!c)
		return NULL;
	c->used = size;
	if (a->chunks) {
		c->next = a->chunks->next;
		a->chunks->next = c;
	} else {
		a->chunks = c;
	}
	return c->bytes;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct chunk *c = a->chunks;
	void *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + 7) & ~(size_t)7;
	if (!c || c->size - c->used < size) {
		if (size > next_size(a) / 4)
			return alloc_large(a, size);
		c = chunk_new(a, next_size(a) & ~(size_t)7);
		if (!c)
			return NULL;
		c->next = a->chunks;
		a->chunks = c;
	}
	p = c->bytes + c->used;
	c->used += size;
	return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *copy = arena_alloc(a, len + 1);

	if (copy)
		memcpy(copy, s, len);
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}
