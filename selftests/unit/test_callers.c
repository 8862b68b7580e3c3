// SPDX-License-Identifier: Apache-2.0
/*
 * What is changed in the kernel, when pods come and go: the difference and nothing else.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/datapath/publish_callers.h"

enum { ADDRESSES = 300 };

static struct addr address(unsigned n)
{
	struct addr a = { .b = { [10] = 0xff, [11] = 0xff, [12] = 10 } };

	a.b[14] = (__u8)(n >> 8);
	a.b[15] = (__u8)n;
	return a;
}

static void add(struct tables *t, unsigned n, __u32 ns, bool labelled)
{
	struct source_entry *s = table_push(&t->sources);

	cr_assert_not_null(s);
	s->addr = address(n);
	s->value.ns = ns;
	s->labelled = labelled;
}

/* Which a change leads to, by the number of the address: 0 for none. */
struct state {
	__u32 ns[ADDRESSES];
	bool member[ADDRESSES];
};

static unsigned number_of(const struct addr *a)
{
	return (unsigned)a->b[14] << 8 | a->b[15];
}

static void state_of(const struct tables *t, struct state *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < t->sources.count; i++) {
		unsigned n = number_of(&t->sources.items[i].addr);

		out->ns[n] = t->sources.items[i].value.ns;
		out->member[n] = t->sources.items[i].labelled;
	}
}

/* Every row of the change must say something new. */
static void carry_out(const struct callers_change *c, struct state *s)
{
	cr_assert_eq(c->fresh.count, c->came.count);
	for (size_t i = 0; i < c->gone.count; i++) {
		cr_assert_neq(s->ns[number_of(&c->gone.items[i])], 0);
		s->ns[number_of(&c->gone.items[i])] = 0;
	}
	for (size_t i = 0; i < c->fresh.count; i++) {
		unsigned n = number_of(&c->fresh.items[i].addr);

		cr_assert_eq(s->ns[n], 0);
		cr_assert(addr_equal(&c->fresh.items[i].addr, &c->came.items[i]));
		s->ns[n] = c->fresh.items[i].value.ns;
	}
	for (size_t i = 0; i < c->replaced.count; i++) {
		unsigned n = number_of(&c->replaced.items[i].addr);

		cr_assert_eq(s->ns[n], c->before.items[i].value.ns);
		cr_assert_neq(s->ns[n], c->replaced.items[i].value.ns);
		s->ns[n] = c->replaced.items[i].value.ns;
	}
	for (size_t i = 0; i < c->joined.count; i++) {
		cr_assert_not(s->member[number_of(&c->joined.items[i])]);
		s->member[number_of(&c->joined.items[i])] = true;
	}
	for (size_t i = 0; i < c->left.count; i++) {
		cr_assert(s->member[number_of(&c->left.items[i])]);
		s->member[number_of(&c->left.items[i])] = false;
	}
}

/* In another order, now and then. */
static void random_change(struct tables *t, struct state *is)
{
	for (int n = rand() % 6; n >= 0; n--) {
		size_t count = t->sources.count, at = count ? (size_t)rand() % count : 0;
		unsigned fresh = (unsigned)rand() % ADDRESSES;

		if (rand() % 3 == 0 && count) {
			memmove(&t->sources.items[at], &t->sources.items[at + 1],
				(count - at - 1) * sizeof(*t->sources.items));
			t->sources.count--;
		} else if (rand() % 2 && count) {
			t->sources.items[at].value.ns = 1 + rand() % 3;
			t->sources.items[at].labelled = rand() % 2;
		} else if (rand() % 9 == 0 && count) {
			struct source_entry other = t->sources.items[at];

			t->sources.items[at] = t->sources.items[0];
			t->sources.items[0] = other;
		} else {
			state_of(t, is);
			if (!is->ns[fresh])
				add(t, fresh, 1 + rand() % 3, rand() % 2);
		}
	}
	state_of(t, is);
}

Test(callers, a_thousand_changes_are_followed)
{
	struct tables *t = tables_new();
	struct callers callers = {};
	struct state follows = {}, is = {};

	cr_assert_not_null(t);
	srand(1);
	for (int n = 0; n < 1000; n++) {
		struct callers_change change = {};

		random_change(t, &is);
		cr_assert_eq(callers_compare(&callers, t, false, &change), 0);
		carry_out(&change, &follows);
		cr_assert(!memcmp(&follows, &is, sizeof(is)), "after change %d", n);
		cr_assert_eq(callers_reserve(&callers, t), 0);
		callers_take(&callers, t, false, &change);
		callers_change_free(&change);
		cr_assert_eq(callers_compare(&callers, t, false, &change), 0);
		cr_assert_eq(change.same, t->sources.count);
		callers_change_free(&change);
	}
	callers_free(&callers);
	tables_free(t);
}

