// SPDX-License-Identifier: Apache-2.0
/*
 * The router's connections without requests: which route a ClientHello's name comes to, at a
 * Gateway and in the mesh, and what is chosen there.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/route/pack.h"
#include "proxy/route/tls_store.h"
#include "test_proxy_rules_env.h"

#define CLIENT(n, app)                                                                      \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: " app ", labels: {app: " app "}}\n"    \
	"spec: {containers: [{name: c}]}\nstatus: {phase: Running, podIP: 10.1.0." #n       \
	", podIPs: [{ip: 10.1.0." #n "}], conditions: [{type: Ready, status: \"True\"}]}\n" \
	"---\n"
#define GATEWAY                                                                                \
	"---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw}\n"       \
	"spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, " \
	"protocol: HTTP}, hosts: [a.test]}]}\n"                                                \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"                      \
	"metadata: {name: a}\nspec: {hosts: [a.test], gateways: [gw], http: [{redirect: "      \
	"{uri: /a}}]}\n"
/* What `tls` routes would be made of: one for some clients, one with weights. */
#define ROUTES                                                                                \
	RULE "  - match: [{sourceLabels: {app: sleep}}]\n"                                    \
	     "    route: [{destination: {host: svc, subset: v1}}]\n"                          \
	     "  - match: [{uri: {exact: /x}}]\n    route: [{destination: {host: none}}]\n"    \
	     "  - route: [{destination: {host: svc, subset: v1}, weight: 75}, {destination: " \
	     "{host: svc, subset: v2}, weight: 25}]\n"
#define TRAFFIC(policy) "  trafficPolicy: {" policy "}\n"
#define RULES(policy) CLUSTER CLIENT(7, "sleep") CLIENT(8, "other") POLICY policy ROUTES GATEWAY

enum { TEXTS = 4096, SOURCES = 0, NOWHERE = 1, WEIGHTS = 2, SLEEP = 7, OTHER = 8 };

static char texts[TEXTS];
static size_t texts_len, texts_from;
static struct http_listener_stat *stat;
static struct http_part parts[HS_TABLES];

static struct hs_str text(const char *s)
{
	struct hs_str out = { (__u32)(texts_from + texts_len), (__u32)strlen(s) };

	cr_assert_lt(texts_len + strlen(s) + 1, sizeof(texts));
	memcpy(texts + texts_len, s, strlen(s) + 1);
	texts_len += strlen(s) + 1;
	return out;
}

static void take_tables(void)
{
	const struct hs_header *h = rules_snapshot;

	for (int i = 0; i < HS_TABLES; i++)
		parts[i] = (struct http_part){ (char *)rules_snapshot + h->tables[i].at,
					       h->tables[i].count };
	texts_from = parts[HS_BYTES].count;
	texts_len = 0;
}

static __u32 action_of(int route)
{
	const struct hs_action *rows = parts[HS_ACTIONS].rows;
	const char *bytes = parts[HS_BYTES].rows;
	char name[64];

	snprintf(name, sizeof(name), "default/svc/http[%d]", route);
	for (__u32 i = 0; i < parts[HS_ACTIONS].count; i++)
		if (!strcmp(bytes + rows[i].name.at, name))
			return i;
	cr_assert_fail("no %s", name);
	return 0;
}

/* The one with a source. */
static __u32 source_match(void)
{
	const struct hs_match *rows = parts[HS_MATCHES].rows;

	for (__u32 i = 0; i < parts[HS_MATCHES].count; i++)
		if (rows[i].source_labels.count)
			return i;
	cr_assert_fail("no match");
	return 0;
}

static struct hs_server server(enum hs_server_kind kind, __u32 action)
{
	const bool ends = kind != HS_SERVER_PASSTHROUGH;

	return (struct hs_server){
		.name = text("default/gw servers[0]"),
		.credential = text(ends ? "kubernetes://n/a" : ""),
		.mode = ends ? HS_TLS_SIMPLE : 0,
		.min_version = 0x0303,
		.max_version = 0x0304,
		.ciphers = text(""),
		.kind = kind,
		.action = action,
		.place = HS_NONE,
	};
}

/* The Gateway's port becomes one of TLS with a server of each kind, the service's has `tls` routes.
 */
