// SPDX-License-Identifier: Apache-2.0
#include "lib/l7/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/table.h"

int http_build_init(struct http_build *b)
{
	*b = (struct http_build){ 0 };
	http_build_str(b, ""); /* at 0, which zeroed rows refer to */
	return b->nomem ? -ENOMEM : 0;
}

void http_build_behind(struct http_build *b, const struct http_snapshot *s)
{
	*b = (struct http_build){ 0 };
	for (int i = 0; i < HS_TABLES; i++)
		b->first[i] = hs_count(s, i);
}

void http_build_done(struct http_build *b)
{
	for (int i = 0; i < HS_TABLES; i++)
		free(b->tables[i].items);
	bytemap_free(&b->strings);
	pool_free(b->pool);
	*b = (struct http_build){ 0 };
}

/* Bytes at the end of the table of strings, a NUL after them. */
static int append_bytes(struct http_build *b, const char *text, size_t len)
{
	size_t need = b->tables[HS_BYTES].count + len + 1, room = b->tables[HS_BYTES].room;
	char *items = b->tables[HS_BYTES].items;

	if (need > room) {
		room = 2 * need;
		items = realloc(items, room);
		if (!items)
			return -ENOMEM;
		b->tables[HS_BYTES].items = items;
		b->tables[HS_BYTES].room = room;
	}
	memcpy(items + b->tables[HS_BYTES].count, text, len);
	items[need - 1] = '\0';
	b->tables[HS_BYTES].count = need;
	return 0;
}

struct hs_str http_build_bytes(struct http_build *b, const char *text, size_t len)
{
	uintptr_t found = (uintptr_t)bytemap_get(&b->strings, text, len);
	struct hs_str str = { .at = http_build_count(b, HS_BYTES), .len = len };
	char *copy;
	void **at;

	if (found)
		return (struct hs_str){ .at = found - 1, .len = len };
	copy = pool_copy(&b->pool, text, len);
	at = copy ? bytemap_at(&b->strings, copy, len) : NULL;
	if (!at || append_bytes(b, text, len)) {
		b->nomem = true;
		return (struct hs_str){ 0 };
	}
	*at = (void *)(uintptr_t)(str.at + 1);
	return str;
}

struct hs_str http_build_str(struct http_build *b, const char *text)
{
	return http_build_bytes(b, text ? text : "", text ? strlen(text) : 0);
}

__u32 http_build_add(struct http_build *b, enum hs_table table, const void *row)
{
	size_t size = http_row_size(table);
	void *to = table_grow(&b->tables[table].items, &b->tables[table].count,
			      &b->tables[table].room, size);

	if (!to) {
		b->nomem = true;
		return 0;
	}
	memcpy(to, row, size);
	return http_build_count(b, table) - 1;
}

void http_build_take(struct http_build *b, enum hs_table table, void *rows, size_t count)
{
	free(b->tables[table].items);
	b->tables[table].items = rows;
	b->tables[table].count = b->tables[table].room = count;
}

__u32 http_build_count(const struct http_build *b, enum hs_table table)
{
	return b->first[table] + b->tables[table].count;
}

void *http_build_row(struct http_build *b, enum hs_table table, __u32 i)
{
	if (i < b->first[table] || i - b->first[table] >= b->tables[table].count)
		return NULL;
	return (char *)b->tables[table].items + (i - b->first[table]) * http_row_size(table);
}

void http_build_parts(const struct http_build *b, struct http_part out[HS_TABLES])
{
	for (int i = 0; i < HS_TABLES; i++)
		out[i] = (struct http_part){ b->tables[i].items, b->tables[i].count };
}

int http_build_finish(struct http_build *b, void **out, size_t *size)
{
	struct http_part parts[HS_TABLES];
	int r;

	if (b->nomem)
		return -ENOMEM;
	bytemap_free(&b->strings);
	pool_free(TAKE_PTR(b->pool));
	http_build_parts(b, parts);
	r = http_pack(parts, out, size);
	if (r)
		return r;
	((struct hs_header *)*out)->flags = b->flags;
	((struct hs_header *)*out)->gateway_peer = b->gateway_peer;
	((struct hs_header *)*out)->gateway_tracing = b->gateway_tracing;
	return 0;
}
