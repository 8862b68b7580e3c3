// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy's router: which rules a request is under. Snapshots come and go, addresses and hosts
 * lead to rules, and some of what a request says of itself does not count. What a rule says is
 * test_http_route.c's.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test_proxy_rules_env.h"

/* ---- snapshots ---- */

Test(proxy_rules, without_rules_every_request_is_refused)
{
	struct asked a = { 0 };

	asked_plan(&a, 1, "/", "");
	cr_expect_eq(a.plan.action, PLAN_ANSWER);
	cr_expect_eq(a.plan.answer.status, 503u);
	cr_expect_str_eq(a.plan.answer.flags, "NC");
	asked_release(&a);
}

Test(proxy_rules, a_damaged_snapshot_changes_nothing)
{
	rules_load(CLUSTER);
	cr_expect_eq(rules_offer(rules_file("nonsense", 8)), -EBADMSG);
	cr_expect_neq(ask(200), 0u);
	cr_expect_eq(rules_offer(rules_file(rules_snapshot, rules_snapshot_size)), 0);
}

/* ---- a worker that takes its time ---- */

static struct config *last_snapshot(void)
{
	int fd = rules_file(rules_snapshot, rules_snapshot_size);
	struct config *c;

	cr_assert_eq(config_map(fd, &c), 0);
	close(fd);
	return c;
}

/* That a worker waits for when it opens the snapshot: of a cluster with outlier detection. */
static pthread_mutex_t *lock_of_outliers(void)
{
	struct http_snapshot *s;
	struct cluster_state *cs = NULL;

	cr_assert_eq(http_snapshot_open(rules_snapshot, rules_snapshot_size, &s), 0);
	for (__u32 i = 0; i < hs_count(s, HS_CLUSTERS); i++)
		if (hs_cluster(s, i)->outliers.given)
			cs = shared_state_cluster(rules_state, hs_cluster(s, i)->id,
						  http_span("known"));
	http_snapshot_close(s);
	cr_assert_not_null(cs);
	return &cs->lock;
}

static void *one_turn(void *arg)
{
	struct router *r = router_interface(rules_workers[0]);

	(void)arg;
	r->turn(r);
	return NULL;
}

/* With another endpoint than before: that it is known tells that the worker has begun. */
static void wait_for_endpoints(size_t want)
{
	size_t endpoints = 0, outliers;

	for (int ms = 0; ms < 20000 && endpoints < want; ms++) {
		shared_state_count(rules_state, &endpoints, &outliers);
		usleep(1000);
	}
	cr_assert_eq(endpoints, want);
}

/* The first one has none: its endpoints are known before the worker waits. */
#define FIRST                                                                               \
	"apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"                              \
	"spec: {clusterIP: 10.96.0.2, selector: {version: v1}, ports: [{name: http, port: " \
	"80}]}\n---\n"
#define SLOW POLICY "  trafficPolicy: {outlierDetection: {consecutive5xxErrors: 2}}\n"

Test(proxy_rules, the_answer_to_one_offer_is_not_taken_for_that_to_the_next)
{
	struct config *slow, *next;
	pthread_mutex_t *lock;
	pthread_t worker;

	rules_load(FIRST SERVICE POD(3, "v2") SLOW);
	rules_compile(FIRST SERVICE POD(1, "v1") POD(3, "v2") SLOW);
	slow = last_snapshot();
	next = last_snapshot();
	lock = lock_of_outliers();
	pthread_mutex_lock(lock);
	router_offer(rules_workers[0], slow);
	cr_assert_eq(pthread_create(&worker, NULL, one_turn, NULL), 0);
	wait_for_endpoints(2);
	cr_expect_eq(config_wait(slow, 1, 10), -ETIMEDOUT);
	router_offer(rules_workers[0], next);
	pthread_mutex_unlock(lock);
	pthread_join(worker, NULL);
	cr_expect_eq(config_wait(slow, 1, 0), 0);
	cr_expect_eq(config_wait(next, 1, 0), -ETIMEDOUT, "the worker has not even seen it");
	one_turn(NULL);
	cr_expect_eq(config_wait(next, 1, 0), 0);
	config_unref(slow);
	config_unref(next);
}

static void *answer_later(void *config)
{
	usleep(50 * 1000);
	config_answer(config, 0);
	usleep(50 * 1000);
	config_answer(config, -EBADMSG);
	return NULL;
}

