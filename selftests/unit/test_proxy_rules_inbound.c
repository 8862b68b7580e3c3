// SPDX-License-Identifier: Apache-2.0
/*
 * The router's connections to pods of its own node: who is looked at, what becomes of what comes,
 * and who calls by mutual TLS.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/route/network_policy.h"
#include "test_proxy_workloads.h"

/* 10.0.0.1 to .4 are the pods of `svc`, by POD(). */
#define POLICIES                                                                             \
	CLUSTER "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"              \
		"metadata: {name: some}\nspec: {selector: {matchLabels: {version: v1}}, "    \
		"rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/cart]}}], " \
		"to: [{operation: {ports: [\"80\", \"90\"]}}]}]}\n"
#define NETWORK_POLICY                                                                         \
	CLUSTER "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n" \
		"spec: {podSelector: {matchLabels: {app: svc}}, ingress: [{from: [{ipBlock: "  \
		"{cidr: 192.0.2.0/24}}]}]}\n"

#define CART IDENTITY("shop", "cart")
#define SVC IDENTITY("default", "default")

enum { REQUESTS = 80, TUNNELS = 90, OPEN = 100, ELSE = 110 };

/* Pod 1 is STRICT but at OPEN, pod 2 PERMISSIVE, pod 3 takes none, pod 4 is elsewhere. */
static const struct mesh_pod pods[] = {
	{ { { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1 } },
	  SVC,
	  true,
	  HS_MTLS_STRICT,
	  { { .port = REQUESTS, .mode = HS_MTLS_STRICT, .requests = 1 },
	    { .port = TUNNELS, .mode = HS_MTLS_STRICT },
	    { .port = OPEN, .mode = HS_MTLS_DISABLE } } },
	{ { { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 2 } },
	  SVC,
	  true,
	  HS_MTLS_PERMISSIVE,
	  { { .port = REQUESTS, .mode = HS_MTLS_PERMISSIVE, .requests = 1 },
	    { .port = TUNNELS, .mode = HS_MTLS_PERMISSIVE },
	    { .port = OPEN, .mode = HS_MTLS_STRICT } } },
	{ { { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 3 } },
	  IDENTITY("default", "other"),
	  true,
	  HS_MTLS_DISABLE,
	  { { 0 } } },
	{ { { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 4 } },
	  SVC,
	  false,
	  HS_MTLS_STRICT,
	  { { 0 } } },
};

static void load(const char *yaml)
{
	pods_load(yaml, pods, sizeof(pods) / sizeof(*pods));
}

static struct router *router(void)
{
	return router_interface(rules_workers[0]);
}

/* From a pod of another node. */
static struct route_ask call(unsigned pod, uint16_t port)
{
	return (struct route_ask){ .client = ipv4(10, 1, 0, 9),
				   .called = ipv4(10, 0, 0, pod),
				   .client_port = 1000,
				   .called_port = port };
}

static bool tunnel(const struct route_ask *ask, bool tls, bool mesh, struct plan *out)
{
	const struct route_hello hello = { .tls = tls, .mesh = mesh };

	*out = (struct plan){ 0 };
	return router()->tunnel(router(), ask, ask->tls ? NULL : &hello, out);
}

static void want_to_called(const struct route_ask *ask, struct plan *p)
{
	struct target t;

	cr_assert_eq(p->action, PLAN_FORWARD, "%s", p->answer.details);
	cr_assert_eq(router()->pick(router(), p, 0, &t), PICK_OK);
	cr_expect_arr_eq(&t.addr, &ask->called, sizeof(t.addr));
	cr_expect_eq(t.port, ask->called_port);
	cr_expect_null(t.tls.client);
	cr_expect_not(t.closed);
	router()->done(router(), p, &t, OUTCOME_ABANDONED, 0);
	router()->release(router(), p);
}

static unsigned long long refused(void)
{
	return stats_listener(shared_state_stats(rules_state), "0.0.0.0_15006", 13)
		->no_filter_chain_match;
}

static void want_refused(const struct route_ask *ask, bool tls)
{
	unsigned long long before = refused();
	struct plan p;

	cr_assert(tunnel(ask, tls, false, &p));
	cr_expect_eq(p.action, PLAN_ANSWER);
	cr_expect_str_eq(p.answer.details, "plaintext_denied");
	cr_expect_str_eq(p.answer.flags, "-");
	cr_expect_eq(refused(), before + 1);
	router()->release(router(), &p);
}

