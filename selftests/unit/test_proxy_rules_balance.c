// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy's router: which endpoint gets a request, whichever worker decides. With consistentHash:
 * test_proxy_rules_hash.c.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "test_proxy_rules_env.h"

/* ---- load balancing ---- */

Test(proxy_rules, round_robin_is_shared_by_workers)
{
	unsigned seen[PODS + 1] = { 0 };

	rules_load(CLUSTER POLICY "  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}\n");
	for (int i = 0; i < 40; i++)
		seen[ask_as(i % WORKERS, 1, "", 200)]++;
	for (int i = 1; i <= PODS; i++)
		cr_expect_eq(seen[i], 10u, "%u at %d", seen[i], i);
}

Test(proxy_rules, of_two_the_less_busy_one)
{
	struct asked busy[20] = { 0 };
	unsigned seen[3] = { 0 };

	rules_load(SERVICE POD(1, "v1") POD(2, "v1"));
	for (int i = 0; i < 20; i++) {
		busy[i].worker = i % WORKERS;
		asked_plan(&busy[i], 1, "/", "");
		seen[asked_pick(&busy[i], 0)]++;
	}
	/* Two draws may hit the same one, so they need not be equal. */
	cr_expect_geq(seen[1], 7u);
	cr_expect_geq(seen[2], 7u);
	for (int i = 0; i < 20; i++) {
		asked_done(&busy[i], OUTCOME_STATUS, 200);
		asked_release(&busy[i]);
	}
}

Test(proxy_rules, another_try_goes_to_those_that_have_not_been_tried)
{
	for (int round = 0; round < 50; round++) {
		struct asked a = { 0 };
		unsigned seen = 0;

		if (!round)
			rules_load(CLUSTER);
		asked_plan(&a, 1, "/", "");
		for (unsigned n = 0; n < PODS; n++) {
			seen |= 1u << asked_pick(&a, n);
			asked_done(&a, OUTCOME_CONNECT, 0);
		}
		cr_expect_eq(seen, 0x1eu, "%x", seen);
		cr_expect_neq(asked_pick(&a, PODS), 0u, "and then again");
		asked_done(&a, OUTCOME_CONNECT, 0);
		asked_release(&a);
	}
}

Test(proxy_rules, weights_are_exact_whichever_worker_decides)
{
	unsigned v1 = 0;

	rules_load(CLUSTER POLICY RULE
		   "  - route: [{destination: {host: svc, subset: v1}, weight: 80}, "
		   "{destination: {host: svc, subset: v2}, weight: 20}]\n");
	for (int i = 0; i < 1000; i++)
		v1 += ask_as(i * 7 / 3 % WORKERS, 1, "", 200) <= 2;
	cr_expect_leq(abs((int)v1 - 800), 2, "%u of 1000", v1);
}

Test(proxy_rules, another_try_may_go_to_the_same_one_if_the_rule_says_so)
{
	unsigned same = 0;

	rules_load(CLUSTER POLICY RULE
		   "  - route: [{destination: {host: svc}}]\n"
		   "    retries: {attempts: 1, retryIgnorePreviousHosts: false}\n");
	for (int i = 0; i < 200; i++) {
		struct asked a = { 0 };
		unsigned first;

		asked_plan(&a, 1, "/", "");
		first = asked_pick(&a, 0);
		asked_done(&a, OUTCOME_CONNECT, 0);
		same += asked_pick(&a, 1) == first;
		asked_done(&a, OUTCOME_CONNECT, 0);
		asked_release(&a);
	}
	cr_expect_gt(same, 10u);
}

/* ---- warming up ---- */

