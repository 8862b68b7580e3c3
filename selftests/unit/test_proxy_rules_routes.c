// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy's router: what DestinationRule and VirtualService say arrives in the plan of a request
 * and in its target, and what has a share has it exactly.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_proxy_rules_env.h"

/* ---- limits ---- */

/* A member of struct target, and what it must be. */
struct value {
	const char *name;
	size_t at, size;
	uint64_t want;
};

#define VALUE(member, want)                                                                     \
	{                                                                                       \
#member, offsetof(struct target, member), sizeof(((struct target *)0)->member), \
			want                                                                    \
	}

static const struct {
	const char *policy; /* trafficPolicy */
	struct value values[10];
} policies[] = {
	{ "{connectionPool: {tcp: {maxConnections: 5, connectTimeout: 7s, maxConnectionDuration: "
	  "8s, idleTimeout: 9s}, http: {http1MaxPendingRequests: 1, http2MaxRequests: 2, "
	  "maxRetries: 3, maxRequestsPerConnection: 4}}}",
	  { VALUE(max.connections, 5), VALUE(max.pending, 1), VALUE(max.requests, 2),
	    VALUE(max.retries, 3), VALUE(max_requests_per_connection, 4),
	    VALUE(connect_timeout_ms, 7000), VALUE(max_duration_ms, 8000),
	    /* tcp's, where http says nothing. */
	    VALUE(idle_timeout_ms, 9000) } },
	{ "{connectionPool: {tcp: {tcpKeepalive: {probes: 5, time: 7s, interval: 2s}}}}",
	  { VALUE(keepalive.given, true), VALUE(keepalive.probes, 5), VALUE(keepalive.time_s, 7),
	    VALUE(keepalive.interval_s, 2) } },
	{ "{retryBudget: {percent: 12.5, minRetryConcurrency: 7}}",
	  { VALUE(max.retry_budget, true), VALUE(max.retry_share, 125000),
	    VALUE(max.retry_least, 7) } },
	{ "{retryBudget: {}, loadBalancer: {simple: RANDOM}}",
	  { VALUE(max.retry_budget, true), VALUE(max.retry_share, 200000),
	    VALUE(max.retry_least, 3) } },
};

static void check_value(const struct target *t, const struct value *v, const char *policy)
{
	uint64_t is = 0;

	/* The low bytes come first. */
	memcpy(&is, (const char *)t + v->at, v->size);
	cr_expect_eq(is, v->want, "%s: %s is %llu", policy, v->name, (unsigned long long)is);
}

Test(proxy_rules, policies_arrive)
{
	for (size_t i = 0; i < sizeof(policies) / sizeof(*policies); i++) {
		struct asked a = { 0 };
		char yaml[4096];

		snprintf(yaml, sizeof(yaml), CLUSTER POLICY "  trafficPolicy: %s\n",
			 policies[i].policy);
		rules_load(yaml);
		asked_plan(&a, 1, "/", "");
		asked_pick(&a, 0);
		for (const struct value *v = policies[i].values; v->name; v++)
			check_value(&a.target, v, policies[i].policy);
		asked_done(&a, OUTCOME_STATUS, 200);
		asked_release(&a);
	}
}

Test(proxy_rules, limits_are_one_for_all_workers)
{
	struct asked a = { 0 }, b = { .worker = 1 };

	rules_load(CLUSTER POLICY
		   "  trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}}\n");
	asked_plan(&a, 1, "/", "");
	asked_plan(&b, 1, "/", "");
	asked_pick(&a, 0);
	asked_pick(&b, 0);
	cr_expect_eq(a.target.limit, b.target.limit);
	cr_assert_lt(a.target.limit->connections - rules_limits, (long)CLUSTER_IDS_MAX);
	asked_done(&a, OUTCOME_STATUS, 200);
	asked_done(&b, OUTCOME_STATUS, 200);
	asked_release(&a);
	asked_release(&b);
}

/* ---- what routes say ---- */

static unsigned mirrored(unsigned *copies, size_t most)
{
	struct asked a = { 0 };
	struct target t;
	unsigned n = 0;

	asked_plan(&a, 1, "/", "");
	cr_expect(!a.plan.mirror_count || h1_is(a.plan.mirror_authority, "svc.default-shadow"));
	cr_assert_leq(a.plan.mirror_count, most);
	for (size_t i = 0; i < a.plan.mirror_count; i++)
		if (asked_router(&a)->pick_mirror(asked_router(&a), &a.plan, i, &t) == PICK_OK) {
			copies[i]++;
			n++;
		}
	asked_release(&a);
	return n;
}