/* ---- what is looked at ---- */

Test(proxy_rules, calls_of_pods_here_by_others_are_looked_at)
{
	static const struct {
		unsigned client, pod;
		uint16_t port;
		bool inbound, hurries;
	} rows[] = {
		{ 9, 1, REQUESTS, true, false },  { 9, 1, TUNNELS, true, false },
		{ 9, 1, ELSE, true, false },	  { 9, 1, OPEN, false, false },
		{ 9, 2, REQUESTS, true, true },	  { 9, 2, ELSE, true, true },
		{ 9, 2, OPEN, true, false },	  { 9, 3, REQUESTS, false, false },
		{ 9, 4, REQUESTS, false, false }, { 9, 9, REQUESTS, false, false },
	};
	struct http_listener_stat *stat = NULL;

	rules_load(CLUSTER);
	cr_expect_not(router()->tls);
	load(CLUSTER);
	cr_expect(router()->tls);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct route_ask ask = call(rows[i].pod, rows[i].port);
		const struct tls_base *b = router()->speaks_tls(router(), &ask, &stat);

		cr_expect_eq(!!b, rows[i].inbound, "%zu", i);
		cr_expect_eq(router()->hurries(router(), &ask), rows[i].hurries, "%zu", i);
		cr_expect(!b || router()->peeks(router(), &ask), "%zu", i);
		cr_expect(!b || !router()->opaque(router(), &ask), "%zu", i);
		cr_expect(!b || !strcmp(stat->name, "0.0.0.0_15006"), "%s", stat->name);
	}
}

/* Between pods of one node nothing is encrypted. */
Test(proxy_rules, callers_of_the_node_itself_need_no_tls)
{
	struct route_ask ask = call(1, REQUESTS);
	struct http_listener_stat *stat;
	struct plan p;

	load(POLICIES);
	for (unsigned caller = 2; caller <= 4; caller++) {
		ask.client = ipv4(10, 0, 0, caller);
		cr_expect_eq(!router()->speaks_tls(router(), &ask, &stat), caller != 4);
	}
	ask.client = ipv4(10, 0, 0, 2);
	cr_expect_not(tunnel(&ask, false, false, &p), "it is HTTP");
	cr_assert(tunnel(&ask, true, true, &p), "what TLS it speaks is the pod's");
	want_to_called(&ask, &p);
}

/* ---- what becomes of it ---- */

Test(proxy_rules, strict_takes_nothing_but_mutual_tls)
{
	struct plan p;

	load(POLICIES);
	for (uint16_t port = REQUESTS; port <= TUNNELS; port += TUNNELS - REQUESTS) {
		const struct route_ask ask = call(1, port);

		want_refused(&ask, false);
		want_refused(&ask, true);
		cr_expect_not(tunnel(&ask, true, true, &p), "its TLS is ended");
	}
}

Test(proxy_rules, permissive_lets_what_is_in_clear_go_on)
{
	const struct route_ask requests = call(2, REQUESTS), other = call(2, TUNNELS);
	struct plan p;

	load(CLUSTER);
	cr_expect_not(tunnel(&requests, true, true, &p));
	cr_expect_not(tunnel(&other, true, true, &p));
	cr_assert(tunnel(&requests, false, false, &p), "there is no policy that asks for requests");
	want_to_called(&requests, &p);
	cr_assert(tunnel(&requests, true, false, &p));
	want_to_called(&requests, &p);
	cr_assert(tunnel(&other, false, false, &p), "no request is read of it");
	want_to_called(&other, &p);
	cr_assert(tunnel(&other, true, false, &p));
	want_to_called(&other, &p);
	cr_expect_eq(refused(), 0u);
}

/* ---- inside mutual TLS ---- */

static struct route_tls tls;

/* As if the handshake had been with that certificate. */
static int shake_hands(struct route_ask *ask, const char *identity)
{
	struct tls_context *context = NULL;
	int r;

	tls = (struct route_tls){ .facts.peer.uris = (char *)identity };
	r = router()->server(router(), ask, "", 0, &context, &tls);
	tls_context_unref(context);
	ask->tls = &tls;
	return r;
}

/* What the plan points to is in *a. */
static void ask_http(const struct route_ask *ask, const char *text, struct asked *a)
{
	struct route_ask whole = *ask;
	int n;

	memset(a, 0, sizeof(*a));
	n = snprintf(a->text, sizeof(a->text), "%s", text);
	cr_assert_eq(h1_parse_request(a->text, (size_t)n, 0, &a->q), n);
	whole.request = &a->q;
	router()->plan(router(), &whole, &rules_buffers, &a->plan);
}

