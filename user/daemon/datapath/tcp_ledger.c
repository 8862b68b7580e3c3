// SPDX-License-Identifier: Apache-2.0
#include "daemon/datapath/tcp_ledger.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"

enum { GONE_MAX = 1024 }; /* rows that may be kept though they are gone, beside as many as live */

struct ledger_row {
	struct tcp_traffic_key key;
	struct tcp_traffic last;
	size_t sum;	  /* whose it is: index + 1; 0: not known yet */
	uint64_t version; /* by which that was found */
	uint64_t round;	  /* when it was there last */
};

void tcp_ledger_begin(struct tcp_ledger *l)
{
	l->round++;
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

/* Index + 1; 0 when out of memory. */
static size_t sum_of(struct tcp_ledger *l, const struct tcp_names *names, uint64_t reporters)
{
	const struct tcp_sum wanted = { .names = *names, .reporters = reporters };
	const size_t lead = offsetof(struct tcp_sum, count);
	size_t room = l->room ? 2 * l->room : 64;
	_cleanup_free_ struct tcp_sum *sum = NULL;
	struct tcp_sum *listed;
	struct tcp_sum **sums;
	void **at;

	at = bytemap_get(&l->by_names, &wanted, lead);
	if (at)
		return (size_t)(uintptr_t)at;
	if (l->count == l->room) {
		sums = realloc(l->sums, room * sizeof(*sums));
		if (!sums)
			return 0;
		l->sums = sums;
		listed = realloc(l->listed, room * sizeof(*listed));
		if (!listed)
			return 0;
		l->listed = listed;
		l->room = room;
	}
	sum = malloc(sizeof(*sum));
	if (!sum)
		return 0;
	*sum = wanted;
	at = bytemap_at(&l->by_names, sum, lead);
	if (!at)
		return 0;
	l->sums[l->count++] = TAKE_PTR(sum);
	*at = (void *)(uintptr_t)l->count;
	return l->count;
}

static bool is_less(const struct tcp_traffic *a, const struct tcp_traffic *b)
{
	return a->opened < b->opened || a->closed < b->closed || a->received < b->received ||
	       a->sent < b->sent;
}

int tcp_ledger_take(struct tcp_ledger *l, const struct tcp_traffic_key *key,
		    const struct tcp_traffic *now, uint64_t version, tcp_name_fn name, void *arg)
{
	static const struct tcp_traffic zero;
	struct ledger_row *row = row_of(l, key);
	struct tcp_names names = { 0 };
	struct tcp_traffic *count;

	if (!row)
		return -ENOMEM;
	row->round = l->round;
	if (is_less(now, &row->last)) /* made anew since */
		row->last = zero;
	if (!memcmp(now, &row->last, sizeof(*now)))
		return 0;
	if (!row->sum || row->version != version) {
		uint64_t reporters = name(arg, key, &names);

		row->sum = sum_of(l, &names, reporters);
		if (!row->sum)
			return -ENOMEM;
		row->version = version;
	}
	count = &l->sums[row->sum - 1]->count;
	count->opened += now->opened - row->last.opened;
	count->closed += now->closed - row->last.closed;
	count->received += now->received - row->last.received;
	count->sent += now->sent - row->last.sent;
	row->last = *now;
	return 0;
}

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

int tcp_ledger_end(struct tcp_ledger *l)
{
	static const struct tcp_traffic zero;

	l->gone = 0;
	for (size_t i = 0; i < l->rows.count; i++) {
		struct ledger_row *row = l->rows.entries[i].value;

		if (row->round == l->round)
			continue;
		row->last = zero;
		l->gone++;
	}
	for (size_t i = 0; i < l->count; i++)
		l->listed[i] = *l->sums[i];
	return l->gone > GONE_MAX && l->gone > l->rows.count / 2 ? squeeze(l) : 0;
}

size_t tcp_ledger_rows(const struct tcp_ledger *l)
{
	return l->rows.count - l->gone;
}

const struct tcp_sum *tcp_ledger_list(const struct tcp_ledger *l, size_t *count)
{
	*count = l->count;
	return l->listed;
}

void tcp_ledger_free(struct tcp_ledger *l)
{
	for (size_t i = 0; i < l->rows.count; i++)
		free(l->rows.entries[i].value);
	for (size_t i = 0; i < l->count; i++)
		free(l->sums[i]);
	bytemap_free(&l->rows);
	bytemap_free(&l->by_names);
	free(l->sums);
	free(l->listed);
	*l = (struct tcp_ledger){ 0 };
}
