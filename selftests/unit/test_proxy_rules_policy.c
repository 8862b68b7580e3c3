// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy's router: endpoints that NetworkPolicies close to the client. What a policy says is
 * test_network_policy.c's.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "test_proxy_rules_env.h"

#define NETPOL(name, spec)                                                                   \
	"---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " name \
	"}\nspec: {" spec "}\n"
/* Clients are pods 1 and 2 of 10.1.0.0. */
#define CLIENT(n)                                                                         \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: c" #n ", labels: {app: c" #n    \
	"}}\nspec: {containers: [{name: c}]}\nstatus: {phase: Running, podIP: 10.1.0." #n \
	", podIPs: [{ip: 10.1.0." #n "}]}\n"
#define CLIENTS CLIENT(1) CLIENT(2)
#define DENY NETPOL("deny", "podSelector: {matchLabels: {app: svc}}")
#define ALLOW_1                                                                                    \
	NETPOL("allow", "podSelector: {matchLabels: {app: svc}}, ingress: [{from: [{podSelector: " \
			"{matchLabels: {app: c1}}}]}]")

/* Whether a request of 10.1.0.`client` finds its endpoint closed. */
static bool closed_to(unsigned client)
{
	struct asked a = { 0 };
	bool closed;

	asked_plan(&a, client, "/", "");
	cr_assert_eq(a.plan.action, PLAN_FORWARD);
	cr_assert_neq(asked_pick(&a, 0), 0u);
	closed = a.target.closed;
	asked_done(&a, OUTCOME_ABANDONED, 0);
	asked_release(&a);
	return closed;
}

Test(proxy_rules, an_endpoint_is_closed_by_its_policies)
{
	rules_load(CLUSTER CLIENTS);
	cr_expect_not(closed_to(1));
	rules_load(CLUSTER CLIENTS DENY);
	cr_expect(closed_to(1));
	cr_expect(closed_to(9), "from outside");
	rules_load(CLUSTER CLIENTS DENY ALLOW_1);
	cr_expect_not(closed_to(1));
	cr_expect(closed_to(2));
	cr_expect(closed_to(9));
	rules_load(CLUSTER CLIENTS);
	cr_expect_not(closed_to(2));
}

Test(proxy_rules, a_client_is_held_to_its_own_policies)
{
	rules_load(CLUSTER CLIENTS NETPOL("out", "podSelector: {matchLabels: {app: c1}}, "
						 "policyTypes: [Egress]"));
	cr_expect(closed_to(1));
	cr_expect_not(closed_to(2));
	rules_load(CLUSTER CLIENTS NETPOL("out", "podSelector: {matchLabels: {app: c1}}, "
						 "policyTypes: [Egress], egress: [{ports: [{port: "
						 "80}]}]"));
	cr_expect_not(closed_to(1));
}

Test(proxy_rules, a_request_is_held_to_the_policies_it_began_with)
{
	struct asked a = { 0 };

	rules_load(CLUSTER CLIENTS);
	asked_plan(&a, 1, "/", "");
	rules_load(CLUSTER CLIENTS DENY);
	cr_expect_neq(asked_pick(&a, 0), 0u);
	cr_expect_not(a.target.closed);
	asked_done(&a, OUTCOME_STATUS, 200);
	asked_release(&a);
	cr_expect(closed_to(1), "the next one is not");
}

#define OUTLIERS                                                                                  \
	"---\n" POLICY "  trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1, interval: " \
	"1h, baseEjectionTime: 1h, maxEjectionPercent: 100}}\n"

/* A client that may not, as often as it tries, has nothing put out for others. */
Test(proxy_rules, a_closed_endpoint_is_not_ejected)
{
	rules_load(CLUSTER CLIENTS OUTLIERS DENY ALLOW_1);
	for (int i = 0; i < 20; i++)
		cr_expect(closed_to(2));
	for (int i = 0; i < 20; i++)
		cr_expect_not(closed_to(1));
}

#define OTHER                                                                            \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: copy}\nspec: {clusterIP: " \
	"10.96.0.2, selector: {app: copy}, ports: [{name: http, port: 80}]}\n"           \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: copy, labels: {app: copy}}\n"  \
	"spec: {containers: [{name: c}]}\nstatus: {phase: Running, podIP: 10.0.0.9}\n"