Test(proxy_rules, what_a_new_endpoint_gets)
{
	static const struct {
		uint32_t least, root;
		uint64_t age;
		double want;
	} rows[] = {
		{ 100000, 1000, 0, 0.1 },     { 100000, 1000, 5000, 0.1 },
		{ 100000, 1000, 30000, 0.3 }, { 100000, 1000, 99999, 0.99999 },
		{ 100000, 1000, 100000, 1 },  { 0, 1000, 0, 0.00001 },
		{ 0, 2000, 25000, 0.5 },      { 0, 2000, 1000, 0.1 },
		{ 1000000, 1000, 1, 1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct hs_cluster c = { .warmup_ms = 100000,
					.warmup_least = rows[i].least,
					.warmup_root = rows[i].root };

		cr_expect_float_eq(router_warmth(&c, rows[i].age), rows[i].want, 1e-9, "row %zu",
				   i);
	}
}

Test(proxy_rules, an_endpoint_is_new_if_no_worker_had_it)
{
	struct endpoint_state *e = shared_state_endpoint(rules_state, 77);

	shared_state_join(rules_state, e, 100);
	shared_state_join(rules_state, e, 101);
	cr_expect_eq(e->since, 100u);
	shared_state_leave(rules_state, e);
	shared_state_join(rules_state, e, 200);
	cr_expect_eq(e->since, 100u);
	shared_state_leave(rules_state, e);
	shared_state_leave(rules_state, e);
	shared_state_join(rules_state, e, 400);
	cr_expect_eq(e->since, 400u);
	shared_state_leave(rules_state, e);
	shared_state_let_go(rules_state, e);
}

#define WARMUP(warmup)                                                                            \
	SERVICE POD(1, "v1") POD(2, "v1") POD(3, "v2") POLICY "  trafficPolicy: {loadBalancer: {" \
							      "simple: ROUND_ROBIN, " warmup      \
							      "}}\n---\n"

static unsigned asked_fourth(unsigned of)
{
	unsigned n = 0;

	for (unsigned i = 0; i < of; i++)
		n += ask_as(i % WORKERS, 1, "", 200) == 4;
	return n;
}

Test(proxy_rules, a_new_endpoint_gets_less_at_first)
{
	uint64_t began;
	unsigned n;

	rules_load(WARMUP("warmup: {duration: 1.5s, minimumPercent: 1}"));
	usleep(1600 * 1000);
	rules_load(WARMUP("warmup: {duration: 1.5s, minimumPercent: 1}") POD(4, "v2"));
	began = router_now();
	n = asked_fourth(1000);
	if (router_now() - began < 500)
		cr_expect_lt(n, 150u, "%u of 1000", n);
	usleep(1600 * 1000);
	cr_expect_eq(asked_fourth(400), 100u, "in turn");
}

Test(proxy_rules, where_all_are_new_they_are_equal)
{
	unsigned n;

	rules_load(WARMUP("warmupDurationSecs: 300s") POD(4, "v2"));
	n = asked_fourth(2000);
	cr_expect(n > 400 && n < 600, "%u of 2000", n);
}

/* ---- outlier detection ---- */

#define OUTLIERS(more)                                                                  \
	CLUSTER POLICY "  trafficPolicy:\n    loadBalancer: {simple: ROUND_ROBIN}\n"    \
		       "    outlierDetection: {consecutive5xxErrors: 2, interval: 1s, " \
		       "baseEjectionTime: 3m" more "}\n"

/* Pods up to `bad` answer 500; which ones have been asked. */
static unsigned ask_many(unsigned bad)
{
	unsigned seen = 0;

	for (int i = 0; i < 16; i++) {
		struct asked a = { .worker = i % WORKERS };
		unsigned pod;

		asked_plan(&a, 1, "/", "");
		pod = asked_pick(&a, 0);
		seen |= 1u << pod;
		if (pod)
			asked_done(&a, OUTCOME_STATUS, pod <= bad ? 500 : 200);
		asked_release(&a);
	}
	return seen;
}

Test(proxy_rules, an_ejected_endpoint_is_left_alone_by_all_workers)
{
	rules_load(OUTLIERS(", maxEjectionPercent: 50"));
	ask_many(1);
	cr_expect_eq(ask_many(1), 0x1cu);
	ask_many(3);
	cr_expect_eq(ask_many(3), 0x18u, "no more than the half");
}

Test(proxy_rules, it_stays_out_with_the_next_rules)
{
	rules_load(OUTLIERS(", maxEjectionPercent: 100"));
	ask_many(1);
	rules_load(OUTLIERS(", maxEjectionPercent: 99"));
	cr_expect_eq(ask_many(0), 0x1cu);
	rules_load(CLUSTER POLICY "  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}\n");
	cr_expect_eq(ask_many(0), 0x1eu, "without detection none is out");
}

Test(proxy_rules, all_out)
{
	rules_load(OUTLIERS(", maxEjectionPercent: 100"));
	ask_many(4);
	cr_expect_eq(ask_many(4), 1u);
}

Test(proxy_rules, too_few_are_better_than_enough_that_are_ill)
{
	rules_load(OUTLIERS(", maxEjectionPercent: 100, minHealthPercent: 50"));
	ask_many(2);
	cr_expect_eq(ask_many(0), 0x18u, "half of them is enough");
	ask_many(3);
	cr_expect_eq(ask_many(0), 0x1eu, "one of four isn't: all are asked");
}

/* What a subset has found out says nothing to the whole service. */
Test(proxy_rules, each_cluster_has_its_own_opinion)
{
	static const char yaml[] = CLUSTER POLICY
		"  trafficPolicy:\n    loadBalancer: {simple: ROUND_ROBIN}\n"
		"    outlierDetection: {consecutive5xxErrors: 1, baseEjectionTime: 3m, "
		"maxEjectionPercent: 100}\n" RULE
		"  - match: [{headers: {all: {}}}]\n    route: [{destination: {host: svc}}]\n"
		"  - route: [{destination: {host: svc, subset: v1}}]\n";
	unsigned seen = 0;

	rules_load(yaml);
	ask(500);
	ask(500);
	cr_expect_eq(ask(200), 0u);
	for (int i = 0; i < 8; i++)
		seen |= 1u << ask_as(0, 1, "all: x\r\n", 200);
	cr_expect_eq(seen, 0x1eu);
	cr_expect_eq(ask(200), 0u, "still out");
}
