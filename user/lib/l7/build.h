/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_L7_BUILD_H
#define WEFT_LIB_L7_BUILD_H
/*
 * Rows and strings -> the bytes of a snapshot. Running out of memory is noticed at the end.
 */
#include <stdbool.h>

#include "lib/base/bytemap.h"
#include "lib/base/pool.h"
#include "lib/route/pack.h"
#include "lib/route/snapshot.h"

struct http_build {
	struct {
		void *items;
		size_t count, room;
	} tables[HS_TABLES];
	__u32 first[HS_TABLES]; /* the number of each table's first row: that of a patch's is not 0
				 */
	struct bytemap strings; /* text -> offset + 1 */
	struct pool *pool;
	__u32 flags; /* enum hs_flags */
	__u32 gateway_peer, gateway_tracing;
	bool nomem;
};

int http_build_init(struct http_build *b); /* 0 or -ENOMEM */
/* Of rows that are added behind those of a snapshot. */
void http_build_behind(struct http_build *b, const struct http_snapshot *s);
void http_build_done(struct http_build *b);
/* Equal strings are stored once. NULL is the empty one. */
struct hs_str http_build_str(struct http_build *b, const char *text);
struct hs_str http_build_bytes(struct http_build *b, const char *text, size_t len);
/* Appends a row and returns its index. */
__u32 http_build_add(struct http_build *b, enum hs_table table, const void *row);
/* The rows of a table that has none yet, malloc'd, which it owns from now on. */
void http_build_take(struct http_build *b, enum hs_table table, void *rows, size_t count);
__u32 http_build_count(const struct http_build *b, enum hs_table table);
/* A row that was added; valid until the next one of its table. NULL when out of memory. */
void *http_build_row(struct http_build *b, enum hs_table table, __u32 i);
/* What was added to each table, as long as nothing else is. */
void http_build_parts(const struct http_build *b, struct http_part out[HS_TABLES]);
/* 0 and malloc'd bytes, or -ENOMEM, or -E2BIG. No more can be added. */
int http_build_finish(struct http_build *b, void **out, size_t *size);

#endif