Test(proxy_rules, an_offer_is_over_once_every_worker_has_answered)
{
	struct config *c;
	pthread_t workers;

	rules_load(CLUSTER);
	c = last_snapshot();
	cr_assert_eq(pthread_create(&workers, NULL, answer_later, c), 0);
	cr_expect_eq(config_wait(c, 2, 20000), -EBADMSG);
	pthread_join(workers, NULL);
	cr_expect_eq(config_wait(c, 3, 10), -ETIMEDOUT);
	config_unref(c);
}

Test(proxy_rules, a_request_goes_on_with_the_rules_it_began_with)
{
	struct asked a = { 0 };

	rules_load(SERVICE POD(1, "v1"));
	asked_plan(&a, 1, "/", "");
	rules_load(SERVICE POD(2, "v1"));
	cr_expect_eq(asked_pick(&a, 0), 1u);
	asked_done(&a, OUTCOME_STATUS, 200);
	asked_release(&a);
	cr_expect_eq(ask(200), 2u);
}

Test(proxy_rules, an_endpoint_that_left_is_known_to_be_gone)
{
	struct asked a = { 0 };
	struct router *r;

	rules_load(SERVICE POD(1, "v1"));
	asked_plan(&a, 1, "/", "");
	asked_pick(&a, 0);
	r = asked_router(&a);
	cr_expect_not(r->gone(r, a.target.endpoint));
	rules_load(SERVICE POD(1, "v1") POD(2, "v1"));
	cr_expect_not(r->gone(r, a.target.endpoint));
	rules_load(SERVICE POD(2, "v1"));
	cr_expect(r->gone(r, a.target.endpoint));
	rules_load(SERVICE POD(1, "v1"));
	cr_expect_not(r->gone(r, a.target.endpoint), "it came back");
	asked_done(&a, OUTCOME_STATUS, 200);
	asked_release(&a);
}

/* ---- the node's own addresses ---- */

#define GATEWAY                                                                                 \
	"---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw}\n"        \
	"spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, "  \
	"protocol: HTTP}, hosts: ['*']}]}\n---\n"                                               \
	"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: outside}\n" \
	"spec: {hosts: ['*'], gateways: [gw], http: [{redirect: {uri: /outside}}]}\n"

