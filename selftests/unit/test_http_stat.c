// SPDX-License-Identifier: Apache-2.0
/*
 * Histograms, and the names under which counters are shown.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/histogram.h"
#include "lib/base/http_stat_fields.h"

Test(http_stat, every_value_is_in_the_bucket_that_begins_before_it)
{
	for (__u64 v = 0; v < 200000; v++) {
		unsigned i = histogram_bucket(v);

		cr_assert_leq(histogram_start(i), v, "%llu in %u", v, i);
		if (i < HISTOGRAM_BUCKETS - 1)
			cr_assert_gt(histogram_start(i + 1), v, "%llu in %u", v, i);
	}
	cr_expect_eq(histogram_bucket(7), 7u);
	cr_expect_eq(histogram_bucket(114687), HISTOGRAM_BUCKETS - 2u);
	cr_expect_eq(histogram_bucket(114688), HISTOGRAM_BUCKETS - 1u);
	cr_expect_eq(histogram_bucket(~0ull), HISTOGRAM_BUCKETS - 1u);
}

Test(http_stat, quantiles_are_within_a_bucket_of_the_truth)
{
	struct histogram h = { 0 };

	for (__u64 v = 0; v < 1000; v++)
		h.buckets[histogram_bucket(v)]++;
	cr_expect_eq(histogram_count(&h), 1000u);
	for (double share = 0.01; share < 1; share += 0.01) {
		double q = histogram_quantile(&h, share);

		cr_expect(q > 1000 * share * 0.8 - 1 && q < 1000 * share * 1.25 + 1, "%g: %g",
			  share, q);
	}
	cr_expect_eq(histogram_quantile(&h, 0), 0.0);
	cr_expect_eq(histogram_quantile(&h, 1), 1024.0);
}

Test(http_stat, a_histogram_is_shown_as_envoy_shows_it)
{
	struct histogram h = { 0 };
	char text[512];

	histogram_text(&h, text, sizeof(text));
	cr_expect_str_eq(text, "No recorded values");
	h.buckets[histogram_bucket(5)] = 4;
	histogram_text(&h, text, sizeof(text));
	cr_expect_str_eq(text, "P0(nan,5) P25(nan,5.25) P50(nan,5.5) P75(nan,5.75) P90(nan,5.9) "
			       "P95(nan,5.95) P99(nan,5.99) P99.5(nan,5.995) P99.9(nan,5.999) "
			       "P100(nan,6)");
}

/* Each number of the row between name and histogram is shown exactly once. */
static void want_all(const struct stat_field *fields, size_t from, size_t to)
{
	for (const struct stat_field *f = fields; f->name; f++) {
		cr_expect_eq(f->at, from, "%s", f->name);
		from += f->gauge ? HTTP_PROXIES * sizeof(__u32) : sizeof(__u64);
		cr_expect(strstr(f->name, "active") ? f->gauge : !f->gauge, "%s", f->name);
	}
	cr_expect_eq(from, to);
}

Test(http_stat, no_counter_is_left_out)
{
	want_all(http_cluster_fields, CLUSTER_NAME_MAX,
		 offsetof(struct http_cluster_stat, upstream_rq_time));
	want_all(http_route_fields, ROUTE_NAME_MAX,
		 offsetof(struct http_route_stat, upstream_rq_time));
	want_all(http_listener_fields, LISTENER_NAME_MAX, sizeof(struct http_listener_stat));
}
