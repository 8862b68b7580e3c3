/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_ROUTE_PACK_H
#define WEFT_LIB_ROUTE_PACK_H
/*
 * Rows, or a snapshot that has been patched -> one block of bytes.
 */
#include <stdbool.h>

#include "lib/route/snapshot.h"

/* The rows of a table. */
struct http_part {
	const void *rows;
	size_t count;
};

/* 0 and malloc'd bytes, or -ENOMEM, or -E2BIG. */
int http_pack(const struct http_part parts[HS_TABLES], void **out, size_t *size);

/* The bytes that say all that the snapshot does: what compile() would have made of the same
 * objects, unless rules were patched: those that are not in force are then among them, too. Every
 * row has the number that it had. Likewise. */
int http_snapshot_pack(const struct http_snapshot *s, void **out, size_t *size);
/* All pods that it knows of, ordered by address: 0 and malloc'd rows, or -ENOMEM. */
int http_snapshot_sources(const struct http_snapshot *s, struct hs_source **out, size_t *count);
/* The same as a snapshot without patches, which owns them. */
int http_snapshot_flatten(const struct http_snapshot *s, struct http_snapshot **out);
/* Whether both say the same; false, too, when out of memory. */
bool http_snapshot_same(const struct http_snapshot *a, const struct http_snapshot *b);

#endif
