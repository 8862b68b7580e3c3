// SPDX-License-Identifier: Apache-2.0
/*
 * Plans that last longer than the rules that they were made by.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "test_proxy_rules_env.h"

enum { MANY = 200, TEXT_ROOM = 4096 };

#define OUTLIERS                                                                              \
	POLICY "  trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1, interval: 1h, " \
	       "baseEjectionTime: 1h, maxEjectionPercent: 100}}\n"

/* How many snapshots are mapped. */
static size_t count_snapshots(void)
{
	_cleanup_free_ char *line = NULL;
	size_t room = 0, n = 0;
	FILE *f = fopen("/proc/self/maps", "r");

	cr_assert_not_null(f);
	while (getline(&line, &room, f) >= 0)
		n += strstr(line, "memfd:snapshot") != NULL;
	fclose(f);
	return n;
}

/* Rules that are others than those of the last `n`. */
static void load_another(int n)
{
	char yaml[TEXT_ROOM];

	snprintf(yaml, sizeof(yaml),
		 CLUSTER OUTLIERS RULE
		 "  - timeout: %ds\n    route: [{destination: {host: svc}}]\n",
		 n + 1);
	rules_load(yaml);
}

static void begin(struct asked *a)
{
	asked_plan(a, 1, "/", "");
	cr_assert_eq(a->plan.action, PLAN_FORWARD);
	cr_assert_neq(asked_pick(a, 0), 0u);
}

static void settle(struct asked *a)
{
	asked_router(a)->settle(asked_router(a), &a->plan);
}

/* As many connections as there were rules: each lasts, and none keeps its rules. */
Test(proxy_rules, what_lasts_keeps_no_rules)
{
	struct asked *all = calloc(MANY, sizeof(*all));
	const unsigned version = asked_router(all)->version;

	for (int i = 0; i < MANY; i++) {
		load_another(i);
		for (int k = 0; k < i; k++)
			settle(&all[k]);
		begin(&all[i]);
		cr_assert_leq(count_snapshots(), 1u, "%d", i);
	}
	cr_expect_eq(asked_router(all)->version, version + MANY);
	for (int i = 0; i < MANY; i++) {
		/* What is counted and logged of them is there, all the same. */
		cr_expect_str_eq(all[i].plan.cluster->name,
				 "outbound|80||svc.default.svc.cluster.local");
		cr_expect_str_eq(all[i].plan.route->name, "default/svc/http[0]");
		asked_done(&all[i], OUTCOME_ABANDONED, 0);
		asked_release(&all[i]);
	}
	free(all);
}

/* Without being settled they would: the test above can fail. */
Test(proxy_rules, a_request_keeps_its_rules)
{
	struct asked a = { .worker = 0 };

	load_another(0);
	begin(&a);
	load_another(1);
	cr_expect_eq(count_snapshots(), 2u);
	asked_done(&a, OUTCOME_ABANDONED, 0);
	asked_release(&a);
	cr_expect_eq(count_snapshots(), 1u);
}

Test(proxy_rules, a_plan_of_the_rules_in_force_is_not_settled)
{
	struct asked a = { .worker = 0 };

	load_another(0);
	begin(&a);
	settle(&a);
	cr_expect_not_null(a.plan.authority.p);
	asked_done(&a, OUTCOME_ABANDONED, 0);
	asked_release(&a);
}

/* Of what no cluster was chosen for, the rules of then have the host. */
Test(proxy_rules, a_settled_plan_tells_the_host_that_was_called)
{
	static const char host[] = "svc.default.svc.cluster.local";
	struct asked a = { .worker = 0 };

	rules_load(CLUSTER RULE
		   "  - match: [{uri: {exact: /only}}]\n    route: [{destination: {host: svc}}]\n");
	asked_plan(&a, 1, "/", "");
	cr_assert_eq(a.plan.action, PLAN_ANSWER);
	load_another(0);
	settle(&a);
	cr_expect_eq(count_snapshots(), 1u);
	cr_expect_eq(a.plan.traffic.cluster, 0u);
	cr_assert_eq(a.plan.traffic.host.n, strlen(host));
	cr_expect_eq(memcmp(a.plan.traffic.host.p, host, strlen(host)), 0);
	asked_release(&a);
}

/* Its end says something of the endpoint, by the rules of then. */
Test(proxy_rules, a_settled_request_ejects_its_endpoint)
{
	struct asked a = { .worker = 0 };
	unsigned bad;

	load_another(0);
	begin(&a);
	bad = a.target.addr.b[15];
	load_another(1);
	settle(&a);
	asked_done(&a, OUTCOME_STATUS, 503);
	asked_release(&a);
	for (int i = 0; i < 50; i++)
		cr_expect_neq(ask(200), bad);
}

/* The endpoint, its cluster and outlier detection are gone by then. */
Test(proxy_rules, a_settled_request_outlives_its_endpoint)
{
	struct asked a = { .worker = 0 }, b = { .worker = 1 };
	size_t endpoints, outliers;

	load_another(0);
	begin(&a);
	begin(&b);
	rules_load("---\n");
	settle(&a);
	settle(&b);
	cr_expect_eq(count_snapshots(), 1u);
	shared_state_count(rules_state, &endpoints, &outliers);
	cr_expect(endpoints == 1 || endpoints == 2, "%zu", endpoints);
	asked_done(&a, OUTCOME_RESET, 0);
	asked_release(&a);
	asked_done(&b, OUTCOME_STATUS, 503);
	asked_release(&b);
	shared_state_count(rules_state, &endpoints, &outliers);
	cr_expect_eq(endpoints, 0u);
}
