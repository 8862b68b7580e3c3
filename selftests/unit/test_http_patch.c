// SPDX-License-Identifier: Apache-2.0
/*
 * Patches of snapshots: what they may say, and that a patched one says that. That it says what
 * compile() would is test_compile_patch.c's.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/route/pack.h"
#include "lib/route/patch.h"
#include "test_http_util.h"

static struct http_tables t;
static __u32 first, second; /* rows of clusters that are known */

static void setup(void)
{
	http_tables_routes(&t);
	cr_assert_not_null(t.snapshot);
	while (!hs_cluster(t.snapshot, first)->known)
		first++;
	second = first + 1;
	while (!hs_cluster(t.snapshot, second)->known)
		second++;
}

static void teardown(void)
{
	http_tables_free(&t);
}

TestSuite(http_patch, .init = setup, .fini = teardown);

static struct addr address(unsigned last)
{
	return (struct addr){ { [10] = 0xff, [11] = 0xff, 77, 0, 0, last } };
}

/* Two clusters, three endpoints, two pods of which the second goes. */
struct sample {
	struct hs_patch_cluster clusters[2];
	struct hs_endpoint endpoints[3];
	struct hs_patch_source sources[2];
};

static struct sample sample(void)
{
	struct sample s = {
		.clusters = { { first, { 0, 2 }, 2, 7 }, { second, { 2, 1 }, 1, 1 } },
		.sources = { { .row = { .addr = address(1), .ns = 1 } },
			     { .row = { .addr = address(2) }, .gone = 1 } },
	};

	for (__u32 i = 0; i < 3; i++)
		s.endpoints[i].endpoint = (struct endpoint){ address(10 + i), 9000 + i, 80, 0 };
	return s;
}

static int patched(const struct http_snapshot *from, const struct sample *s,
		   struct http_snapshot **out)
{
	const struct http_patch_rows rows = { .clusters = s->clusters,
					      .endpoints = s->endpoints,
					      .sources = s->sources,
					      .cluster_count = 2,
					      .endpoint_count = 3,
					      .source_count = 2 };
	_cleanup_free_ void *bytes = NULL;
	size_t size;

	cr_assert_eq(http_patch_pack(&rows, &bytes, &size), 0);
	return http_snapshot_patched(from, bytes, size, out);
}

static void want_sample(const struct http_snapshot *s)
{
	struct http_members m = http_members(s, hs_cluster(s, first));
	struct addr known = address(1), gone = address(2);

	cr_expect(m.count == 2 && m.v4 == 2 && m.service == 7);
	cr_expect_eq(m.items[1].endpoint.id, 9001u);
	m = http_members(s, hs_cluster(s, second));
	cr_expect(m.count == 1 && m.items[0].endpoint.id == 9002);
	cr_assert_not_null(http_source_at(s, &known));
	cr_expect_eq(http_source_at(s, &known)->ns, 1u);
	cr_expect_null(http_source_at(s, &gone));
}

Test(http_patch, what_it_speaks_of_is_other_and_all_else_is_the_same)
{
	const struct sample s = sample();
	struct http_snapshot *one, *flat;
	struct addr other = hs_source(t.snapshot, 0)->addr, known = address(1);

	cr_assert_eq(patched(t.snapshot, &s, &one), 0);
	want_sample(one);
	cr_expect_null(http_source_at(t.snapshot, &known), "what was patched is as it was");
	cr_expect_eq(http_source_at(one, &other), hs_source(t.snapshot, 0));
	for (__u32 i = 0; i < hs_count(one, HS_CLUSTERS); i++)
		if (i != first && i != second)
			cr_expect_eq(http_members(one, hs_cluster(one, i)).items,
				     http_members(t.snapshot, hs_cluster(t.snapshot, i)).items);
	cr_assert_eq(http_snapshot_flatten(one, &flat), 0);
	want_sample(flat);
	cr_expect_null(flat->changes);
	cr_expect(http_snapshot_same(one, flat) && http_snapshot_same(flat, one));
	cr_expect_not(http_snapshot_same(one, t.snapshot));
	cr_expect_not(http_snapshot_same(t.snapshot, flat));
	http_snapshot_close(one);
	want_sample(flat);
	http_snapshot_close(flat);
}

