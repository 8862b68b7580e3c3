/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/publish_callers.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bpf/map_batch.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
	SPARE = 16,	      /* rows that a map has room for beyond half as many again */
	FREED_LONG_AGO = 200, /* ms, far longer than a program runs */
};

/* ---- gen_selected ---- */

void selected_change_free(struct selected_change *s)
{
	free(s->fresh.items);
	free(s->gone.items);
	*s = (struct selected_change){};
}

static int compare_keys(const struct selected_key *a, const struct selected_key *b)
{
	if (a->workload != b->workload)
		return a->workload < b->workload ? -1 : 1;
	return (a->selector > b->selector) - (a->selector < b->selector);
}

/* Both are ordered. */
int selected_compare(const struct tables *old, const struct tables *t, struct selected_change *out)
{
	const struct selected_key *was = old ? old->selected.items : NULL, *now = t->selected.items;
	size_t count = old ? old->selected.count : 0, i = 0, k = 0;

	while (i < count || k < t->selected.count) {
		int order = i == count		     ? 1
			    : k == t->selected.count ? -1
						     : compare_keys(&was[i], &now[k]);
		struct selected_key *row = NULL;

		if (order < 0)
			row = table_push(&out->gone);
		else if (order > 0)
			row = table_push(&out->fresh);
		if (order && !row)
			return -ENOMEM;
		if (row)
			*row = order < 0 ? was[i] : now[k];
		i += order <= 0;
		k += order >= 0;
	}
	return 0;
}

/* ---- whether it can be done in place ---- */

size_t callers_room(size_t count)
{
	return count + count / 2 + SPARE;
}

static bool same_selectors(const struct published *p, const struct tables *t)
{
	const struct tables *was = p->tables;

	if (was->selectors.count != t->selectors.count)
		return false;
	for (size_t i = 0; i < t->selectors.count; i++)
		if (was->selectors.items[i].id != t->selectors.items[i].id)
			return false;
	return true;
}

/*
 * The kernel gives a row that goes to the next one that comes, while a program may still be reading
 * it: so no row comes after one has gone, and of those that are replaced there may be one, the
 * last.
 */
bool callers_fit(const struct published *p, const struct tables *t,
		 const struct callers_change *change, const struct selected_change *selected)
{
	const struct inner *sources = &p->table[MAP_GEN_SOURCES];
	const struct inner *rows = &p->table[MAP_GEN_SELECTED];

	return p->tables && sources->fd >= 0 && rows->fd >= 0 && same_selectors(p, t) &&
	       change->replaced.count <= 1 &&
	       p->callers.rows.count + change->fresh.count <= sources->room &&
	       p->tables->selected.count + selected->fresh.count <= rows->room;
}

/* ---- doing it ---- */

/* The kernel waits when a slot of an outer map is written. */
void publish_wait(struct published *p, const struct loader *l)
{
	__u64 generation = publish_current(l);
	__u32 slot = (__u32)(generation % GENERATION_SLOTS);

	/* A weftd that has made no table yet has taken longer to start than a program runs. */
	if (p->table[MAP_GEN_SOURCES].fd >= 0)
		bpf_map_update_elem(l->map[MAP_GEN_SOURCES], &slot, &p->table[MAP_GEN_SOURCES].fd,
				    BPF_ANY);
	p->waited = generation;
}

static int add_selected(const struct published *p, const struct selected_change *selected)
{
	_cleanup_free_ __u8 *ones = malloc(selected->fresh.count + 1);

	if (!ones)
		return -ENOMEM;
	memset(ones, 1, selected->fresh.count);
	return map_fill(p->table[MAP_GEN_SELECTED].fd, selected->fresh.items,
			sizeof(struct selected_key), ones, 1, selected->fresh.count);
}

static int add_fresh(int fd, const struct callers_change *change)
{
	size_t count = change->fresh.count;
	_cleanup_free_ struct addr *keys = calloc(count + 1, sizeof(*keys));
	_cleanup_free_ struct source *values = calloc(count + 1, sizeof(*values));

	if (!keys || !values)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		keys[i] = change->fresh.items[i].addr;
		values[i] = change->fresh.items[i].value;
	}
	return map_fill(fd, keys, sizeof(*keys), values, sizeof(*values), count);
}

static int put_row(int fd, const struct caller *row)
{
	return bpf_map_update_elem(fd, &row->addr, &row->value, BPF_ANY) ? -errno : 0;
}

static void remove_fresh(int fd, const struct callers_change *change)
{
	for (size_t i = 0; i < change->fresh.count; i++)
		bpf_map_delete_elem(fd, &change->fresh.items[i].addr);
}

void callers_undo(struct published *p, const struct callers_change *change)
{
	int fd = p->table[MAP_GEN_SOURCES].fd;

	for (size_t i = 0; i < change->before.count; i++)
		put_row(fd, &change->before.items[i]);
	remove_fresh(fd, change);
	p->freed_ms = clock_ms();
}

int callers_add(struct published *p, const struct loader *l, const struct callers_change *change,
		const struct selected_change *selected)
{
	int fd = p->table[MAP_GEN_SOURCES].fd, r;

	if ((change->fresh.count || change->replaced.count || selected->fresh.count) &&
	    clock_ms() < p->freed_ms + FREED_LONG_AGO)
		publish_wait(p, l);
	r = add_selected(p, selected);
	if (!r)
		r = add_fresh(fd, change);
	for (size_t i = 0; !r && i < change->replaced.count; i++)
		r = put_row(fd, &change->replaced.items[i]);
	if (change->replaced.count)
		p->freed_ms = clock_ms();
	if (!r)
		return 0;
	callers_undo(p, change);
	return log_err(r, "bring the pods that rules know up to date");
}

/* A row too many of gen_selected does no harm: no rule or no pod asks for it any more. One of
 * gen_sources would: then all of them are made anew by the next generation. */
void callers_remove(struct published *p, const struct callers_change *change,
		    const struct selected_change *selected)
{
	int r = map_delete(p->table[MAP_GEN_SOURCES].fd, change->gone.items, sizeof(struct addr),
			   change->gone.count);

	if (!r)
		r = map_delete(p->table[MAP_GEN_SELECTED].fd, selected->gone.items,
			       sizeof(struct selected_key), selected->gone.count);
	if (change->gone.count || selected->gone.count)
		p->freed_ms = clock_ms();
	if (!r)
		return;
	log_err(r, "take pods out of those that rules know");
	closep(&p->table[MAP_GEN_SOURCES].fd);
}