static void load(const char *yaml)
{
	enum { HTTP, TCP, PASS, CLOSED, MESH_SLEEP, MESH_ALL, MESH_WILD, SERVERS };
	struct hs_server servers[SERVERS];
	_cleanup_free_ char *bytes = NULL;
	_cleanup_free_ void *packed = NULL;
	struct hs_listener *l;
	struct hs_address *a;
	size_t size;

	rules_compile(yaml);
	take_tables();
	servers[HTTP] = server(HS_SERVER_HTTP, HS_NONE);
	servers[TCP] = server(HS_SERVER_TCP, action_of(WEIGHTS));
	servers[PASS] = server(HS_SERVER_PASSTHROUGH, action_of(SOURCES));
	servers[CLOSED] = server(HS_SERVER_PASSTHROUGH, HS_NONE);
	servers[MESH_SLEEP] = server(HS_SERVER_PASSTHROUGH, action_of(SOURCES));
	servers[MESH_ALL] = server(HS_SERVER_PASSTHROUGH, action_of(WEIGHTS));
	servers[MESH_WILD] = server(HS_SERVER_PASSTHROUGH, action_of(NOWHERE));
	struct hs_sni sni[] = {
		{ text("closed.test"), CLOSED, HS_NONE },
		{ text("http.test"), HTTP, HS_NONE },
		{ text("pass.test"), PASS, HS_NONE },
		{ text("tcp.test"), TCP, HS_NONE },
		{ text("mesh.test"), MESH_SLEEP, source_match() },
		{ text("mesh.test"), MESH_ALL, HS_NONE },
		{ text("sleep.test"), MESH_SLEEP, source_match() },
		{ text(".wild.test"), MESH_WILD, HS_NONE },
	};

	l = (struct hs_listener *)parts[HS_LISTENERS].rows;
	while (l->scope != SCOPE_NODE)
		l++;
	servers[HTTP].exact = l->exact;
	l->exact = l->wild = (struct hs_range){ 0, 0 };
	l->tls = l->peek = 1;
	l->sni_exact = (struct hs_range){ 0, 4 };
	l->sni_wild = (struct hs_range){ 0, 0 };
	a = (struct hs_address *)parts[HS_ADDRESSES].rows;
	cr_assert_eq(parts[HS_ADDRESSES].count, 1u);
	a->sni_exact = (struct hs_range){ 4, 3 };
	a->sni_wild = (struct hs_range){ 7, 1 };
	parts[HS_SNI] = (struct http_part){ sni, sizeof(sni) / sizeof(*sni) };
	parts[HS_SERVERS] = (struct http_part){ servers, SERVERS };
	bytes = malloc(texts_from + texts_len);
	memcpy(bytes, parts[HS_BYTES].rows, texts_from);
	memcpy(bytes + texts_from, texts, texts_len);
	parts[HS_BYTES] = (struct http_part){ bytes, texts_from + texts_len };
	cr_assert_eq(http_pack(parts, &packed, &size), 0);
	cr_assert_eq(rules_offer(rules_file(packed, size)), 0);
}

/* ---- asking ---- */

static struct router *router(void)
{
	return router_interface(rules_workers[0]);
}

static struct route_ask from_pod(unsigned client)
{
	return (struct route_ask){ .client = ipv4(10, 1, 0, client),
				   .called = ipv4(10, 96, 0, 1),
				   .client_port = 1000,
				   .called_port = 80 };
}

static struct route_ask from_outside(void)
{
	return (struct route_ask){ .client = ipv4(192, 0, 2, 1),
				   .called = ipv4(192, 0, 2, 2),
				   .client_port = 1000,
				   .called_port = 80,
				   .called_node = true };
}

/* `name` is NULL for a client that speaks no TLS. */
static bool tunnel(const struct route_ask *ask, const char *name, struct plan *out)
{
	const struct route_hello hello = {
		.tls = name, .name = { name && *name ? name : NULL, name ? strlen(name) : 0 }
	};

	memset(out, 0, sizeof(*out));
	cr_assert(router()->peeks(router(), ask));
	return router()->tunnel(router(), ask, &hello, out);
}

/* The last number of the endpoint's address; 0: there is none. */
static unsigned choose(struct plan *p, struct target *t)
{
	unsigned pod = 0;

	cr_assert_eq(p->action, PLAN_FORWARD, "%s", p->answer.flags);
	if (router()->pick(router(), p, 0, t) == PICK_OK) {
		pod = t->addr.b[15];
		router()->reached(router(), p);
		router()->done(router(), p, t, OUTCOME_ABANDONED, 0);
	}
	router()->release(router(), p);
	return pod;
}

static unsigned endpoint(const struct route_ask *ask, const char *name)
{
	struct target t;
	struct plan p;

	cr_assert(tunnel(ask, name, &p));
	return choose(&p, &t);
}

/* How often each pod is chosen. */
static void count(const struct route_ask *ask, const char *name, unsigned times,
		  unsigned counts[PODS + 1])
{
	memset(counts, 0, (PODS + 1) * sizeof(*counts));
	for (unsigned i = 0; i < times; i++)
		counts[endpoint(ask, name)]++;
}