#define MIRROR(percent) \
	"    - {destination: {host: svc, subset: v2}, percentage: {value: " percent "}}\n"

Test(proxy_rules, mirrors_have_their_exact_share)
{
	static const unsigned want[] = { 500, 0, 1000, 100, 1, 333, 990, 50, 250, 750 };
	unsigned copies[10] = { 0 };

	rules_load(CLUSTER POLICY RULE ROUTE "    mirrors:\n" MIRROR("50") MIRROR("0.1")
			   MIRROR("100") MIRROR("10") MIRROR("0.1") MIRROR("33.3") MIRROR("99")
				   MIRROR("5") MIRROR("25") MIRROR("75"));
	for (int i = 0; i < 1000; i++)
		mirrored(copies, 10);
	for (int i = 0; i < 10; i++)
		cr_expect_leq(abs((int)copies[i] - (int)want[i]), 2, "mirror %d: %u of 1000", i,
			      copies[i]);
}

Test(proxy_rules, old_mirror_percent_and_none)
{
	unsigned copies[1] = { 0 };

	rules_load(CLUSTER POLICY RULE ROUTE
		   "    mirror: {host: svc, subset: v2}\n    mirror_percent: 0\n");
	for (int i = 0; i < 100; i++)
		mirrored(copies, 1);
	cr_expect_eq(copies[0], 0u);
	rules_load(CLUSTER POLICY RULE ROUTE "    mirror: {host: svc, subset: v2}\n");
	for (int i = 0; i < 100; i++)
		mirrored(copies, 1);
	cr_expect_eq(copies[0], 100u);
}

Test(proxy_rules, faults_have_their_exact_share)
{
	unsigned delayed = 0, aborted = 0, both = 0;

	rules_load(
		CLUSTER POLICY RULE ROUTE
		"    fault: {delay: {fixedDelay: 7s, percentage: {value: 30}}, abort: {httpStatus: "
		"418, percentage: {value: 20}}}\n    timeout: 3s\n");
	for (int i = 0; i < 1000; i++) {
		struct asked a = { .worker = i % WORKERS };

		asked_plan(&a, 1, "/", "");
		delayed += a.plan.delay_ms == 7000;
		aborted += a.plan.action == PLAN_ANSWER;
		both += a.plan.delay_ms && a.plan.action == PLAN_ANSWER;
		if (a.plan.action == PLAN_ANSWER) {
			cr_expect_eq(a.plan.answer.status, 418u);
			cr_expect_str_eq(a.plan.answer.flags, "FI");
			cr_expect(h1_is(a.plan.answer.body, "fault filter abort"));
		} else {
			cr_expect_eq(a.plan.timeout_ms, 3000u);
		}
		asked_release(&a);
	}
	cr_expect_leq(abs((int)delayed - 300), 2, "%u delayed", delayed);
	cr_expect_leq(abs((int)aborted - 200), 2, "%u aborted", aborted);
	cr_expect_leq(abs((int)both - 60), 15, "%u both: they are independent", both);
}

Test(proxy_rules, an_abort_with_a_grpc_status)
{
	struct asked a = { 0 };

	rules_load(CLUSTER POLICY RULE ROUTE
		   "    fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}}\n");
	asked_plan(&a, 1, "/", "");
	cr_expect_eq(a.plan.answer.status, 200u);
	cr_assert_eq(a.plan.answer.header_count, 3u);
	cr_expect(h1_is(a.plan.answer.headers[0].value, "application/grpc"));
	cr_expect(h1_is(a.plan.answer.headers[1].name, "grpc-status"));
	cr_expect(h1_is(a.plan.answer.headers[1].value, "14"));
	cr_expect(h1_is(a.plan.answer.headers[2].value, "fault filter abort"));
	asked_release(&a);
}

