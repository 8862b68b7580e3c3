// SPDX-License-Identifier: Apache-2.0
#include "lib/base/pool.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"

enum { POOL_CHUNK = 64 * 1024 };

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(max_align_t) char bytes[];
};

struct pool {
	struct chunk *chunks; /* the first one has room, perhaps */
};

static struct chunk *chunk_new(size_t size)
{
	struct chunk *c;

	if (size > SIZE_MAX / 2)
		return NULL;
	c = calloc(1, sizeof(*c) + size);
	if (c)
		c->size = size;
	return c;
}

/* A chunk with `size` free bytes. One made for a single large piece goes second, so that the room
 * left is used up. */
static struct chunk *pool_chunk(struct pool *p, size_t size)
{
	struct chunk *first = p->chunks, *c;

	if (first && first->size - first->used >= size)
		return first;
	c = chunk_new(size > POOL_CHUNK / 4 ? size : POOL_CHUNK);
	if (!c)
		return NULL;
	if (first && size > POOL_CHUNK / 4) {
		c->next = first->next;
		first->next = c;
	} else {
		c->next = first;
		p->chunks = c;
	}
	return c;
}

static void *pool_take(struct pool **pp, size_t size, size_t align)
{
	struct chunk *c;
	char *at;

	if (!*pp && !(*pp = calloc(1, sizeof(**pp))))
		return NULL;
	c = pool_chunk(*pp, size + align - 1);
	if (!c)
		return NULL;
	c->used = (c->used + align - 1) & ~(align - 1);
	at = c->bytes + c->used;
	c->used += size;
	return at;
}

void *pool_alloc(struct pool **p, size_t size)
{
	return pool_take(p, size, _Alignof(max_align_t));
}

char *pool_copy(struct pool **p, const char *s, size_t len)
{
	char *copy = pool_take(p, len + 1, 1);

	if (copy)
		memcpy(copy, s, len);
	return copy;
}

char *pool_printf(struct pool **p, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0) {
		text = NULL;
		return NULL;
	}
	return pool_copy(p, text, n);
}

void pool_free(struct pool *p)
{
	struct chunk *c, *next;

	if (!p)
		return;
	for (c = p->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	free(p);
}