Test(http_patch, the_last_one_counts)
{
	struct sample s = sample();
	struct http_snapshot *one, *two, *back;
	size_t size;

	cr_assert_eq(patched(t.snapshot, &s, &one), 0);
	s.clusters[0].endpoints = (struct hs_range){ 1, 1 };
	s.clusters[0].endpoints_v4 = 1;
	s.sources[0].gone = 1;
	s.sources[1].gone = 0;
	cr_assert_eq(patched(one, &s, &two), 0);
	cr_expect_not_null(http_snapshot_patch(two, one, &size));
	cr_expect_null(http_snapshot_patch(two, t.snapshot, &size));
	cr_expect_null(http_snapshot_patch(one, two, &size));
	cr_expect_eq(http_members(two, hs_cluster(two, first)).count, 1u);
	cr_expect_null(http_source_at(two, &s.sources[0].row.addr));
	cr_expect_not_null(http_source_at(two, &s.sources[1].row.addr));
	want_sample(one);
	cr_expect_not(http_snapshot_same(one, two));
	s = sample();
	cr_assert_eq(patched(two, &s, &back), 0);
	cr_expect(http_snapshot_same(one, back) && http_snapshot_same(back, one));
	http_snapshot_close(one);
	http_snapshot_close(two);
	want_sample(back);
	http_snapshot_close(back);
}

/* A field of the sample, and what is wrong there. */
#define WRONG(field, value)                                              \
	{                                                                \
#field " " #value, offsetof(struct sample, field), value \
	}

Test(http_patch, what_is_out_of_order_is_refused)
{
	static const struct {
		const char *what;
		size_t at;
		__u32 value;
	} rows[] = {
		WRONG(clusters[0].row, 1000000),
		WRONG(clusters[1].row, 0),
		WRONG(clusters[0].endpoints.first, 2),
		WRONG(clusters[1].endpoints.count, 2),
		WRONG(clusters[1].endpoints.first, 0xffffffff),
		WRONG(clusters[0].endpoints_v4, 3),
		WRONG(endpoints[1].ingress, 1000000),
		WRONG(sources[0].row.labels.count, 1000000),
		WRONG(sources[0].row.labels.first, 1000000),
		WRONG(sources[1].row.egress, 1000000),
		WRONG(sources[1].gone, 2),
		WRONG(sources[0].row.addr.b[12], 78),
		WRONG(sources[1].row.addr.b[12], 1),
	};
	struct http_snapshot *out = NULL;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct sample s = sample();

		memcpy((char *)&s + rows[i].at, &rows[i].value, sizeof(rows[i].value));
		cr_expect_eq(patched(t.snapshot, &s, &out), -EBADMSG, "%s", rows[i].what);
	}
	cr_expect_null(out);
}

Test(http_patch, a_cluster_that_does_not_exist_has_no_endpoints)
{
	struct sample s = sample();
	struct http_snapshot *out;
	__u32 unknown = 0;

	while (unknown < hs_count(t.snapshot, HS_CLUSTERS) &&
	       hs_cluster(t.snapshot, unknown)->known)
		unknown++;
	cr_assert_lt(unknown, hs_count(t.snapshot, HS_CLUSTERS));
	s.clusters[unknown > first].row = unknown;
	cr_expect_eq(patched(t.snapshot, &s, &out), -EBADMSG);
}

/* Every byte is read that a patch says it has. */
static void use(const struct http_snapshot *s)
{
	_cleanup_free_ void *bytes = NULL;
	struct http_snapshot *again;
	size_t size;

	cr_assert_eq(http_snapshot_pack(s, &bytes, &size), 0);
	cr_assert_eq(http_snapshot_open(bytes, size, &again), 0, "it is in order, packed");
	http_snapshot_close(again);
}

Test(http_patch, damage_is_found_or_does_no_harm)
{
	const struct sample s = sample();
	const struct http_patch_rows rows = { .clusters = s.clusters,
					      .endpoints = s.endpoints,
					      .sources = s.sources,
					      .cluster_count = 2,
					      .endpoint_count = 3,
					      .source_count = 2 };
	_cleanup_free_ void *bytes = NULL, *copy = NULL;
	struct http_snapshot *out;
	unsigned random = 1;
	size_t size;

	cr_assert_eq(http_patch_pack(&rows, &bytes, &size), 0);
	copy = malloc(size);
	for (size_t part = 0; part < size; part++)
		cr_expect_eq(http_snapshot_patched(t.snapshot, bytes, part, &out), -EBADMSG);
	for (int i = 0; i < 3000; i++) {
		memcpy(copy, bytes, size);
		for (int k = 0; k <= i % 3; k++) {
			random = random * 1103515245 + 12345;
			((char *)copy)[(random >> 8) % size] ^= 1 << (random >> 4 & 7);
		}
		if (http_snapshot_patched(t.snapshot, copy, size, &out))
			continue;
		if (i % 10 == 0)
			use(out);
		http_snapshot_close(out);
	}
}
