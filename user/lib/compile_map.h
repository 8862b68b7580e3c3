/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMPILE_MAP_H
#define WEFT_COMPILE_MAP_H
/*
 * A hash table from bytes to pointers, for one compilation. Zero-initialise; free with bytemap_free(). Keys are
 * borrowed: they must outlive the map.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytemap_slot {
	const void *key; /* NULL: free */
	size_t len;
	uint64_t hash;
	void *value;
};

struct bytemap {
	struct bytemap_slot *slots;
	size_t count, size; /* size: a power of two, or 0 */
};

uint64_t bytes_hash(const void *key, size_t len);
/* The value at `key`, or NULL. */
void *bytemap_get(const struct bytemap *m, const void *key, size_t len);
/*
 * Where the value at `key` lives; a new one is NULL and refers to the caller's key. NULL when out of memory. Valid until
 * the next call.
 */
void **bytemap_at(struct bytemap *m, const void *key, size_t len);
void bytemap_free(struct bytemap *m);

static inline void *bytemap_str(const struct bytemap *m, const char *key)
{
	return bytemap_get(m, key, strlen(key));
}

#endif