#define MIRROR RULE "  - route: [{destination: {host: svc}}]\n    mirror: {host: copy}\n"

Test(proxy_rules, a_mirror_that_is_closed_gets_no_copy)
{
	static const char *const deny[] = {
		"",
		NETPOL("deny", "podSelector: {matchLabels: {app: copy}}"),
	};

	for (size_t i = 0; i < 2; i++) {
		struct asked a = { 0 };
		struct target copy;
		char yaml[8192];
		enum pick p;

		snprintf(yaml, sizeof(yaml), "%s%s", CLUSTER CLIENTS OTHER MIRROR, deny[i]);
		rules_load(yaml);
		asked_plan(&a, 1, "/", "");
		cr_assert_eq(a.plan.mirror_count, 1u);
		p = asked_router(&a)->pick_mirror(asked_router(&a), &a.plan, 0, &copy);
		cr_expect_eq(p, i ? PICK_NONE : PICK_OK);
		cr_expect_eq(copy.stat->network_policy, i);
		cr_expect_eq(a.plan.cluster->network_policy, 0u);
		asked_release(&a);
	}
}

/* ---- addresses that are called as they are ---- */

/* A host that no rule knows, at an address that is no service's. */
static bool address_closed_to(unsigned client, struct addr called)
{
	struct asked a = { 0 };
	struct route_ask ask = { .request = &a.q,
				 .client = ipv4(10, 1, 0, client),
				 .called = called,
				 .client_port = 1000,
				 .called_port = 8080 };
	int n = snprintf(a.text, sizeof(a.text), "GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n");
	bool closed;

	cr_assert_eq(h1_parse_request(a.text, (size_t)n, 0, &a.q), n);
	asked_router(&a)->plan(asked_router(&a), &ask, &rules_buffers, &a.plan);
	cr_assert_eq(a.plan.action, PLAN_FORWARD);
	cr_assert_neq(asked_pick(&a, 0), 0u);
	closed = a.target.closed;
	asked_done(&a, OUTCOME_ABANDONED, 0);
	asked_release(&a);
	return closed;
}

Test(proxy_rules, an_address_that_is_called_as_it_is_may_be_closed)
{
	rules_load(CLUSTER CLIENTS);
	cr_expect_not(address_closed_to(1, ipv4(198, 51, 100, 1)));
	rules_load(CLUSTER CLIENTS NETPOL(
		"out", "podSelector: {matchLabels: {app: c1}}, policyTypes: [Egress], egress: "
		       "[{to: [{ipBlock: {cidr: 198.51.0.0/16}}]}]"));
	cr_expect_not(address_closed_to(1, ipv4(198, 51, 100, 1)));
	cr_expect(address_closed_to(1, ipv4(203, 0, 113, 1)));
	cr_expect_not(address_closed_to(2, ipv4(203, 0, 113, 1)));
	rules_load(CLUSTER CLIENTS DENY ALLOW_1);
	cr_expect_not(address_closed_to(1, ipv4(10, 0, 0, 1)), "a pod, by its own address");
	cr_expect(address_closed_to(2, ipv4(10, 0, 0, 1)));
}

#define PASSTHROUGH "---\n" POLICY "  trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}\n"
#define DENY_V1 NETPOL("deny", "podSelector: {matchLabels: {version: v1}}")

/* Which of its endpoints gets it is kube-proxy's choice: any of them may be closed. */
Test(proxy_rules, a_service_that_is_passed_through_is_closed_if_an_endpoint_is)
{
	static const char rule[] = RULE "  - route: [{destination: {host: svc}}]\n";
	char yaml[8192];

	snprintf(yaml, sizeof(yaml), "%s%s", CLUSTER CLIENTS PASSTHROUGH, rule);
	rules_load(yaml);
	cr_expect_not(closed_to(1));
	snprintf(yaml, sizeof(yaml), "%s%s%s", CLUSTER CLIENTS PASSTHROUGH, rule, DENY_V1);
	rules_load(yaml);
	cr_expect(closed_to(1));
}