Test(proxy_rules, retries_are_carried_out_as_given)
{
	struct asked a = { 0 };

	rules_load(CLUSTER POLICY RULE ROUTE "    retries: {attempts: 5, perTryTimeout: 2s, "
					     "retryOn: \"retriable-4xx,unavailable,"
					     "envoy-ratelimited,418\"}\n");
	asked_plan(&a, 1, "/", "");
	cr_expect_eq(a.plan.retries, 5u);
	cr_expect_eq(a.plan.per_try_timeout_ms, 2000u);
	cr_expect_eq(a.plan.retry_on,
		     PLAN_RETRY_4XX | PLAN_RETRY_UNAVAILABLE | PLAN_RETRY_RATELIMITED);
	cr_assert_eq(a.plan.retry_status_count, 1u);
	cr_expect_eq(a.plan.retry_statuses[0], 418u);
	cr_expect(a.plan.count_tries);
	asked_release(&a);
	rules_load(CLUSTER);
	asked_plan(&a, 1, "/", "");
	cr_expect_eq(a.plan.retries, 2u);
	cr_expect_eq(a.plan.retry_on,
		     PLAN_RETRY_CONNECT_FAILURE | PLAN_RETRY_UNAVAILABLE | PLAN_RETRY_CANCELLED);
	cr_expect_eq(a.plan.backoff_ms, 25u);
	cr_expect_eq(a.plan.timeout_ms, 0u);
	asked_release(&a);
}

/* More than there is room for at first; requests that come later begin with none. */
Test(proxy_rules, any_number_of_header_operations)
{
	char *yaml = NULL;
	size_t len;
	FILE *f = open_memstream(&yaml, &len);
	struct asked a = { 0 };

	fputs(CLUSTER POLICY RULE
	      "  - match: [{headers: {plain: {}}}]\n    route: [{destination: {host: svc}}]\n" ROUTE
	      "    headers:\n      request:\n        add:\n",
	      f);
	for (int i = 0; i < 200; i++)
		fprintf(f, "          x-%d: a%d\n", i, i);
	fputs("      response:\n        set: {x-r: b}\n", f);
	fclose(f);
	rules_load(yaml);
	free(yaml);
	asked_plan(&a, 1, "/", "");
	cr_assert_eq(a.plan.request.count, 200u);
	cr_assert_eq(a.plan.response.count, 1u);
	cr_expect(h1_is(a.plan.request.items[199].value, "a199"));
	cr_expect(h1_is(a.plan.response.items[0].name, "x-r"));
	asked_release(&a);
	asked_plan(&a, 1, "/", "plain: x\r\n");
	cr_expect_eq(a.plan.request.count, 0u);
	asked_release(&a);
}

Test(proxy_rules, a_rewrite_to_what_is_no_path_is_not_sent_on)
{
	struct asked a = { 0 };

	rules_load(CLUSTER POLICY RULE
		   "  - match: [{uri: {prefix: /a}}]\n"
		   "    rewrite: {uriRegexRewrite: {match: \"^/a/(.*)$\", rewrite: "
		   "\"\\\\1\"}}\n"
		   "    route: [{destination: {host: svc}}]\n");
	asked_plan(&a, 1, "/a/b", "");
	cr_expect_eq(a.plan.action, PLAN_ANSWER);
	cr_expect_eq(a.plan.answer.status, 500u);
	asked_release(&a);
}

Test(proxy_rules, a_subset_that_is_not_defined)
{
	struct asked a = { 0 };

	rules_load(CLUSTER RULE ROUTE);
	asked_plan(&a, 1, "/", "");
	cr_expect_eq(a.plan.action, PLAN_ANSWER);
	cr_expect_eq(a.plan.answer.status, 503u);
	cr_expect_str_eq(a.plan.answer.flags, "NC");
	asked_release(&a);
}

Test(proxy_rules, a_subset_without_endpoints)
{
	rules_load(SERVICE POD(3, "v2") POLICY RULE ROUTE);
	cr_expect_eq(ask(200), 0u);
}

Test(proxy_rules, an_unknown_host_goes_to_the_address_that_was_called)
{
	struct asked a = { 0 };
	struct route_ask ask = { .request = &a.q,
				 .client = ipv4(10, 1, 0, 1),
				 .called = ipv4(203, 0, 113, 9),
				 .called_port = 8080 };
	static const char text[] = "GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n";

	rules_load(CLUSTER);
	cr_assert_gt(h1_parse_request(text, sizeof(text) - 1, 0, &a.q), 0);
	asked_router(&a)->plan(asked_router(&a), &ask, &rules_buffers, &a.plan);
	cr_expect_eq(a.plan.action, PLAN_FORWARD);
	cr_expect_eq(asked_pick(&a, 0), 9u);
	cr_expect_eq(a.target.port, 8080u);
	asked_done(&a, OUTCOME_STATUS, 200);
	asked_release(&a);
}
