/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "daemon/datapath/publish_inner.h"

static struct service_entry services[] = {
	{ .key = { .ns = 0, .port = 80 }, .value = { .id = 7, .rule_count = 1 } },
	{ .key = { .ns = 2, .port = 81 }, .value = { .id = 8, .rule_count = 2 } },
};
static struct rule rules[] = { { .ns = 1, .route = 3 }, { .ns = 2, .route = 4 } };
static struct admit admits[] = { { .mask = { { 0xff } } }, { .mask = { { 0xfe } } } };
static struct cluster clusters[] = { { .id = 1, .ep_count = 2 } };
static struct endpoint endpoints[] = { { .id = 1 }, { .id = 2 }, { .id = 3 } };
static struct selected_key selected[] = { { 1, 1 }, { 2, 1 } };

static struct tables tables(void)
{
	struct tables t = {};

	t.services.items = services;
	t.services.count = 2;
	t.rules.items = rules;
	t.rules.count = 2;
	t.admits.items = admits;
	t.admits.count = 2;
	t.clusters.items = clusters;
	t.clusters.count = 1;
	t.endpoints.items = endpoints;
	t.endpoints.count = 2;
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
	cr_assert_eq(rows_open(&r, &t, MAP_GEN_ADMITS), 0);
	cr_expect_eq(r.values, admits);
	rows_free(&r);
	cr_expect_eq(rows_open(&r, &t, MAP_CONNS), -EINVAL);
}

Test(kernel_rows, a_map_serves_other_tables_with_the_same_rows)
{
	struct rule same[2], other[2];
	struct admit admitted[2] = { admits[0] };
	struct tables a = tables(), b = tables();

	memcpy(same, rules, sizeof(same));
	memcpy(other, rules, sizeof(other));
	other[1].route = 5;
	b.rules.items = same;
	for (int map = MAP_GEN_SERVICES; map <= MAP_GEN_ENDPOINTS; map++)
		cr_expect(rows_same(&a, &b, map), "%s", loader_map_name(map));
	b.rules.items = other;
	cr_expect_not(rows_same(&a, &b, MAP_GEN_RULES));
	cr_expect(rows_same(&a, &b, MAP_GEN_SERVICES));
	b.admits.items = admitted;
	cr_expect_not(rows_same(&a, &b, MAP_GEN_ADMITS));
	b.endpoints.count++; /* behind those that are shared */
	cr_expect_not(rows_same(&a, &b, MAP_GEN_ENDPOINTS));
	cr_expect_not(rows_same(&a, &b, MAP_GEN_SOURCES));
	cr_expect_not(rows_same(&a, &b, MAP_GEN_SELECTED));
}

/* Rows of 44 bytes begin at multiples of 8. */
Test(kernel_rows, ranges_of_a_mapped_table_change_one_by_one)
{
	const struct inner_layout layout = { .value_size = sizeof(struct cluster) };
	const struct cluster rows[] = { { .id = 1, .max_connections = 7 },
					{ .id = 2, .ep_first = 3, .ep_count = 4, .lb = 1 } };
	const struct endpoint_range range = { 9, 8 };
	_Alignas(8) char memory[4 * 48] = {};
	struct inner inner = { .fd = -1, .at = memory };
	struct cluster row;
	__u64 word;

	inner_write(&inner, &layout, 1, rows, 2);
	memcpy(&row, memory + 48, sizeof(row));
	cr_expect_eq(row.max_connections, 7);
	memcpy(&row, memory + 96, sizeof(row));
	cr_expect(row.id == 2 && row.ep_first == 3 && row.ep_count == 4);
	memcpy(&word, &range, sizeof(word));
	inner_store(&inner, &layout, 2, offsetof(struct cluster, ep_first), word);
	memcpy(&row, memory + 96, sizeof(row));
	cr_expect(row.id == 2 && row.ep_first == 9 && row.ep_count == 8 && row.lb == 1 &&
		  !row.max_connections);
	for (size_t i = 0; i < 48; i++)
		cr_expect_eq(memory[i] | memory[144 + i], 0);
}