static void want_closed(const struct route_ask *ask, const char *name, const char *flags)
{
	struct plan p;

	cr_assert(tunnel(ask, name, &p));
	cr_expect_eq(p.action, PLAN_ANSWER);
	cr_expect_str_eq(p.answer.flags, flags);
	router()->release(router(), &p);
}

/* ---- in the mesh ---- */

Test(proxy_rules, a_hello_s_name_chooses_the_tls_route)
{
	const struct route_ask sleep = from_pod(SLEEP), other = from_pod(OTHER);
	unsigned n[PODS + 1];

	load(RULES(""));
	count(&sleep, "mesh.test", 40, n);
	cr_expect_eq(n[1] + n[2], 40u, "the route for its labels");
	count(&other, "mesh.test", 400, n);
	cr_expect(n[3] + n[4] >= 98 && n[3] + n[4] <= 102, "%u", n[3] + n[4]);
	cr_expect_eq(n[1] + n[2] + n[3] + n[4], 400u);
	count(&sleep, "sleep.test", 40, n);
	cr_expect_eq(n[1] + n[2], 40u);
}

Test(proxy_rules, what_no_tls_route_is_for_goes_to_the_service)
{
	const struct route_ask sleep = from_pod(SLEEP), other = from_pod(OTHER);
	const char *const names[] = { "sleep.test", "else.test", "wild.test", "", NULL };
	unsigned n[PODS + 1];

	load(RULES(""));
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		count(&other, names[i], 80, n);
		for (int pod = 1; pod <= PODS; pod++)
			cr_expect_gt(n[pod], 0u, "%s: %d", names[i] ? names[i] : "no TLS", pod);
	}
	count(&sleep, "else.test", 80, n);
	cr_expect_gt(n[3], 0u);
	want_closed(&other, "a.wild.test", "NC");
}

Test(proxy_rules, where_only_requests_are_nothing_is_looked_at)
{
	const struct route_ask ask = from_pod(OTHER);

	rules_load(RULES(""));
	cr_expect_not(router()->tls);
	load(RULES(""));
	cr_expect(router()->tls);
	cr_expect(router()->peeks(router(), &ask));
	cr_expect_null(router()->speaks_tls(router(), &ask, &stat));
	rules_load(RULES(""));
	cr_expect_not(router()->peeks(router(), &ask));
}

/* The kernel brings them by rules that are no longer in the snapshot. */
Test(proxy_rules, tls_without_rules_goes_on_to_where_it_called)
{
	struct route_ask ask = from_pod(OTHER);
	struct target t;
	struct plan p;

	load(RULES(""));
	rules_load(RULES(""));
	ask.called = ipv4(10, 96, 0, 9);
	ask.called_port = 443;
	cr_assert(router()->tls, "as long as such may come");
	cr_assert(tunnel(&ask, "gone.test", &p));
	cr_expect_eq(choose(&p, &t), 9u);
	cr_expect_eq(t.addr.b[13], 96);
	cr_expect_eq(t.port, 443);
	cr_assert(tunnel(&ask, "", &p));
	cr_expect_eq(choose(&p, &t), 9u);
	cr_expect_not(tunnel(&ask, NULL, &p), "it is HTTP's");
	ask.called_node = true;
	ask.called_port = 444;
	want_closed(&ask, "gone.test", "NR");
}

/* ---- at a Gateway ---- */

static struct route_tls tls_of(const char *name)
{
	struct route_tls tls = { .facts.name_len = strlen(name) };

	strcpy(tls.facts.name, name);
	return tls;
}

/* No certificate is known, which is asked for when the server has been chosen. */
static int choose_server(const char *name, struct route_tls *tls)
{
	const struct route_ask ask = from_outside();
	struct tls_context *context = NULL;

	*tls = tls_of(name);
	return router()->server(router(), &ask, name, strlen(name), &context, tls);
}

