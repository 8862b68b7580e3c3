/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_TABLES_TABLES_H
#define WEFT_LIB_TABLES_TABLES_H
/*
 * Building struct tables: growing its arrays and keeping its strings.
 */
#include <stdarg.h>

#include "lib/base/cleanup.h"
#include "lib/compile/compile.h"

/* Memory that is freed all at once. NULL is an empty arena. */
struct pool;

/* `size` zeroed bytes, aligned for anything, or NULL. Creates *p at the first call. */
void *pool_alloc(struct pool **p, size_t size);
char *pool_copy(struct pool **p, const char *s, size_t len);
__attribute__((format(printf, 2, 3))) char *pool_printf(struct pool **p, const char *fmt, ...);
void pool_free(struct pool *p);

/* Room for one more element of `size` bytes, zeroed and counted; NULL when out of memory. */
void *table_grow(void **items, size_t *count, size_t *room, size_t size);

/* A new zeroed element at the end of a TABLE, or NULL. A macro because each TABLE is a type of its
 * own. */
#define table_push(table)                                                                  \
	((__typeof__((table)->items))table_grow((void **)&(table)->items, &(table)->count, \
						&(table)->room, sizeof(*(table)->items)))

struct tables *tables_new(void);
DEFINE_CLEANUP(struct tables *, tables_free);

#endif
