// SPDX-License-Identifier: Apache-2.0
/*
 * Tables that share endpoints, each with its own view of them.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/tables/tables.h"

/* One cluster whose endpoints have these ids. */
static struct tables *with_endpoints(const char *ids)
{
	struct tables *t = tables_new();
	struct cluster *c = table_push(&t->clusters);

	c->ep_count = strlen(ids);
	for (const char *id = ids; *id; id++) {
		table_push(&t->endpoints)->id = *id;
		*(const char **)table_push(&t->endpoint_names) = "name";
	}
	return t;
}

/* As `from`, with other endpoints in its cluster. */
static struct tables *changed(struct tables *from, const char *ids)
{
	struct tables *t = tables_sharing(from);
	struct cluster *c;
	__u32 first;

	tables_part(t, TABLES_CLUSTERS);
	cr_assert(tables_add_endpoints(t, strlen(ids), &first));
	c = table_push(&t->clusters);
	c->ep_first = first;
	c->ep_count = strlen(ids);
	for (; *ids; ids++)
		t->endpoints.items[first++] = (struct endpoint){ .id = *ids };
	return t;
}

static void expect_ids(const struct tables *t, const char *ids)
{
	const struct cluster *c = &t->clusters.items[0];

	cr_assert_eq(c->ep_count, strlen(ids), "%s", ids);
	for (__u32 i = 0; i < c->ep_count; i++)
		cr_expect_eq(t->endpoints.items[c->ep_first + i].id, (__u32)ids[i], "%s", ids);
}

Test(tables, a_change_of_endpoints_leaves_the_tables_before_as_they_are)
{
	struct tables *a = with_endpoints("xyz"), *b, *c;

	cr_assert_eq(tables_spare_endpoints(a), 0);
	b = changed(a, "xw");
	expect_ids(a, "xyz");
	expect_ids(b, "xw");
	cr_expect_eq(b->endpoints.items, a->endpoints.items, "they share the rows");
	cr_expect_eq(b->endpoints.count, 5);
	cr_expect_eq(a->endpoints.count, 3);
	tables_free(a);
	c = changed(b, "");
	expect_ids(b, "xw");
	expect_ids(c, "");
	tables_free(b);
	tables_free(c);
}

/* A program may be reading them by then. */
Test(tables, rows_of_a_change_that_was_refused_are_not_used_again)
{
	struct tables *a = with_endpoints("xyz"), *b, *c;

	cr_assert_eq(tables_spare_endpoints(a), 0);
	b = changed(a, "uv");
	tables_free(b);
	c = changed(a, "w");
	cr_expect_eq(c->clusters.items[0].ep_first, 5);
	expect_ids(a, "xyz");
	tables_free(a);
	tables_free(c);
}

Test(tables, rows_are_added_only_where_there_is_room)
{
	struct tables *a = with_endpoints("x"), *b;
	__u32 first = 7;

	b = tables_sharing(a);
	cr_expect_not(tables_add_endpoints(b, 1, &first), "none was spared");
	cr_expect_eq(first, 7);
	tables_free(b);
	cr_assert_eq(tables_spare_endpoints(a), 0);
	b = tables_sharing(a);
	cr_expect_not(tables_add_endpoints(b, a->endpoints_room, &first));
	cr_expect(tables_add_endpoints(b, a->endpoints_room - 1, &first));
	cr_expect_eq(first, 1);
	cr_expect(tables_add_endpoints(b, 0, &first));
	cr_expect_not(tables_add_endpoints(b, 1, &first));
	tables_free(a);
	tables_free(b);
}

Test(tables, the_same_endpoints_in_other_rows_are_the_same)
{
	struct tables *a = with_endpoints("xy"), *b, *c, *fresh = with_endpoints("xy");

	cr_assert_eq(tables_spare_endpoints(a), 0);
	b = changed(a, "xz");
	c = changed(b, "xy");
	cr_expect_not(tables_same(a, b));
	cr_expect(tables_same(a, c));
	cr_expect(tables_same(c, fresh));
	cr_expect_not(tables_same(b, fresh));
	tables_free(a);
	tables_free(b);
	tables_free(c);
	tables_free(fresh);
}
