// SPDX-License-Identifier: Apache-2.0
#include "daemon/datapath/tcp_ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/datapath/idle.h"
#include "lib/base/cleanup.h"

enum { GONE_MAX = 1024 }; /* rows that may be kept though they are gone, beside as many as live */

struct ledger_row {
	struct tcp_traffic_key key;
	struct tcp_traffic last;
	struct tcp_sum *sum; /* whose it is; NULL: not known yet */
	/* Whose it was before, and how many connections were open then and still are. */
	struct tcp_sum *before;
	uint64_t open_before;
	uint64_t version; /* by which that was found */
	uint64_t round;	  /* when it was there last */
};

void tcp_ledger_begin(struct tcp_ledger *l, uint64_t now_ms)
{
	l->round++;
	l->now_ms = now_ms;
}

static struct ledger_row *row_of(struct tcp_ledger *l, const struct tcp_traffic_key *key)
{
	struct ledger_row *row = bytemap_get(&l->rows, key, sizeof(*key));
	void **at;

	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	row->key = *key;
	at = bytemap_at(&l->rows, &row->key, sizeof(row->key));
	if (!at) {
		free(row);
		return NULL;
	}
	return *at = row;
}

/* ---- sums ---- */

static int make_room(struct tcp_ledger *l)
{
	size_t room = l->room ? 2 * l->room : 64;
	struct tcp_sum *more;

	if (l->by_who.count < l->room)
		return 0;
	more = realloc(l->listed, room * sizeof(*more));
	if (!more)
		return -ENOMEM;
	l->listed = more;
	l->room = room;
	return 0;
}

/* NULL when out of memory. */
static struct tcp_sum *sum_of(struct tcp_ledger *l, struct tcp_who who)
{
	struct tcp_sum *sum = bytemap_get(&l->by_who, &who, sizeof(who));
	_cleanup_free_ struct tcp_sum *fresh = NULL;
	void **at;

	if (!sum && l->by_who.count >= TCP_SUMS_MAX) {
		who = (struct tcp_who){ .reporters = TRAFFIC_SOURCE };
		sum = bytemap_get(&l->by_who, &who, sizeof(who));
	}
	if (sum)
		return sum;
	fresh = calloc(1, sizeof(*fresh));
	if (!fresh || make_room(l))
		return NULL;
	fresh->who = who;
	at = bytemap_at(&l->by_who, &fresh->who, sizeof(fresh->who));
	if (!at)
		return NULL;
	fresh->serial = ++l->serial;
	return *at = TAKE_PTR(fresh);
}

static void put_down(struct tcp_ledger *l, struct tcp_sum *to, const struct tcp_traffic *more)
{
	to->count.opened += more->opened;
	to->count.closed += more->closed;
	to->count.received += more->received;
	to->count.sent += more->sent;
	to->changed_ms = l->now_ms;
}

/* ---- a row ---- */

static bool is_less(const struct tcp_traffic *a, const struct tcp_traffic *b)
{
	return a->opened < b->opened || a->closed < b->closed || a->received < b->received ||
	       a->sent < b->sent;
}

static struct tcp_traffic difference(const struct tcp_traffic *now, const struct tcp_traffic *last)
{
	return (struct tcp_traffic){ .opened = now->opened - last->opened,
				     .closed = now->closed - last->closed,
				     .received = now->received - last->received,
				     .sent = now->sent - last->sent };
}

static uint64_t count_open(const struct tcp_traffic *t)
{
	return t->opened > t->closed ? t->opened - t->closed : 0;
}

/* What is not known any more is still who it was. */
static struct tcp_who remember(const struct tcp_sum *was, struct tcp_who who)
{
	if (!was)
		return who;
	who.source = who.source ?: was->who.source;
	who.destination = who.destination ?: was->who.destination;
	who.cluster = who.cluster ?: was->who.cluster;
	if (who.source == was->who.source && who.destination == was->who.destination)
		who.reporters = was->who.reporters;
	return who;
}

/* Finds out whose the row is now. 0 or -ENOMEM. */
static int name_row(struct tcp_ledger *l, struct ledger_row *row, uint64_t version,
		    tcp_name_fn name, void *arg)
{
	struct tcp_sum *sum;

	if (row->sum && row->version == version)
		return 0;
	sum = sum_of(l, remember(row->sum, name(arg, &row->key)));
	if (!sum)
		return -ENOMEM;
	if (row->sum && row->sum != sum) {
		row->before = row->sum;
		row->open_before = count_open(&row->last);
	}
	row->sum = sum;
	row->version = version;
	return 0;
}

/* Connections of the one before are the first to end; nothing else tells which are whose. */
static void put_down_row(struct tcp_ledger *l, struct ledger_row *row, struct tcp_traffic more)
{
	struct tcp_traffic ended = { .closed = more.closed };

	if (ended.closed > row->open_before)
		ended.closed = row->open_before;
	if (ended.closed) {
		put_down(l, row->before, &ended);
		row->open_before -= ended.closed;
		more.closed -= ended.closed;
	}
	put_down(l, row->sum, &more);
}

int tcp_ledger_found(struct tcp_ledger *l, const struct tcp_traffic_key *key,
		     const struct tcp_traffic *now)
{
	struct ledger_row *row = row_of(l, key);

	if (!row)
		return -ENOMEM;
	row->last = *now;
	row->last.opened -= count_open(now);
	return 0;
}

