/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/callers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/bytemap.h"
#include "lib/base/cleanup.h"

enum { AHEAD = 32 }; /* rows that are looked at to find how the lists go on */

void callers_free(struct callers *c)
{
	free(c->rows.items);
	*c = (struct callers){};
}

void callers_change_free(struct callers_change *c)
{
	free(c->fresh.items);
	free(c->replaced.items);
	free(c->before.items);
	addr_list_free(&c->came);
	addr_list_free(&c->gone);
	addr_list_free(&c->joined);
	addr_list_free(&c->left);
	*c = (struct callers_change){};
}

static struct caller caller_of(const struct source_entry *s, bool all)
{
	return (struct caller){ s->addr, s->value, !all && s->labelled };
}

int callers_reserve(struct callers *c, const struct tables *t)
{
	struct caller *more;

	if (c->rows.room >= t->sources.count)
		return 0;
	more = reallocarray(c->rows.items, t->sources.count, sizeof(*more));
	if (!more)
		return -ENOMEM;
	c->rows.items = more;
	c->rows.room = t->sources.count;
	return 0;
}

int callers_shrink(struct callers *c)
{
	struct caller *less;

	if (c->rows.room == c->rows.count)
		return 0;
	less = reallocarray(c->rows.items, c->rows.count + 1, sizeof(*less));
	if (!less)
		return -ENOMEM;
	c->rows.items = less;
	c->rows.room = c->rows.count + 1;
	return 0;
}

void callers_take(struct callers *c, const struct tables *t, bool all,
		  const struct callers_change *change)
{
	c->rows.count = t->sources.count;
	for (size_t i = change->same; i < c->rows.count; i++)
		c->rows.items[i] = caller_of(&t->sources.items[i], all);
}

/* Both lists, and how far each has been gone through. */
struct walk {
	const struct caller *old;
	const struct source_entry *now;
	size_t old_count, now_count, i, k;
	bool all;
	struct callers_change *out;
	/* Those that the other list does not have near by: perhaps it has them elsewhere. */
	TABLE(const struct caller *) left_over;
	TABLE(const struct source_entry *) unexpected;
};

static void walk_free(struct walk *w)
{
	free(w->left_over.items);
	free(w->unexpected.items);
}

static int note_membership(struct callers_change *out, const struct addr *addr, __u32 before,
			   __u32 after)
{
	if (before == after)
		return 0;
	return addr_list_add(after ? &out->joined : &out->left, addr);
}

static int note_fresh(struct walk *w, const struct source_entry *now)
{
	struct caller *row = table_push(&w->out->fresh);

	if (!row || addr_list_add(&w->out->came, &now->addr))
		return -ENOMEM;
	*row = caller_of(now, w->all);
	return note_membership(w->out, &row->addr, 0, row->member);
}

static int note_gone(struct walk *w, const struct caller *old)
{
	int r = addr_list_add(&w->out->gone, &old->addr);

	return r ? r : note_membership(w->out, &old->addr, old->member, 0);
}

/* At the same address. */
static int note_pair(struct walk *w, const struct caller *old, const struct source_entry *now)
{
	struct caller after = caller_of(now, w->all), *row, *before;

	if (memcmp(&old->value, &after.value, sizeof(after.value)) != 0) {
		row = table_push(&w->out->replaced);
		before = table_push(&w->out->before);
		if (!row || !before)
			return -ENOMEM;
		*row = after;
		*before = *old;
	}
	return note_membership(w->out, &after.addr, old->member, after.member);
}

static int leave_over(struct walk *w, size_t count)
{
	for (; count; count--) {
		const struct caller **at = table_push(&w->left_over);

		if (!at)
			return -ENOMEM;
		*at = &w->old[w->i++];
	}
	return 0;
}

static int not_expect(struct walk *w, size_t count)
{
	for (; count; count--) {
		const struct source_entry **at = table_push(&w->unexpected);

		if (!at)
			return -ENOMEM;
		*at = &w->now[w->k++];
	}
	return 0;
}

/* The lists differ here. They go on the same way after some that went, or some that came. */
static int step_over(struct walk *w)
{
	int r;

	for (size_t n = 1; n <= AHEAD; n++) {
		if (w->i + n < w->old_count &&
		    addr_equal(&w->old[w->i + n].addr, &w->now[w->k].addr))
			return leave_over(w, n);
		if (w->k + n < w->now_count &&
		    addr_equal(&w->now[w->k + n].addr, &w->old[w->i].addr))
			return not_expect(w, n);
	}
	r = leave_over(w, 1);
	return r ? r : not_expect(w, 1);
}

/* How far both lists are the same. */
static void skip_same(struct walk *w)
{
	while (w->i < w->old_count && w->k < w->now_count) {
		const struct caller *old = &w->old[w->i];
		const struct source_entry *now = &w->now[w->k];

		if (memcmp(&old->addr, &now->addr, sizeof(old->addr)) != 0 ||
		    memcmp(&old->value, &now->value, sizeof(old->value)) != 0 ||
		    old->member != (!w->all && now->labelled))
			return;
		w->i++;
		w->k++;
	}
}

static int walk(struct walk *w)
{
	int r = 0;

	skip_same(w);
	w->out->same = w->i;
	for (; !r && w->i < w->old_count && w->k < w->now_count; skip_same(w)) {
		if (addr_equal(&w->old[w->i].addr, &w->now[w->k].addr))
			r = note_pair(w, &w->old[w->i++], &w->now[w->k++]);
		else
			r = step_over(w);
	}
	if (!r)
		r = leave_over(w, w->old_count - w->i);
	return r ? r : not_expect(w, w->now_count - w->k);
}

/* What one list had elsewhere is neither new nor gone. */
static int match(struct walk *w, struct bytemap *by_addr)
{
	int r = bytemap_reserve(by_addr, w->left_over.count);

	for (size_t n = 0; !r && n < w->left_over.count; n++) {
		const struct caller *old = w->left_over.items[n];
		void **at = bytemap_at(by_addr, &old->addr, sizeof(old->addr));

		if (!at)
			return -ENOMEM;
		*at = (void *)old;
	}
	for (size_t n = 0; !r && n < w->unexpected.count; n++) {
		const struct source_entry *now = w->unexpected.items[n];
		const struct caller *old = bytemap_get(by_addr, &now->addr, sizeof(now->addr));

		r = old ? note_pair(w, old, now) : note_fresh(w, now);
		if (old)
			*bytemap_at(by_addr, &now->addr, sizeof(now->addr)) = NULL;
	}
	for (size_t n = 0; !r && n < w->left_over.count; n++) {
		const struct caller *old = w->left_over.items[n];

		if (bytemap_get(by_addr, &old->addr, sizeof(old->addr)))
			r = note_gone(w, old);
	}
	return r;
}

int callers_compare(const struct callers *old, const struct tables *t, bool all,
		    struct callers_change *out)
{
	_cleanup_(walk_free) struct walk w = { .old = old->rows.items,
					       .now = t->sources.items,
					       .old_count = old->rows.count,
					       .now_count = t->sources.count,
					       .all = all,
					       .out = out };
	struct bytemap by_addr = { 0 };
	int r = walk(&w);

	if (!r)
		r = match(&w, &by_addr);
	bytemap_free(&by_addr);
	return r;
}
