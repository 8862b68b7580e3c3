/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_ARENA_H
#define WEFT_LIB_BASE_ARENA_H
/*
 * Memory that is given back all at once: a document's tree and the objects decoded from it share
 * one arena, each object holding a reference.
 */
#include <stddef.h>

#include "lib/base/cleanup.h"

struct arena;

/* One reference for the caller. NULL when out of memory. */
struct arena *arena_new(void);
/* The same for what is known to be small: there is room for `size` bytes, and what it takes beyond
 * that is little. */
struct arena *arena_new_small(size_t size);
struct arena *arena_ref(struct arena *a);
void arena_unref(struct arena *a); /* accepts NULL */
DEFINE_CLEANUP(struct arena *, arena_unref);

/* Zeroed, aligned to 8 bytes, lives as long as the arena. NULL when out of memory. */
void *arena_alloc(struct arena *a, size_t size);
/* `len` bytes and a NUL. */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_strdup(struct arena *a, const char *s);

#endif