int tcp_ledger_take(struct tcp_ledger *l, const struct tcp_traffic_key *key,
		    const struct tcp_traffic *now, uint64_t version, tcp_name_fn name, void *arg)
{
	static const struct tcp_traffic zero;
	struct ledger_row *row = row_of(l, key);
	int r;

	if (!row)
		return -ENOMEM;
	row->round = l->round;
	if (is_less(now, &row->last)) /* made anew since */
		row->last = zero;
	if (!memcmp(now, &row->last, sizeof(*now)))
		return 0;
	r = name_row(l, row, version, name, arg);
	if (r)
		return r;
	put_down_row(l, row, difference(now, &row->last));
	row->last = *now;
	return 0;
}

/* ---- a round's end ---- */

/* Leaves out the rows that are gone. */
static int squeeze(struct tcp_ledger *l)
{
	struct bytemap rows = { 0 };
	int r = bytemap_reserve(&rows, l->rows.count);

	for (size_t i = 0; !r && i < l->rows.count; i++) {
		struct ledger_row *row = l->rows.entries[i].value;
		void **at;

		if (row->round != l->round) {
			free(row);
			continue;
		}
		at = bytemap_at(&rows, &row->key, sizeof(row->key));
		*at = row; /* there is room for all of them */
	}
	if (r)
		return r;
	bytemap_free(&l->rows);
	l->rows = rows;
	l->gone = 0;
	return 0;
}

static void list_sums(struct tcp_ledger *l)
{
	for (size_t i = 0; i < l->by_who.count; i++)
		l->listed[i] = *(const struct tcp_sum *)l->by_who.entries[i].value;
	l->listed_count = l->by_who.count;
}

int tcp_ledger_end(struct tcp_ledger *l)
{
	static const struct tcp_traffic zero;

	l->gone = 0;
	for (size_t i = 0; i < l->rows.count; i++) {
		struct ledger_row *row = l->rows.entries[i].value;

		if (row->round == l->round)
			continue;
		row->last = zero;
		row->open_before = 0;
		l->gone++;
	}
	list_sums(l);
	return l->gone > GONE_MAX && l->gone > l->rows.count / 2 ? squeeze(l) : 0;
}

size_t tcp_ledger_rows(const struct tcp_ledger *l)
{
	return l->rows.count - l->gone;
}

const struct tcp_sum *tcp_ledger_list(const struct tcp_ledger *l, size_t *count)
{
	*count = l->listed_count;
	return l->listed;
}

/* ---- sums that go ---- */

struct forgetting {
	uint64_t gone_ms, short_ms; /* what has been idle since then goes */
	bool (*is_gone)(void *arg, __u32 peer);
	void *arg;
};

static bool goes(const struct forgetting *f, const struct tcp_sum *s)
{
	bool gone;

	if (count_open(&s->count))
		return false;
	if (s->changed_ms <= f->short_ms)
		return true;
	if (s->changed_ms > f->gone_ms)
		return false;
	gone = (s->who.source && f->is_gone(f->arg, s->who.source)) ||
	       (s->who.destination && f->is_gone(f->arg, s->who.destination));
	return gone;
}

/* Until when those have been idle that go because there are too many. 0: none does. */
static int find_short(const struct tcp_ledger *l, uint64_t now_ms, uint64_t *out)
{
	size_t count = l->by_who.count, most = idle_room(TCP_SUMS_MAX);
	uint64_t *since;

	*out = 0;
	if (count <= most)
		return 0;
	since = malloc(count * sizeof(*since));
	if (!since)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		since[i] = ((const struct tcp_sum *)l->by_who.entries[i].value)->changed_ms;
	*out = idle_cutoff(since, count, count - most, now_ms);
	free(since);
	return 0;
}

/* Of rows that count no more; should they do so after all, it is found out anew whose they are. */
static void leave_sums(struct tcp_ledger *l, const struct forgetting *f)
{
	for (size_t i = 0; i < l->rows.count; i++) {
		struct ledger_row *row = l->rows.entries[i].value;

		if (row->before && goes(f, row->before)) {
			row->before = NULL;
			row->open_before = 0;
		}
		if (row->sum && goes(f, row->sum)) {
			row->sum = row->before = NULL;
			row->open_before = 0;
		}
	}
}

int tcp_ledger_forget(struct tcp_ledger *l, uint64_t now_ms, bool (*is_gone)(void *arg, __u32 peer),
		      void *arg)
{
	struct forgetting f = { .gone_ms = idle_before(now_ms, IDLE_GONE_MS),
				.is_gone = is_gone,
				.arg = arg };
	struct bytemap left = { 0 };
	int r = find_short(l, now_ms, &f.short_ms);

	if (!r)
		r = bytemap_reserve(&left, l->by_who.count);
	if (r)
		return r;
	leave_sums(l, &f);
	for (size_t i = 0; i < l->by_who.count; i++) {
		struct tcp_sum *sum = l->by_who.entries[i].value;

		if (goes(&f, sum))
			free(sum);
		else
			*bytemap_at(&left, &sum->who, sizeof(sum->who)) = sum;
	}
	bytemap_free(&l->by_who);
	l->by_who = left;
	list_sums(l);
	return 0;
}

int tcp_ledger_peers(const struct tcp_ledger *l, struct ids *out)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < l->by_who.count; i++) {
		const struct tcp_who *who = l->by_who.entries[i].key;

		if (who->source)
			r = ids_add(out, who->source);
		if (r >= 0 && who->destination)
			r = ids_add(out, who->destination);
	}
	return r < 0 ? r : 0;
}

void tcp_ledger_free(struct tcp_ledger *l)
{
	for (size_t i = 0; i < l->rows.count; i++)
		free(l->rows.entries[i].value);
	for (size_t i = 0; i < l->by_who.count; i++)
		free(l->by_who.entries[i].value);
	bytemap_free(&l->rows);
	bytemap_free(&l->by_who);
	free(l->listed);
	*l = (struct tcp_ledger){ 0 };
}