static void plan_at_node(struct asked *a, const char *host, struct addr client, struct addr called)
{
	struct route_ask ask = { .request = &a->q,
				 .client = client,
				 .called = called,
				 .called_port = 80,
				 .called_node = true };

	*a = (struct asked){ 0 };
	snprintf(a->text, sizeof(a->text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host);
	cr_assert_gt(h1_parse_request(a->text, strlen(a->text), 0, &a->q), 0);
	asked_router(a)->plan(asked_router(a), &ask, &rules_buffers, &a->plan);
}

Test(proxy_rules, a_service_whose_address_the_node_has_comes_first_for_pods)
{
	struct addr pod = ipv4(10, 0, 0, 1), service = ipv4(10, 96, 0, 1);
	struct asked a;

	rules_load(CLUSTER RULE "  - route: [{destination: {host: svc}}]\n" GATEWAY);
	plan_at_node(&a, "svc.default", pod, service);
	cr_expect_eq(a.plan.action, PLAN_FORWARD);
	asked_release(&a);
	plan_at_node(&a, "svc.default", ipv4(203, 0, 113, 9), service);
	cr_expect_eq(a.plan.answer.status, 301u);
	asked_release(&a);
	plan_at_node(&a, "svc.default", pod, ipv4(10, 1, 1, 1));
	cr_expect_eq(a.plan.answer.status, 301u);
	asked_release(&a);
}

Test(proxy_rules, the_node_itself_is_not_passed_through_to)
{
	struct asked a;

	rules_load(CLUSTER);
	plan_at_node(&a, "elsewhere.example", ipv4(10, 0, 0, 1), ipv4(10, 1, 1, 1));
	cr_expect_eq(a.plan.action, PLAN_ANSWER);
	cr_expect_eq(a.plan.answer.status, 404u);
	asked_release(&a);
}

/* ---- what requests say of themselves ---- */

/* Rules go by what endpoints get to see. */
Test(proxy_rules, no_rule_goes_by_a_field_that_only_the_mesh_may_set)
{
	static const char *const forged[] = { "X-Forwarded-Client-Cert: x\r\n",
					      "x_forwarded_client_cert: x\r\n" };
	struct asked a = { 0 };

	rules_load(CLUSTER RULE "  - match: [{headers: {x-forwarded-client-cert: {}}}]\n"
				"    redirect: {uri: /fooled}\n"
				"  - match: [{headers: {x-envoy-retry-on: {}}}]\n"
				"    redirect: {uri: /fooled}\n"
				"  - match: [{headers: {x-envoy-decorator-operation: {}}}]\n"
				"    redirect: {uri: /told}\n"
				"  - route: [{destination: {host: svc}}]\n");
	for (size_t i = 0; i < sizeof(forged) / sizeof(*forged); i++) {
		asked_plan(&a, 1, "/", forged[i]);
		cr_expect_eq(a.plan.action, PLAN_FORWARD, "%s", forged[i]);
		asked_release(&a);
	}
	asked_plan(&a, 1, "/", "X-Envoy-Retry-On: 5xx\r\n");
	cr_expect_eq(a.plan.action, PLAN_FORWARD);
	asked_release(&a);
	asked_plan(&a, 1, "/", "X-Envoy-Decorator-Operation: x\r\n");
	cr_expect_eq(a.plan.answer.status, 301u);
	asked_release(&a);
}

Test(proxy_rules, at_a_gateway_none_of_envoys_fields_counts)
{
	struct asked a;

	rules_load("apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw}\n"
		   "spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: "
		   "http, "
		   "protocol: HTTP}, hosts: ['*']}]}\n---\n"
		   "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: "
		   "outside}\n"
		   "spec: {hosts: ['*'], gateways: [gw], http: [{match: [{headers: "
		   "{x-envoy-decorator-operation: {}}}], redirect: {uri: /fooled}}]}\n");
	plan_at_node(&a, "h\r\nX-Envoy-Decorator-Operation: x", ipv4(203, 0, 113, 9),
		     ipv4(10, 1, 1, 1));
	cr_expect_eq(a.plan.answer.status, 404u);
	asked_release(&a);
}

/* The address that was called says which service is meant. */
Test(proxy_rules, http_1_0_without_a_host_gets_the_rules_of_the_service)
{
	static const char text[] = "GET / HTTP/1.0\r\n\r\n";
	struct asked a = { 0 };
	struct route_ask ask = { .request = &a.q,
				 .client = ipv4(10, 1, 0, 1),
				 .called = ipv4(10, 96, 0, 1),
				 .called_port = 80 };

	rules_load(CLUSTER RULE "  - match: [{uri: {exact: /}}]\n"
				"    rewrite: {uri: /ruled}\n"
				"    route: [{destination: {host: svc}}]\n");
	cr_assert_gt(h1_parse_request(text, sizeof(text) - 1, 0, &a.q), 0);
	asked_router(&a)->plan(asked_router(&a), &ask, &rules_buffers, &a.plan);
	cr_expect_eq(a.plan.action, PLAN_FORWARD);
	cr_expect(h1_is(a.plan.authority, "10.96.0.1"), "the endpoint is told '%.*s'",
		  (int)a.plan.authority.n, a.plan.authority.p);
	cr_expect(h1_is(a.plan.path, "/ruled"));
	asked_release(&a);
	ask.called_port = 8080;
	memset(&a.plan, 0, sizeof(a.plan));
	asked_router(&a)->plan(asked_router(&a), &ask, &rules_buffers, &a.plan);
	cr_expect(h1_is(a.plan.authority, "10.96.0.1:8080"));
	asked_release(&a);
}

/* The target's, not the Host beside it. */
Test(proxy_rules, an_absolute_target_chooses_the_rule)
{
	static const char text[] = "GET http://svc.default/x HTTP/1.1\r\nHost: 10.96.0.10\r\n\r\n";
	struct asked a = { 0 };
	struct route_ask ask = { .request = &a.q,
				 .client = ipv4(10, 1, 0, 1),
				 .called = ipv4(10, 96, 0, 1),
				 .called_port = 80 };

	rules_load(CLUSTER RULE "  - redirect: {uri: /ruled}\n");
	cr_assert_gt(h1_parse_request(text, sizeof(text) - 1, 0, &a.q), 0);
	asked_router(&a)->plan(asked_router(&a), &ask, &rules_buffers, &a.plan);
	cr_expect_eq(a.plan.answer.status, 301u);
	asked_release(&a);
}