Test(proxy_rules, a_gateway_passes_some_names_through)
{
	const struct route_ask ask = from_outside();
	unsigned n[PODS + 1];
	struct route_tls tls;
	struct plan p;

	load(RULES(""));
	count(&ask, "pass.test", 40, n);
	cr_expect_eq(n[1] + n[2], 40u);
	count(&ask, "PASS.test", 4, n);
	cr_expect_eq(n[1] + n[2], 4u);
	want_closed(&ask, "closed.test", "NR");
	want_closed(&ask, NULL, "NR");
	/* Others' TLS is ended there, be it by an alert. */
	cr_expect_not(tunnel(&ask, "http.test", &p));
	cr_expect_not(tunnel(&ask, "tcp.test", &p));
	cr_expect_not(tunnel(&ask, "else.test", &p));
	cr_expect_not(tunnel(&ask, "", &p));
	cr_expect_not_null(router()->speaks_tls(router(), &ask, &stat));
	cr_expect_eq(choose_server("pass.test", &tls), -ENOENT);
	cr_expect_eq(choose_server("else.test", &tls), -ENOENT);
	cr_expect_eq(choose_server("http.test", &tls), -ENOKEY);
	cr_expect_not(tls.tcp);
	cr_expect_eq(choose_server("tcp.test", &tls), -ENOKEY);
	cr_expect(tls.tcp);
}

