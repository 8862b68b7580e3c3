// SPDX-License-Identifier: Apache-2.0
/*
 * Rows behind those of a snapshot's block. A table's have one place from the first on, which is of
 * a fixed size: requests that are under way hold on to rows.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/route/patch.h"

enum { ROOM = 1 << 17 }; /* bytes of a table; those that are never written to cost nothing */

struct http_tail *http_tail_ref(struct http_tail *t)
{
	if (t)
		t->refs++;
	return t;
}

void http_tail_unref(struct http_tail *t)
{
	if (!t || --t->refs)
		return;
	for (int i = 0; i < HS_TABLES; i++)
		free(t->rows[i]);
	free(t);
}

/* Rows of the tail that are the snapshot's. */
static __u32 own(const struct http_snapshot *s, int table)
{
	return s->counts[table] - s->header->tables[table].count;
}

static bool fits(const struct http_snapshot *s, const struct http_part added[HS_TABLES])
{
	for (int i = 0; i < HS_TABLES; i++)
		if (added[i].count > ROOM / http_row_size(i) - own(s, i))
			return false;
	return true;
}

static int put(struct http_tail *t, int table, __u32 at, const void *rows, __u32 count)
{
	size_t size = http_row_size(table);

	if (!count)
		return 0;
	if (!t->rows[table])
		t->rows[table] = malloc(ROOM);
	if (!t->rows[table])
		return -ENOMEM;
	memcpy((char *)t->rows[table] + at * size, rows, count * size);
	t->counts[table] = at + count;
	return 0;
}

/* Another one, with the snapshot's own rows: those behind them are another snapshot's. */
static int leave(struct http_snapshot *s)
{
	struct http_tail *old = s->tail, *t = calloc(1, sizeof(*t));
	int r = t ? 0 : -ENOMEM;

	if (t)
		t->refs = 1;
	for (int i = 0; !r && old && i < HS_TABLES; i++)
		r = put(t, i, 0, old->rows[i], own(s, i));
	if (r) {
		http_tail_unref(t);
		return r;
	}
	http_tail_unref(old);
	s->tail = t;
	return 0;
}

static bool is_last(const struct http_snapshot *s)
{
	for (int i = 0; s->tail && i < HS_TABLES; i++)
		if (s->tail->counts[i] != own(s, i))
			return false;
	return s->tail;
}

int http_tail_add(struct http_snapshot *s, const struct http_part added[HS_TABLES])
{
	int r = fits(s, added) ? 0 : -E2BIG;

	if (!r && !is_last(s))
		r = leave(s);
	for (int i = 0; !r && i < HS_TABLES; i++) {
		r = put(s->tail, i, own(s, i), added[i].rows, added[i].count);
		s->counts[i] += r ? 0 : added[i].count;
	}
	return r;
}

void http_tail_drop(struct http_snapshot *s, const struct http_snapshot *from)
{
	if (!s->tail || s->tail != from->tail)
		return;
	for (int i = 0; i < HS_TABLES; i++)
		if (s->tail->counts[i] == own(s, i))
			s->tail->counts[i] = own(from, i);
	memcpy(s->counts, from->counts, sizeof(s->counts));
}
