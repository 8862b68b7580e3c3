/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "daemon/datapath/publish_rows.h"

static struct service_entry services[] = {
	{ .key = { .ns = 0, .port = 80 }, .value = { .id = 7, .rule_count = 1 } },
	{ .key = { .ns = 2, .port = 81 }, .value = { .id = 8, .rule_count = 2 } },
};
static struct rule rules[] = { { .ns = 1, .route = 3 }, { .ns = 2, .route = 4 } };
static struct selected_key selected[] = { { 1, 1 }, { 2, 1 } };

static struct tables tables(void)
{
	struct tables t = {};

	t.services.items = services;
	t.services.count = 2;
	t.rules.items = rules;
	t.rules.count = 2;
	t.selected.items = selected;
	t.selected.count = 2;
	return t;
}

Test(kernel_rows, hash_tables_come_apart_into_keys_and_values)
{
	struct tables t = tables();
	struct rows r = {};

	cr_assert_eq(rows_open(&r, &t, MAP_GEN_SERVICES), 0);
	cr_expect_eq(r.count, 2);
	cr_expect_eq(((const struct service_key *)r.keys)[1].port, 81);
	cr_expect_eq(((const struct service *)r.values)[1].id, 8);
	rows_free(&r);
	cr_assert_eq(rows_open(&r, &t, MAP_GEN_SELECTED), 0);
	cr_expect_eq(((const __u8 *)r.values)[1], 1);
	rows_free(&r);
}

Test(kernel_rows, arrays_are_values_alone)
{
	struct tables t = tables();
	struct rows r = {};

	cr_assert_eq(rows_open(&r, &t, MAP_GEN_RULES), 0);
	cr_expect_null(r.keys);
	cr_expect_eq(r.count, 2);
	cr_expect_eq(r.values, rules);
	rows_free(&r);
	cr_expect_eq(rows_open(&r, &t, MAP_CONNS), -EINVAL);
}

Test(kernel_rows, an_owned_copy_tells_a_change)
{
	const struct inner_layout layout = { .key_size = sizeof(__u32),
					     .value_size = sizeof(struct rule) };
	struct tables t = tables();
	struct rows old = {}, now = {};

	cr_assert_eq(rows_open(&old, &t, MAP_GEN_RULES), 0);
	cr_assert_eq(rows_own(&old, &layout), 0);
	cr_assert_eq(rows_open(&now, &t, MAP_GEN_RULES), 0);
	cr_expect(rows_equal(&old, &now, &layout));
	rules[1].route = 5;
	cr_expect_not(rows_equal(&old, &now, &layout));
	rows_free(&old);
	rows_free(&now);
}

static void expect_changed(const char *was, const char *is, size_t first, size_t end)
{
	const struct rows a = { .values = was, .count = strlen(was) };
	const struct rows b = { .values = is, .count = strlen(is) };
	size_t from, to;

	rows_changed(&a, &b, 1, &from, &to);
	cr_expect_eq(from, first, "%s -> %s: from %zu", was, is, from);
	cr_expect_eq(to, end, "%s -> %s: to %zu", was, is, to);
}

Test(kernel_rows, what_has_changed_lies_between_what_has_not)
{
	expect_changed("abcdef", "abXdef", 2, 3);
	expect_changed("abcdef", "abdef", 2, 2);
	expect_changed("abcdef", "abcXXdef", 3, 5);
	expect_changed("abcabc", "abc", 3, 3);
	expect_changed("aaa", "aaaa", 3, 4);
	expect_changed("", "abc", 0, 3);
	expect_changed("abc", "", 0, 0);
	expect_changed("abc", "abc", 3, 3);
}