Test(proxy_rules, a_pod_has_the_certificate_of_its_identity)
{
	const char *const all[] = { SVC, NULL }, *const none[] = { NULL };
	struct made_cert ca = cert_make("ca", NULL, NULL, 10);
	struct route_ask ask = call(1, REQUESTS), other = call(1, TUNNELS);
	struct tls_context *a = NULL, *b = NULL;

	load(CLUSTER);
	cr_expect_eq(shake_hands(&ask, CART), -ENOKEY);
	pods_certify(all, &ca, NULL);
	cr_expect_eq(shake_hands(&ask, CART), 0);
	cr_expect(tls.mutual);
	cr_expect_not(tls.tcp);
	cr_expect_eq(shake_hands(&other, CART), 0);
	cr_expect(tls.tcp);
	/* It is made once for all pods that have it, and again with another certificate alone. */
	ask.tls = other.tls = NULL;
	cr_assert_eq(router()->server(router(), &ask, "", 0, &a, &tls), 0);
	cr_assert_eq(router()->server(router(), &other, "", 0, &b, &tls), 0);
	cr_expect_eq(a, b);
	tls_context_unref(b);
	pods_certify(all, &ca, NULL);
	cr_assert_eq(router()->server(router(), &ask, "", 0, &b, &tls), 0);
	cr_expect_neq(a, b);
	tls_context_unref(a);
	tls_context_unref(b);
	pods_certify(none, &ca, NULL);
	cr_expect_eq(shake_hands(&ask, CART), -ENOKEY);
	cert_free(&ca);
}

Test(proxy_rules, a_certificate_says_who_calls)
{
	static const struct {
		unsigned pod;
		uint16_t port;
		const char *identity;
		bool allowed;
	} rows[] = {
		{ 1, TUNNELS, CART, true },
		{ 1, TUNNELS, IDENTITY("shop", "cart2"), false },
		{ 1, TUNNELS, IDENTITY("other", "cart"), false },
		{ 1, ELSE, CART, false },
		{ 1, REQUESTS, CART, true },
		{ 1, REQUESTS, SVC, false },
		{ 2, TUNNELS, CART, true },
		{ 2, TUNNELS, SVC, false },
	};

	load(POLICIES);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct route_ask ask = call(rows[i].pod, rows[i].port);
		const bool http = rows[i].port == REQUESTS;
		struct route_rbac rbac = { 0 };
		struct asked a = { 0 };
		struct target t;

		(void)shake_hands(&ask, rows[i].identity);
		if (http)
			ask_http(&ask, "GET / HTTP/1.1\r\nHost: svc\r\n\r\n", &a);
		else
			cr_assert(tunnel(&ask, false, false, &a.plan));
		cr_assert_eq(a.plan.action, PLAN_FORWARD);
		cr_assert_eq(router()->pick(router(), &a.plan, 0, &t), PICK_OK);
		cr_expect_eq(router()->allows(router(), &a.plan, http ? &a.q : NULL, &t, &rbac),
			     rows[i].allowed, "%zu: %s", i, rbac.details ? rbac.details : "");
		router()->done(router(), &a.plan, &t, OUTCOME_ABANDONED, 0);
		router()->release(router(), &a.plan);
		buf_release(&rules_buffers, &a.plan.text);
	}
}

Test(proxy_rules, a_request_of_mutual_tls_goes_to_the_pod_itself)
{
	struct route_ask ask = call(1, REQUESTS);
	struct asked a;

	/* A rule for the host changes nothing: its caller's proxy has carried it out. */
	load(CLUSTER POLICY RULE "  - redirect: {uri: /elsewhere}\n");
	(void)shake_hands(&ask, CART);
	ask_http(&ask, "GET /a HTTP/1.1\r\nHost: svc\r\n\r\n", &a);
	cr_expect_not(a.plan.count_tries);
	cr_expect_not(a.plan.gateway);
	cr_expect(h1_is(a.plan.scheme, "http"));
	cr_expect(h1_is(a.plan.authority, "svc"));
	want_to_called(&ask, &a.plan);
	buf_release(&rules_buffers, &a.plan.text);
}