Test(callers, one_that_goes_does_not_move_the_others)
{
	struct tables *t = tables_new();
	struct callers callers = {};
	struct callers_change change = {};

	for (unsigned n = 1; n < 100; n++)
		add(t, n, 1, true);
	cr_assert_eq(callers_compare(&callers, t, false, &change), 0);
	cr_assert_eq(callers_reserve(&callers, t), 0);
	callers_take(&callers, t, false, &change);
	callers_change_free(&change);
	memmove(&t->sources.items[10], &t->sources.items[12],
		(t->sources.count - 12) * sizeof(*t->sources.items));
	t->sources.count -= 2;
	cr_assert_eq(callers_compare(&callers, t, false, &change), 0);
	cr_expect_eq(change.gone.count, 2);
	cr_expect_eq(change.left.count, 2);
	cr_expect_eq(change.fresh.count + change.replaced.count, 0);
	callers_change_free(&change);
	callers_free(&callers);
	tables_free(t);
}

Test(callers, with_every_pod_in_the_mesh_none_joins)
{
	struct tables *t = tables_new();
	struct callers callers = {};
	struct callers_change change = {};

	add(t, 1, 1, true);
	cr_assert_eq(callers_compare(&callers, t, true, &change), 0);
	cr_expect_eq(change.fresh.count, 1);
	cr_expect_eq(change.joined.count, 0);
	callers_change_free(&change);
	tables_free(t);
}

Test(callers, selected_rows_come_and_go)
{
	static struct selected_key was[] = { { 1, 1 }, { 1, 3 }, { 2, 1 }, { 4, 4 } };
	static struct selected_key now[] = { { 1, 2 }, { 1, 3 }, { 2, 1 }, { 5, 1 } };
	struct tables old = {}, t = {};
	struct selected_change c = {};

	old.selected.items = was;
	t.selected.items = now;
	old.selected.count = t.selected.count = 4;
	cr_assert_eq(selected_compare(&old, &t, &c), 0);
	cr_assert_eq(c.fresh.count, 2);
	cr_assert_eq(c.gone.count, 2);
	cr_expect_eq(c.fresh.items[0].selector, 2);
	cr_expect_eq(c.fresh.items[1].workload, 5);
	cr_expect_eq(c.gone.items[0].selector, 1);
	cr_expect_eq(c.gone.items[1].workload, 4);
	selected_change_free(&c);
}

static struct published published(void)
{
	static struct tables none;
	struct published p;

	published_init(&p);
	p.tables = &none;
	p.table[MAP_GEN_SOURCES].fd = p.table[MAP_GEN_SELECTED].fd = 1000;
	p.table[MAP_GEN_SOURCES].room = p.table[MAP_GEN_SELECTED].room = 2;
	p.callers.rows.count = 1;
	return p;
}

static struct caller callers[2];

Test(callers, in_place_only_while_there_is_room)
{
	struct published p = published();
	struct callers_change change = { .fresh = { callers, 1, 1 } };
	struct selected_change none = {};
	struct tables t = {};

	cr_expect(callers_fit(&p, &t, &change, &none));
	change.fresh.count = 2;
	cr_expect_not(callers_fit(&p, &t, &change, &none));
	change.fresh.count = 0;
	none.fresh.count = 3;
	cr_expect_not(callers_fit(&p, &t, &change, &none));
	none.fresh.count = 0;
	p.table[MAP_GEN_SOURCES].fd = -1;
	cr_expect_not(callers_fit(&p, &t, &change, &none));
}

/* A program may still be reading a row that has been replaced while the next one takes its place.
 */
Test(callers, in_place_only_one_is_replaced)
{
	struct published p = published();
	struct callers_change change = { .replaced = { callers, 1, 1 } };
	struct selected_change none = {};
	struct tables t = {};

	cr_expect(callers_fit(&p, &t, &change, &none));
	change.replaced.count = 2;
	cr_expect_not(callers_fit(&p, &t, &change, &none));
}

/* Else a rule that is gone, or not there yet, would ask for workloads that no pod has. */
Test(callers, in_place_only_while_rules_ask_for_the_same)
{
	static struct source_selector selectors[] = { { .id = 3 }, { .id = 4 } };
	static struct source_selector ids[] = { { .id = 3 }, { .id = 4 } };
	struct tables was = {};
	struct published p = published();
	struct callers_change change = {};
	struct selected_change none = {};
	struct tables t = {};

	t.selectors.items = selectors;
	t.selectors.count = 2;
	cr_expect_not(callers_fit(&p, &t, &change, &none));
	was.selectors.items = ids;
	was.selectors.count = 2;
	p.tables = &was;
	cr_expect(callers_fit(&p, &t, &change, &none));
	t.selectors.count = 1;
	cr_expect_not(callers_fit(&p, &t, &change, &none));
	t.selectors.count = 2;
	ids[1].id = 5;
	cr_expect_not(callers_fit(&p, &t, &change, &none));
}
