// SPDX-License-Identifier: Apache-2.0
/*
 * Which endpoints are left alone, and for how long: with a clock of the test's own.
 */
#include <criterion/criterion.h>
#include <pthread.h>

#include "lib/base/http_stat_fields.h"
#include "proxy/route/outlier.h"

enum { COUNT = 4, START = 1000000, INTERVAL = 10000, BASE = 30000, MOST = 100000 };

static struct hs_outliers rules;
static struct http_cluster_stat stat;
static struct cluster_state cluster = { .stat = &stat };
static struct outlier_state states[COUNT], *rows[COUNT];
static struct outliers o = { &rules, &cluster, rows, COUNT };

static void setup(void)
{
	rules = (struct hs_outliers){ .given = 1,
				      .consecutive_5xx = 3,
				      .interval_ms = INTERVAL,
				      .base_ejection_ms = BASE,
				      .max_ejection_ms = MOST,
				      .max_ejection_percent = 100 };
	pthread_mutex_init(&cluster.lock, NULL);
	cluster.started = START;
	for (int i = 0; i < COUNT; i++)
		rows[i] = &states[i];
}

TestSuite(proxy_outlier, .init = setup);

static void answers(uint32_t endpoint, unsigned status, unsigned times, uint64_t now)
{
	while (times--)
		outlier_result(&o, endpoint, OUTCOME_STATUS, status, now);
}

static void fails(uint32_t endpoint, enum outcome how, unsigned times, uint64_t now)
{
	while (times--)
		outlier_result(&o, endpoint, how, 0, now);
}

static void want_out(uint32_t endpoint, uint64_t from, uint64_t until)
{
	cr_expect(outlier_ejected(&o, endpoint, from), "in at %lu", from - START);
	cr_expect(outlier_ejected(&o, endpoint, until - 1), "in before %lu", until - START);
	cr_expect_not(outlier_ejected(&o, endpoint, until), "out at %lu", until - START);
}

Test(proxy_outlier, out_at_once_when_the_count_is_reached)
{
	answers(0, 500, 2, START);
	cr_expect_not(outlier_ejected(&o, 0, START));
	answers(0, 599, 1, START);
	cr_expect(outlier_ejected(&o, 0, START));
	cr_expect_not(outlier_ejected(&o, 1, START));
}

Test(proxy_outlier, any_good_answer_resets_the_count)
{
	static const unsigned good[] = { 200, 304, 404, 499 };

	for (int i = 0; i < 4; i++) {
		answers(0, 500, 2, START);
		answers(0, good[i], 1, START);
	}
	cr_expect_not(outlier_ejected(&o, 0, START));
}

Test(proxy_outlier, back_at_the_first_tick_after_its_time)
{
	answers(0, 500, 3, START + 1);
	want_out(0, START + 1, START + BASE + INTERVAL);
	answers(1, 500, 3, START + INTERVAL);
	want_out(1, START + INTERVAL, START + INTERVAL + BASE);
}

Test(proxy_outlier, longer_each_time_up_to_the_most)
{
	static const unsigned longs[] = { 30000, 60000, 90000, 100000, 100000, 100000 };
	uint64_t now = START;

	for (int i = 0; i < 6; i++) {
		answers(0, 500, 3, now);
		want_out(0, now, now + longs[i]);
		now += longs[i];
	}
}

Test(proxy_outlier, each_tick_that_finds_it_in_forgives_one_time)
{
	uint64_t now = START;

	for (int i = 1; i <= 3; i++) {
		answers(0, 500, 3, now);
		now += i * BASE;
		cr_expect_not(outlier_ejected(&o, 0, now));
	}
	/* The tick that takes it back is not one of them. */
	now += 2 * INTERVAL;
	answers(0, 500, 3, now);
	want_out(0, now, now + 2 * BASE);
	now += 2 * BASE + 100 * INTERVAL;
	answers(0, 500, 3, now);
	want_out(0, now, now + BASE);
}

