/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_TABLE_H
#define WEFT_LIB_BASE_TABLE_H
/*
 * Arrays that grow.
 */
#include <stddef.h>

#define TABLE(type)                 \
	struct {                    \
		type *items;        \
		size_t count, room; \
	}

/* Room for one more element of `size` bytes, zeroed and counted; NULL when out of memory. */
void *table_grow(void **items, size_t *count, size_t *room, size_t size);

/* A new zeroed element at the end of a TABLE, or NULL. A macro because each TABLE is a type of its
 * own. */
#define table_push(table)                                                                  \
	((__typeof__((table)->items))table_grow((void **)&(table)->items, &(table)->count, \
						&(table)->room, sizeof(*(table)->items)))

#endif
