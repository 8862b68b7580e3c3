/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_POOL_H
#define WEFT_LIB_BASE_POOL_H
/*
 * Memory that is freed all at once: of one compilation, or of what it has made.
 */
#include <stddef.h>

/* NULL is an empty pool. */
struct pool;

/* `size` zeroed bytes, aligned for anything, or NULL. Creates *p at the first call. */
void *pool_alloc(struct pool **p, size_t size);
/* `len` bytes and a NUL. */
char *pool_copy(struct pool **p, const char *s, size_t len);
__attribute__((format(printf, 2, 3))) char *pool_printf(struct pool **p, const char *fmt, ...);
void pool_free(struct pool *p);

#endif
