/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_BYTEMAP_H
#define WEFT_LIB_BASE_BYTEMAP_H
/*
 * A hash table from bytes to pointers, for one compilation. Zero-initialise; free with
 * bytemap_free(). Keys are borrowed: they must outlive the map.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytemap_entry {
	const void *key;
	void *value;
	size_t len;
};

struct bytemap_slot {
	uint32_t hash;
	uint32_t entry; /* index + 1; 0: free */
};

/*
 * Entries in the order in which they came, and small slots that lead to them. What is looked up in
 * that order again, as a compilation does, is found without a slot: in a table of 100,000 each
 * would be a trip to memory.
 */
struct bytemap {
	struct bytemap_slot *slots;
	struct bytemap_entry *entries;
	size_t count, size; /* size: of slots, a power of two, or 0 */
	size_t next;	    /* of entries: the one behind the last that was found */
};

uint32_t bytes_hash(const void *key, size_t len);
/* Makes room for `count` keys in all, so that adding them moves nothing. 0 or -ENOMEM. */
int bytemap_reserve(struct bytemap *m, size_t count);
/* The value at `key`, or NULL. */
void *bytemap_get(struct bytemap *m, const void *key, size_t len);
/*
 * Where the value at `key` lives; a new one is NULL and refers to the caller's key. NULL when out
 * of memory. Valid until the next call.
 */
void **bytemap_at(struct bytemap *m, const void *key, size_t len);
/* Without keys, and with the room that it has had. */
void bytemap_clear(struct bytemap *m);
void bytemap_free(struct bytemap *m);

static inline void *bytemap_str(struct bytemap *m, const char *key)
{
	return bytemap_get(m, key, strlen(key));
}

#endif
