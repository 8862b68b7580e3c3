// SPDX-License-Identifier: Apache-2.0
#include "daemon/datapath/http_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/datapath/idle.h"
#include "lib/base/cleanup.h"
#include "lib/base/table.h"

/* A row that may go where room is short. */
struct candidate {
	uint64_t since_ms;
	__u32 row, source;
};

struct round {
	struct http_traffic *rows;
	struct http_row_seen *seen;
	uint64_t now_ms;
	bool (*is_gone)(void *arg, __u32 peer);
	void *arg;
	__u32 used; /* rows */
	int freed;
	TABLE(struct candidate) idle;
	uint16_t owned[TRAFFIC_PEERS_MAX]; /* by caller, as weft-proxy counts them */
};

static void round_free(struct round **r)
{
	if (*r)
		free((*r)->idle.items);
	free(*r);
}

void http_rows_free(struct http_rows *h)
{
	free(h->seen);
	h->seen = NULL;
}

static __u32 state_of(const struct http_traffic *row)
{
	return __atomic_load_n(&row->taken, __ATOMIC_ACQUIRE);
}

static uint64_t counted(const struct http_traffic *row)
{
	return __atomic_load_n(&row->requests, __ATOMIC_RELAXED) +
	       __atomic_load_n(&row->closed, __ATOMIC_RELAXED) +
	       __atomic_load_n(&row->request_bytes.sum, __ATOMIC_RELAXED) +
	       __atomic_load_n(&row->response_bytes.sum, __ATOMIC_RELAXED);
}

/* Connections open in the row without flags, and close in that of their flags: both rows stay. */
static bool has_open(const struct http_traffic *row)
{
	return row->key.is_tcp && row->requests != row->closed;
}

/* ---- a row that goes ---- */

/* From now on nothing more is counted there, but by those that are about to. */
static void leave(struct round *r, __u32 i)
{
	__u32 taken = TRAFFIC_TAKEN;

	if (__atomic_compare_exchange_n(&r->rows[i].taken, &taken, TRAFFIC_LEAVING, false,
					__ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		r->seen[i].leaving = true;
}

/* The epoch comes first: who has read a part of the row sees that it was another's. */
static void clear(struct round *r, __u32 i)
{
	struct http_traffic *row = &r->rows[i];
	__u32 epoch = row->epoch + 1;

	__atomic_store_n(&row->taken, TRAFFIC_BEING_FREED, __ATOMIC_SEQ_CST);
	__atomic_store_n(&row->epoch, epoch, __ATOMIC_SEQ_CST);
	memset(&row->key, 0, sizeof(row->key));
	memset(row->host, 0, sizeof(row->host));
	memset(&row->requests, 0, sizeof(*row) - offsetof(struct http_traffic, requests));
	__atomic_store_n(&row->taken, TRAFFIC_FREE_AGAIN, __ATOMIC_RELEASE);
	r->seen[i] = (struct http_row_seen){ 0 };
	r->freed++;
}

/* ---- a round ---- */

static void look_at_leaving(struct round *r, __u32 i)
{
	if (r->seen[i].leaving && !__atomic_load_n(&r->rows[i].writers, __ATOMIC_SEQ_CST))
		clear(r, i);
	else
		r->seen[i].leaving = true;
}

static bool is_of_gone(const struct round *r, const struct http_traffic *row)
{
	return (row->key.source && r->is_gone(r->arg, row->key.source)) ||
	       (row->key.destination && r->is_gone(r->arg, row->key.destination));
}

/* 0 or -ENOMEM. */
static int look_at_taken(struct round *r, __u32 i)
{
	const struct http_traffic *row = &r->rows[i];
	struct http_row_seen *seen = &r->seen[i];
	struct http_row_seen now = { counted(row), r->now_ms, row->epoch, false };
	struct candidate *c;

	r->used++;
	r->owned[row->key.source % TRAFFIC_PEERS_MAX]++;
	if (!seen->since_ms || seen->counted != now.counted || seen->epoch != now.epoch) {
		*seen = now;
		return 0;
	}
	seen->leaving = false;
	if (seen->since_ms > idle_before(r->now_ms, IDLE_SHORT_MS))
		return 0;
	c = table_push(&r->idle);
	if (!c)
		return -ENOMEM;
	*c = (struct candidate){ seen->since_ms, i, row->key.source };
	return 0;
}

static int look_at(struct round *r, __u32 i)
{
	switch (state_of(&r->rows[i])) {
	case TRAFFIC_TAKEN:
		return look_at_taken(r, i);
	case TRAFFIC_LEAVING:
		look_at_leaving(r, i);
		return 0;
	case TRAFFIC_BEING_FREED: /* by a weftd that was killed */
		clear(r, i);
		return 0;
	default:
		return 0;
	}
}

static int compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->since_ms != y->since_ms)
		return x->since_ms < y->since_ms ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

static bool is_due(const struct round *r, const struct candidate *c)
{
	const struct http_traffic *row = &r->rows[c->row];

	if (r->used > idle_room(TRAFFIC_HTTP_ROWS) ||
	    r->owned[c->source % TRAFFIC_PEERS_MAX] > HTTP_ROWS_OF_CALLER)
		return true;
	return c->since_ms <= idle_before(r->now_ms, IDLE_GONE_MS) && !has_open(row) &&
	       is_of_gone(r, row);
}

static void leave_idle(struct round *r)
{
	if (r->idle.count)
		qsort(r->idle.items, r->idle.count, sizeof(*r->idle.items), compare);
	for (size_t i = 0; i < r->idle.count; i++) {
		const struct candidate *c = &r->idle.items[i];

		if (!is_due(r, c))
			continue;
		leave(r, c->row);
		r->used--;
		r->owned[c->source % TRAFFIC_PEERS_MAX]--;
	}
}

int http_rows_round(struct http_rows *h, struct http_traffic *rows, __u32 count, uint64_t now_ms,
		    bool (*is_gone)(void *arg, __u32 peer), void *arg)
{
	_cleanup_(round_free) struct round *r = calloc(1, sizeof(*r));
	int error = 0;

	if (!h->seen)
		h->seen = calloc(TRAFFIC_HTTP_ROWS, sizeof(*h->seen));
	if (!r || !h->seen)
		return -ENOMEM;
	r->rows = rows;
	r->seen = h->seen;
	r->now_ms = now_ms ?: 1;
	r->is_gone = is_gone;
	r->arg = arg;
	for (__u32 i = 1; !error && i < count; i++)
		error = look_at(r, i);
	if (error)
		return error;
	leave_idle(r);
	if (r->freed)
		__atomic_fetch_add(&rows->epoch, 1, __ATOMIC_RELEASE);
	return r->freed;
}

int http_rows_peers(const struct http_traffic *rows, __u32 count, struct ids *out)
{
	int r = 0;

	for (__u32 i = 1; r >= 0 && i < count; i++) {
		__u32 state = state_of(&rows[i]);

		if (state != TRAFFIC_TAKEN && state != TRAFFIC_LEAVING)
			continue;
		if (rows[i].key.source)
			r = ids_add(out, rows[i].key.source);
		if (r >= 0 && rows[i].key.destination)
			r = ids_add(out, rows[i].key.destination);
	}
	return r < 0 ? r : 0;
}