static unsigned status_of(struct route_tls *tls, const char *host)
{
	struct route_ask ask = from_outside();
	struct asked a = { .worker = 0 };
	int n = snprintf(a.text, sizeof(a.text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host);
	unsigned status;

	cr_assert_eq(h1_parse_request(a.text, (size_t)n, 0, &a.q), n);
	ask.request = &a.q;
	ask.tls = tls;
	router()->plan(router(), &ask, &rules_buffers, &a.plan);
	status = a.plan.answer.status;
	asked_release(&a);
	return status;
}

Test(proxy_rules, what_is_in_ended_tls_has_a_route_if_it_is_no_http)
{
	struct route_ask ask = from_outside();
	unsigned v1 = 0, v2 = 0;
	struct route_tls tls;
	struct target t;
	struct plan p;

	load(RULES(""));
	(void)choose_server("tcp.test", &tls);
	ask.tls = &tls;
	for (int i = 0; i < 400; i++) {
		unsigned pod;

		p = (struct plan){ 0 };
		cr_assert(router()->tunnel(router(), &ask, NULL, &p));
		pod = choose(&p, &t);
		v1 += pod == 1 || pod == 2;
		v2 += pod == 3 || pod == 4;
	}
	cr_expect(v1 >= 298 && v1 <= 302, "%u", v1);
	cr_expect_eq(v1 + v2, 400u);
	(void)choose_server("http.test", &tls);
	cr_expect_eq(status_of(&tls, "a.test"), 301u);
	p = (struct plan){ 0 };
	cr_assert(router()->tunnel(router(), &ask, NULL, &p));
	cr_expect_eq(p.action, PLAN_ANSWER, "it is HTTP's");
	cr_expect_str_eq(p.answer.flags, "NR");
}

Test(proxy_rules, rules_may_have_gone_while_a_hello_was_waited_for)
{
	const struct route_hello hello = { .tls = true, .name = { "pass.test", 9 } };
	struct route_ask outside = from_outside(), pod = from_pod(OTHER);
	struct plan p = { 0 };
	struct route_tls tls;

	load(RULES(""));
	(void)choose_server("tcp.test", &tls);
	rules_load(RULES(""));
	cr_expect_not(router()->tunnel(router(), &outside, &hello, &p));
	cr_expect_null(router()->speaks_tls(router(), &outside, &stat), "it is closed then");
	cr_expect_eq(choose_server("pass.test", &tls), -ENOENT);
	outside.tls = &tls;
	cr_expect(router()->tunnel(router(), &outside, NULL, &p));
	cr_expect_eq(p.action, PLAN_ANSWER);
	router()->release(router(), &p);
	/* The service is still there. */
	cr_expect_neq(0u, ({
			      cr_assert(router()->tunnel(router(), &pod, &hello, &p));
			      choose(&p, &(struct target){ 0 });
		      }));
}

/* ---- what DestinationRules say ---- */

Test(proxy_rules, a_tunnel_has_the_limits_of_its_cluster)
{
	const struct route_ask ask = from_pod(OTHER);
	struct target t;
	struct plan p;

	load(RULES(TRAFFIC("connectionPool: {tcp: {maxConnections: 7, connectTimeout: 3s, "
			   "idleTimeout: 40s, maxConnectionDuration: 90s, tcpKeepalive: {time: "
			   "20s}}, http: {idleTimeout: 5s}}")));
	cr_assert(tunnel(&ask, "mesh.test", &p));
	cr_expect(strstr(p.cluster->name, "outbound|80|v"), "%s", p.cluster->name);
	cr_expect_str_eq(p.route->name, "default/svc/http[2]");
	(void)choose(&p, &t);
	cr_expect_not_null(t.limit);
	cr_expect_eq(t.max.connections, 7u);
	cr_expect_eq(t.connect_timeout_ms, 3000u);
	cr_expect_eq(t.tunnel_idle_ms, 40000u);
	cr_expect_eq(t.max_duration_ms, 90000u);
	cr_expect_eq(t.keepalive.time_s, 20u);
	cr_expect_eq(p.route->rq_total, 0u, "there is no request");
	load(RULES(""));
	cr_assert(tunnel(&ask, "mesh.test", &p));
	(void)choose(&p, &t);
	cr_expect_eq(t.tunnel_idle_ms, 3600000u);
}

Test(proxy_rules, a_tunnel_s_client_keeps_its_endpoint_by_its_address)
{
	struct route_ask ask = from_outside();
	bool others = false;
	unsigned first;

	load(RULES(TRAFFIC("loadBalancer: {consistentHash: {useSourceIp: true}}")));
	first = endpoint(&ask, "pass.test");
	for (int i = 0; i < 20; i++) {
		ask.client_port = (uint16_t)(2000 + i);
		cr_expect_eq(endpoint(&ask, "pass.test"), first);
	}
	for (unsigned i = 2; i < 32 && !others; i++) {
		ask.client = ipv4(192, 0, 2, i);
		others = endpoint(&ask, "pass.test") != first;
	}
	cr_expect(others);
}

/* A consistentHash of HTTP's needs none there. */
Test(proxy_rules, a_tunnel_has_no_header_to_hash)
{
	const struct route_ask ask = from_pod(SLEEP);
	const char *const hashes[] = { "httpHeaderName: x", "httpQueryParameterName: x",
				       "httpCookie: {name: x, ttl: 60s}" };
	char yaml[8192];
	unsigned n[PODS + 1];

	for (size_t i = 0; i < sizeof(hashes) / sizeof(*hashes); i++) {
		snprintf(yaml, sizeof(yaml),
			 CLUSTER CLIENT(7, "sleep") POLICY
			 "  trafficPolicy: {loadBalancer: {consistentHash: {%s}}}\n" ROUTES GATEWAY,
			 hashes[i]);
		load(yaml);
		count(&ask, "mesh.test", 40, n);
		cr_expect_eq(n[1] + n[2], 40u, "%s", hashes[i]);
	}
}

Test(proxy_rules, an_endpoint_that_takes_no_tunnels_is_ejected)
{
	const struct route_ask ask = from_pod(SLEEP);
	unsigned n[PODS + 1];
	struct target t;
	struct plan p;

	load(RULES(TRAFFIC("outlierDetection: {splitExternalLocalOriginErrors: true, "
			   "consecutiveLocalOriginFailures: 3, interval: 10s, baseEjectionTime: "
			   "30s, maxEjectionPercent: 100}")));
	for (int failed = 0, i = 0; failed < 5; i++) {
		cr_assert_lt(i, 1000);
		cr_assert(tunnel(&ask, "mesh.test", &p));
		cr_assert_eq(router()->pick(router(), &p, 0, &t), PICK_OK);
		if (t.addr.b[15] == 1) {
			/* One that comes about in between begins the count anew. */
			if (++failed == 3)
				router()->reached(router(), &p);
			router()->done(router(), &p, &t,
				       failed == 3 ? OUTCOME_ABANDONED : OUTCOME_CONNECT, 0);
		} else {
			router()->done(router(), &p, &t, OUTCOME_ABANDONED, 0);
		}
		router()->release(router(), &p);
	}
	count(&ask, "mesh.test", 40, n);
	cr_expect_gt(n[1], 0u, "two in a row are not three");
	do {
		cr_assert(tunnel(&ask, "mesh.test", &p));
		cr_assert_eq(router()->pick(router(), &p, 0, &t), PICK_OK);
		router()->done(router(), &p, &t,
			       t.addr.b[15] == 1 ? OUTCOME_CONNECT : OUTCOME_ABANDONED, 0);
		router()->release(router(), &p);
	} while (p.cluster->ejections_enforced_total < 1);
	count(&ask, "mesh.test", 40, n);
	cr_expect_eq(n[1], 0u);
	cr_expect_eq(n[2], 40u);
}

Test(proxy_rules, a_network_policy_closes_a_tunnel)
{
	const struct route_ask sleep = from_pod(SLEEP), other = from_pod(OTHER);
	struct target t;
	struct plan p;

	load("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n"
	     "spec: {podSelector: {matchLabels: {app: svc}}, ingress: [{from: [{podSelector: "
	     "{matchLabels: {app: sleep}}}]}]}\n---\n" RULES(""));
	cr_assert(tunnel(&sleep, "mesh.test", &p));
	(void)choose(&p, &t);
	cr_expect_not(t.closed);
	cr_assert(tunnel(&other, "mesh.test", &p));
	(void)choose(&p, &t);
	cr_expect(t.closed);
}