/* Also if no request came while it was out. */
Test(proxy_outlier, one_that_failed_while_it_came_back_goes_again)
{
	uint64_t now = START + BASE;

	answers(0, 500, 3, START);
	answers(0, 500, 3, now);
	cr_expect_eq(stat.ejections_enforced_total, 2u);
	want_out(0, now, now + 2 * BASE);
}

Test(proxy_outlier, what_comes_late_changes_nothing)
{
	answers(0, 500, 3, START);
	answers(0, 500, 9, START + 5000);
	answers(0, 200, 1, START + 6000);
	cr_expect_eq(stat.ejections_enforced_total, 1u);
	want_out(0, START, START + BASE);
	answers(0, 500, 2, START + BASE);
	cr_expect_not(outlier_ejected(&o, 0, START + BASE), "it begins anew");
}

Test(proxy_outlier, no_more_than_the_share_are_out)
{
	rules.max_ejection_percent = 50;
	for (uint32_t i = 0; i < COUNT; i++)
		answers(i, 500, 3, START);
	cr_expect(outlier_ejected(&o, 0, START));
	cr_expect(outlier_ejected(&o, 1, START));
	cr_expect_not(outlier_ejected(&o, 2, START));
	cr_expect_not(outlier_ejected(&o, 3, START));
	cr_expect_eq(stat.ejections_overflow, 2u);
	cr_expect_eq(gauge_sum(stat.ejections_active), 2u);
	cr_expect_eq(stat.ejections_enforced_consecutive_5xx, 2u);
	/* When there is room again the count is reached anew, not by the next one. */
	answers(2, 500, 2, START + BASE);
	cr_expect_not(outlier_ejected(&o, 2, START + BASE));
	answers(2, 500, 1, START + BASE);
	cr_expect(outlier_ejected(&o, 2, START + BASE));
}

Test(proxy_outlier, with_few_endpoints_nothing_happens_unless_the_share_allows_it)
{
	rules.max_ejection_percent = 10;
	answers(0, 500, 30, START);
	cr_expect_not(outlier_ejected(&o, 0, START));
	rules.max_ejection_percent = 24;
	answers(0, 500, 30, START);
	cr_expect_not(outlier_ejected(&o, 0, START));
	rules.max_ejection_percent = 25;
	answers(0, 500, 30, START);
	cr_expect(outlier_ejected(&o, 0, START));
	rules.max_ejection_percent = 0;
	answers(1, 500, 30, START);
	cr_expect_not(outlier_ejected(&o, 1, START));
}

Test(proxy_outlier, gateway_errors_alone)
{
	rules.consecutive_5xx = 0;
	rules.consecutive_gateway = 2;
	answers(0, 500, 9, START);
	answers(0, 503, 1, START);
	answers(0, 500, 1, START);
	answers(0, 505, 1, START);
	answers(0, 504, 1, START);
	cr_expect_not(outlier_ejected(&o, 0, START));
	answers(0, 502, 1, START);
	cr_expect(outlier_ejected(&o, 0, START));
}

Test(proxy_outlier, switched_off)
{
	rules.consecutive_5xx = 0;
	answers(0, 500, 99, START);
	fails(0, OUTCOME_CONNECT, 99, START);
	cr_expect_not(outlier_ejected(&o, 0, START));
	rules.consecutive_5xx = 3;
	answers(0, 500, 3, START);
	rules.given = 0;
	cr_expect_not(outlier_ejected(&o, 0, START), "the rule is gone");
}

Test(proxy_outlier, failures_count_as_what_the_client_gets)
{
	rules.consecutive_5xx = 0;
	rules.consecutive_gateway = 4;
	fails(0, OUTCOME_CONNECT, 1, START);
	fails(0, OUTCOME_TIMEOUT, 1, START);
	fails(0, OUTCOME_RESET, 1, START);
	cr_expect_not(outlier_ejected(&o, 0, START));
	answers(0, 503, 1, START);
	cr_expect(outlier_ejected(&o, 0, START));
}