static void want_misdirected(const struct route_ask *ask)
{
	struct asked a;

	ask_http(ask, "GET /a HTTP/1.1\r\nHost: svc\r\n\r\n", &a);
	cr_expect_eq(a.plan.action, PLAN_ANSWER);
	cr_expect_eq(a.plan.answer.status, 421u);
	cr_expect(a.plan.answer.last);
	asked_release(&a);
}

Test(proxy_rules, an_address_may_become_another_pod_s)
{
	struct route_ask ask = call(1, REQUESTS);
	struct mesh_pod others[4];
	struct plan p;

	memcpy(others, pods, sizeof(pods));
	others[0].identity = CART;
	load(CLUSTER);
	(void)shake_hands(&ask, CART);
	pods_load(CLUSTER, others, 4);
	want_misdirected(&ask);
	cr_assert(tunnel(&ask, false, false, &p));
	cr_expect_eq(p.action, PLAN_ANSWER);
	cr_expect_str_eq(p.answer.flags, "NR");
	rules_load(CLUSTER);
	want_misdirected(&ask);
	cr_assert(tunnel(&ask, false, false, &p));
	cr_expect_eq(p.action, PLAN_ANSWER);
	load(CLUSTER);
	cr_assert(tunnel(&ask, false, false, &p));
	want_to_called(&ask, &p);
}

/* One that was begun when it was PERMISSIVE. */
Test(proxy_rules, strict_ends_what_goes_on_in_clear)
{
	struct route_ask ask = call(1, REQUESTS);
	struct asked a;

	load(CLUSTER);
	want_misdirected(&ask);
	ask.called = ipv4(10, 0, 0, 2);
	ask_http(&ask, "GET /a HTTP/1.1\r\nHost: svc\r\n\r\n", &a);
	want_to_called(&ask, &a.plan);
	buf_release(&rules_buffers, &a.plan.text);
}

Test(proxy_rules, a_network_policy_holds_inside_mutual_tls)
{
	struct route_ask ask = call(1, TUNNELS);
	struct target t;
	struct plan p;

	load(NETWORK_POLICY);
	(void)shake_hands(&ask, CART);
	cr_assert(tunnel(&ask, false, false, &p));
	cr_assert_eq(router()->pick(router(), &p, 0, &t), PICK_OK);
	cr_expect(t.closed);
	router()->done(router(), &p, &t, OUTCOME_ABANDONED, 0);
	router()->release(router(), &p);
	ask.client = ipv4(192, 0, 2, 1);
	cr_assert(tunnel(&ask, false, false, &p));
	want_to_called(&ask, &p);
}

/* ---- who counts it ---- */

static bool counts_request(struct addr client, bool mutual, const char *field)
{
	struct route_ask ask = call(2, REQUESTS);
	char text[256];
	struct asked a;
	bool counted;

	ask.client = client;
	if (mutual)
		(void)shake_hands(&ask, CART);
	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: svc\r\n%s\r\n", field);
	ask_http(&ask, text, &a);
	counted = !a.plan.traffic.uncounted;
	cr_expect_eq(a.plan.traffic.mutual, mutual);
	asked_release(&a);
	return counted;
}

static bool counts_tunnel(struct addr client, bool mutual)
{
	struct route_ask ask = call(2, TUNNELS);
	struct plan p;
	bool counted;

	ask.client = client;
	if (mutual)
		(void)shake_hands(&ask, CART);
	cr_assert(tunnel(&ask, false, false, &p));
	counted = !p.traffic.uncounted;
	router()->release(router(), &p);
	return counted;
}

/* What a weft-proxy of another node has sent it has counted, whichever address it has called from:
 * a pod's, or the node's. */
Test(proxy_rules, what_was_counted_where_it_was_sent_is_not_counted_again)
{
	static const char tried[] = "x-envoy-attempt-count: 1\r\n";
	const struct addr pod = ipv4(10, 0, 0, 4), node = ipv4(10, 1, 0, 9);

	load(CLUSTER);
	cr_expect_not(counts_request(pod, true, ""));
	cr_expect_not(counts_request(node, true, ""));
	cr_expect_not(counts_request(pod, false, tried));
	cr_expect_not(counts_request(node, false, tried));
	cr_expect(counts_request(pod, false, ""), "the kernel has steered it here");
	cr_expect(counts_request(node, false, ""), "a client from outside");
	cr_expect_not(counts_tunnel(pod, true));
	cr_expect_not(counts_tunnel(node, true));
	cr_expect_not(counts_tunnel(pod, false), "the kernel has counted it there");
	cr_expect(counts_tunnel(node, false));
}