Test(proxy_outlier, failures_told_apart)
{
	rules.split_local_origin = 1;
	rules.consecutive_local_origin = 2;
	answers(0, 500, 2, START);
	fails(0, OUTCOME_CONNECT, 1, START);
	cr_expect_not(outlier_ejected(&o, 0, START), "each has its own count");
	answers(0, 500, 1, START);
	cr_expect(outlier_ejected(&o, 0, START));
	fails(1, OUTCOME_TIMEOUT, 1, START);
	answers(1, 500, 1, START);
	fails(1, OUTCOME_RESET, 1, START);
	cr_expect_not(outlier_ejected(&o, 1, START), "it could be reached");
	fails(1, OUTCOME_CONNECT, 1, START);
	cr_expect(outlier_ejected(&o, 1, START));
	rules.consecutive_local_origin = 0;
	fails(2, OUTCOME_CONNECT, 99, START);
	cr_expect_not(outlier_ejected(&o, 2, START));
}

Test(proxy_outlier, who_gave_up_for_other_reasons_says_nothing)
{
	fails(0, OUTCOME_ABANDONED, 99, START);
	cr_expect_not(outlier_ejected(&o, 0, START));
}

/* It began well and broke off: one failure after a good answer, however often. */
Test(proxy_outlier, half_an_answer)
{
	for (int i = 0; i < 9; i++)
		outlier_result(&o, 0, OUTCOME_RESET, 200, START);
	cr_expect_not(outlier_ejected(&o, 0, START));
	answers(1, 500, 2, START);
	outlier_result(&o, 1, OUTCOME_ABANDONED, 200, START);
	answers(1, 500, 2, START);
	cr_expect_not(outlier_ejected(&o, 1, START), "the client has gone after a good answer");
}

static void *eject_one(void *arg)
{
	answers(*(uint32_t *)arg, 500, 3, START);
	return NULL;
}

Test(proxy_outlier, workers_that_eject_at_the_same_time)
{
	uint32_t numbers[COUNT];
	pthread_t threads[COUNT];
	int out = 0;

	rules.max_ejection_percent = 50;
	for (uint32_t i = 0; i < COUNT; i++) {
		numbers[i] = i;
		cr_assert_eq(pthread_create(&threads[i], NULL, eject_one, &numbers[i]), 0);
	}
	for (int i = 0; i < COUNT; i++)
		pthread_join(threads[i], NULL);
	for (uint32_t i = 0; i < COUNT; i++)
		out += outlier_ejected(&o, i, START);
	cr_expect_eq(out, 2);
}

static const struct http_ejection *told(uint32_t endpoint)
{
	for (size_t i = 0; i < HTTP_EJECTED_MAX; i++)
		if (stat.ejected[i].back_ds && stat.ejected[i].endpoint == endpoint)
			return &stat.ejected[i];
	return NULL;
}

Test(proxy_outlier, others_are_told_who_is_out_and_until_when)
{
	for (uint32_t i = 0; i < COUNT; i++)
		states[i].endpoint = i + 7;
	answers(0, 500, 3, START);
	answers(1, 500, 3, START + 5000);
	cr_assert_not_null(told(7));
	cr_assert_not_null(told(8));
	cr_expect_null(told(9));
	cr_expect_eq(told(7)->back_ds, (START + BASE) / 100);
	cr_expect_eq(told(8)->back_ds, (START + BASE + INTERVAL) / 100);
	cr_expect_not(outlier_ejected(&o, 0, START + BASE));
	cr_expect_null(told(7), "it is back");
	cr_expect_not_null(told(8));
}

/* As another process that drains, with an outlier_state of its own. */
Test(proxy_outlier, of_two_proxies_each_tells_of_what_it_keeps_out)
{
	struct http_ejection *told = stat.ejected;

	answers(0, 500, 3, START);
	stats_slot = 1;
	for (int i = 0; i < HTTP_EJECTED_MAX; i++)
		told[i].proxy = told[i].back_ds ? told[i].proxy : 0;
	answers(1, 500, 3, START);
	cr_expect_eq(stat.ejections_active[0], 1u);
	cr_expect_eq(stat.ejections_active[1], 1u);
	cr_expect(told[0].back_ds && told[1].back_ds);
	cr_expect_eq(told[0].proxy, 0u);
	cr_expect_eq(told[1].proxy, 1u);
	stats_slot = 0;
}
