// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy's router: what of the rules reaches requests, one after the other and by several
 * workers. Which rule holds and what it says is test_http_route.c's.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proxy/route/router.h"
#include "proxy/route/router_priv.h"
#include "test_compile_util.h"

enum { WORKERS = 2, PODS = 4 };

static struct cluster_limit *limits;
static struct stats *stats;
static struct shared_state *state;
static struct registry *registry;
static struct snapshot_router *workers[WORKERS];
static struct buffer_pool buffers;
static void *snapshot; /* the last one */
static size_t snapshot_size;

static void setup(void)
{
	cr_assert_eq(limits_map(-1, &limits), 0);
	registry = registry_new();
	cr_assert_eq(stats_open(-1, -1, &stats), 0);
	state = shared_state_new(limits, stats);
	for (int i = 0; i < WORKERS; i++)
		cr_assert_eq(router_new(state, &workers[i]), 0);
}

static void teardown(void)
{
	for (int i = 0; i < WORKERS; i++)
		router_free(workers[i]);
	shared_state_free(state);
	stats_close(stats);
	limits_unmap(limits);
	buffer_pool_free(&buffers);
	registry_free(registry);
	free(snapshot);
}

TestSuite(proxy_rules, .init = setup, .fini = teardown, .timeout = 60);

/* ---- rules ---- */

#define SERVICE                                                                                 \
	"apiVersion: v1\nkind: Service\nmetadata: {name: svc}\n"                                \
	"spec: {clusterIP: 10.96.0.1, selector: {app: svc}, ports: [{name: http, port: 80}]}\n" \
	"---\n"
#define POD(n, version)                                                                  \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: p" #n                               \
	", labels: {app: svc, version: " version "}}\nspec: {containers: [{name: c}]}\n" \
	"status: {phase: Running, podIP: 10.0.0." #n ", podIPs: [{ip: 10.0.0." #n        \
	"}], conditions: [{type: Ready, status: \"True\"}]}\n---\n"
#define CLUSTER SERVICE POD(1, "v1") POD(2, "v1") POD(3, "v2") POD(4, "v2")
#define POLICY                                                                               \
	"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: svc}\n" \
	"spec:\n  host: svc\n"                                                               \
	"  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]\n"
#define RULE                                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: svc}\n" \
	"spec:\n  hosts: [svc]\n  http:\n"

static int to_file(const void *bytes, size_t size)
{
	int fd = memfd_create("snapshot", 0);

	cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
	return fd;
}

static void offer(int fd)
{
	struct config *c;

	cr_assert_eq(config_map(fd, &c), 0);
	for (int i = 0; i < WORKERS; i++) {
		router_offer(workers[i], c);
		router_interface(workers[i])->turn(router_interface(workers[i]));
	}
	config_unref(c);
	close(fd);
}

/* The second time, ids stay what they were. */
static void load(const char *yaml)
{
	struct objects objects = { 0 };
	struct errors errors = { 0 };
	struct tables *tables;
	int r = rules_parse("t.yaml", yaml, strlen(yaml), &objects, &errors, NULL);

	free(snapshot);
	snapshot = NULL;
	if (!r)
		r = compile(&objects, registry, COMPILE_HTTP_ALWAYS, &tables, &errors);
	cr_assert_eq(r, 0, "%s", errors_text(&errors));
	snapshot = TAKE_PTR(tables->http_bytes);
	snapshot_size = tables->http_size;
	tables_free(tables);
	objects_free(&objects);
	errors_free(&errors);
	offer(to_file(snapshot, snapshot_size));
	cr_assert_eq(router_adopted(workers[0]), 0);
}

/* ---- requests ---- */

struct asked {
	char text[4096];
	struct h1_request q;
	struct plan plan;
	struct target target;
	int worker;
};

static struct addr ipv4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	return (struct addr){ { [10] = 0xff, [11] = 0xff, a, b, c, d } };
}

static struct router *router_of(const struct asked *a)
{
	return router_interface(workers[a->worker]);
}

/* From 10.1.0.`client`, with fields of its own, each with CR LF behind it. */
static void plan(struct asked *a, unsigned client, const char *target, const char *fields)
{
	struct route_ask ask = { .request = &a->q,
				 .client = ipv4(10, 1, 0, client),
				 .called = ipv4(10, 96, 0, 1),
				 .client_port = 1000,
				 .called_port = 80 };
	int n = snprintf(a->text, sizeof(a->text), "GET %s HTTP/1.1\r\nHost: svc.default\r\n%s\r\n",
			 target, fields);

	cr_assert_eq(h1_parse_request(a->text, (size_t)n, 0, &a->q), n);
	memset(&a->plan, 0, sizeof(a->plan));
	router_of(a)->plan(router_of(a), &ask, &buffers, &a->plan);
}

/* The last number of the endpoint's address; 0: there is none. */
static unsigned pick(struct asked *a, unsigned n)
{
	enum pick p = router_of(a)->pick(router_of(a), &a->plan, n, &a->target);

	return p == PICK_OK ? a->target.addr.b[15] : 0;
}

static void done(struct asked *a, enum outcome outcome, unsigned status)
{
	router_of(a)->done(router_of(a), &a->plan, &a->target, outcome, status);
}

static void release(struct asked *a)
{
	router_of(a)->release(router_of(a), &a->plan);
	buf_release(&buffers, &a->plan.text);
}

/* A whole request; its endpoint. */
static unsigned ask_as(int worker, unsigned client, const char *fields, unsigned status)
{
	struct asked a = { .worker = worker };
	unsigned pod;

	plan(&a, client, "/", fields);
	cr_assert_eq(a.plan.action, PLAN_FORWARD, "%u", a.plan.answer.status);
	pod = pick(&a, 0);
	if (pod)
		done(&a, OUTCOME_STATUS, status);
	release(&a);
	return pod;
}

static unsigned ask(unsigned status)
{
	return ask_as(0, 1, "", status);
}

/* ---- snapshots ---- */

Test(proxy_rules, without_rules_every_request_is_refused)
{
	struct asked a = { 0 };

	plan(&a, 1, "/", "");
	cr_expect_eq(a.plan.action, PLAN_ANSWER);
	cr_expect_eq(a.plan.answer.status, 503u);
	cr_expect_str_eq(a.plan.answer.flags, "NC");
	release(&a);
}

Test(proxy_rules, a_damaged_snapshot_changes_nothing)
{
	load(CLUSTER);
	offer(to_file("nonsense", 8));
	cr_expect_lt(router_adopted(workers[0]), 0);
	cr_expect_neq(ask(200), 0u);
	offer(to_file(snapshot, snapshot_size));
	cr_expect_eq(router_adopted(workers[0]), 0);
}

Test(proxy_rules, a_request_goes_on_with_the_rules_it_began_with)
{
	struct asked a = { 0 };

	load(SERVICE POD(1, "v1"));
	plan(&a, 1, "/", "");
	load(SERVICE POD(2, "v1"));
	cr_expect_eq(pick(&a, 0), 1u);
	done(&a, OUTCOME_STATUS, 200);
	release(&a);
	cr_expect_eq(ask(200), 2u);
}

Test(proxy_rules, an_endpoint_that_left_is_known_to_be_gone)
{
	struct asked a = { 0 };
	struct router *r;

	load(SERVICE POD(1, "v1"));
	plan(&a, 1, "/", "");
	pick(&a, 0);
	r = router_of(&a);
	cr_expect_not(r->gone(r, a.target.endpoint));
	load(SERVICE POD(1, "v1") POD(2, "v1"));
	cr_expect_not(r->gone(r, a.target.endpoint));
	load(SERVICE POD(2, "v1"));
	cr_expect(r->gone(r, a.target.endpoint));
	load(SERVICE POD(1, "v1"));
	cr_expect_not(r->gone(r, a.target.endpoint), "it came back");
	done(&a, OUTCOME_STATUS, 200);
	release(&a);
}

/* ---- load balancing ---- */

Test(proxy_rules, round_robin_is_shared_by_workers)
{
	unsigned seen[PODS + 1] = { 0 };

	load(CLUSTER POLICY "  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}\n");
	for (int i = 0; i < 40; i++)
		seen[ask_as(i % WORKERS, 1, "", 200)]++;
	for (int i = 1; i <= PODS; i++)
		cr_expect_eq(seen[i], 10u, "%u at %d", seen[i], i);
}

Test(proxy_rules, of_two_the_less_busy_one)
{
	struct asked busy[20] = { 0 };
	unsigned seen[3] = { 0 };

	load(SERVICE POD(1, "v1") POD(2, "v1"));
	for (int i = 0; i < 20; i++) {
		busy[i].worker = i % WORKERS;
		plan(&busy[i], 1, "/", "");
		seen[pick(&busy[i], 0)]++;
	}
	/* Two draws may hit the same one, so they need not be equal. */
	cr_expect_geq(seen[1], 7u);
	cr_expect_geq(seen[2], 7u);
	for (int i = 0; i < 20; i++) {
		done(&busy[i], OUTCOME_STATUS, 200);
		release(&busy[i]);
	}
}

Test(proxy_rules, another_try_goes_to_those_that_have_not_been_tried)
{
	for (int round = 0; round < 50; round++) {
		struct asked a = { 0 };
		unsigned seen = 0;

		if (!round)
			load(CLUSTER);
		plan(&a, 1, "/", "");
		for (unsigned n = 0; n < PODS; n++) {
			seen |= 1u << pick(&a, n);
			done(&a, OUTCOME_CONNECT, 0);
		}
		cr_expect_eq(seen, 0x1eu, "%x", seen);
		cr_expect_neq(pick(&a, PODS), 0u, "and then again");
		done(&a, OUTCOME_CONNECT, 0);
		release(&a);
	}
}

Test(proxy_rules, weights_are_exact_whichever_worker_decides)
{
	unsigned v1 = 0;

	load(CLUSTER POLICY RULE "  - route: [{destination: {host: svc, subset: v1}, weight: 80}, "
				 "{destination: {host: svc, subset: v2}, weight: 20}]\n");
	for (int i = 0; i < 1000; i++)
		v1 += ask_as(i * 7 / 3 % WORKERS, 1, "", 200) <= 2;
	cr_expect_leq(abs((int)v1 - 800), 2, "%u of 1000", v1);
}

Test(proxy_rules, another_try_may_go_to_the_same_one_if_the_rule_says_so)
{
	unsigned same = 0;

	load(CLUSTER POLICY RULE "  - route: [{destination: {host: svc}}]\n"
				 "    retries: {attempts: 1, retryIgnorePreviousHosts: false}\n");
	for (int i = 0; i < 200; i++) {
		struct asked a = { 0 };
		unsigned first;

		plan(&a, 1, "/", "");
		first = pick(&a, 0);
		done(&a, OUTCOME_CONNECT, 0);
		same += pick(&a, 1) == first;
		done(&a, OUTCOME_CONNECT, 0);
		release(&a);
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

Test(proxy_rules, an_endpoint_is_new_if_the_last_snapshot_had_it_not)
{
	struct endpoint_state e = { 0 };

	router_see(&e, 1, 0, 100);
	cr_expect_eq(e.since, 100u);
	router_see(&e, 1, 0, 101);
	router_see(&e, 2, 1, 200);
	router_see(&e, 4, 2, 300); /* the third was damaged */
	cr_expect_eq(e.since, 100u);
	router_see(&e, 6, 5, 400);
	cr_expect_eq(e.since, 400u);
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

	load(WARMUP("warmup: {duration: 1.5s, minimumPercent: 1}"));
	usleep(1600 * 1000);
	load(WARMUP("warmup: {duration: 1.5s, minimumPercent: 1}") POD(4, "v2"));
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

	load(WARMUP("warmupDurationSecs: 300s") POD(4, "v2"));
	n = asked_fourth(2000);
	cr_expect(n > 400 && n < 600, "%u of 2000", n);
}

/* ---- consistentHash ---- */

#define HASH(key) CLUSTER POLICY "  trafficPolicy: {loadBalancer: {consistentHash: {" key "}}}\n"

static void want_sticky(const char *format)
{
	unsigned pods[100], seen = 0;
	char fields[128];

	for (int i = 0; i < 100; i++) {
		snprintf(fields, sizeof(fields), format, i);
		pods[i] = ask_as(0, 1, fields, 200);
		seen |= 1u << pods[i];
	}
	cr_expect_eq(seen, 0x1eu, "all of them are used: %x", seen);
	for (int i = 0; i < 100; i++) {
		snprintf(fields, sizeof(fields), format, i);
		cr_expect_eq(ask_as(i % WORKERS, 2, fields, 200), pods[i]);
	}
}

Test(proxy_rules, hash_of_a_header)
{
	load(HASH("httpHeaderName: X-User"));
	want_sticky("x-user: %d\r\n");
}

Test(proxy_rules, hash_of_a_cookie)
{
	load(HASH("httpCookie: {name: user}"));
	want_sticky("cookie: a=b\r\ncookie: c=d; user=%d; user2=x\r\n");
	cr_expect_eq(ask_as(0, 1, "cookie: user=7\r\n", 200),
		     ask_as(0, 1, "cookie: user=\"7\"\r\n", 200));
}

Test(proxy_rules, hash_of_a_query_parameter)
{
	unsigned seen = 0;

	load(HASH("httpQueryParameterName: user"));
	for (int i = 0; i < 100; i++) {
		struct asked a = { 0 }, b = { .worker = 1 };
		char target[64];

		snprintf(target, sizeof(target), "/?x=1&user=%d", i);
		plan(&a, 1, target, "");
		snprintf(target, sizeof(target), "/other?user=%d&y", i);
		plan(&b, 2, target, "");
		seen |= 1u << pick(&a, 0);
		cr_expect_eq(pick(&b, 0), a.target.addr.b[15]);
		done(&a, OUTCOME_STATUS, 200);
		done(&b, OUTCOME_STATUS, 200);
		release(&a);
		release(&b);
	}
	cr_expect_eq(seen, 0x1eu);
}

Test(proxy_rules, hash_of_the_clients_address)
{
	unsigned seen = 0;

	load(HASH("useSourceIp: true"));
	for (unsigned i = 0; i < 100; i++) {
		unsigned pod = ask_as(0, i, "", 200);

		seen |= 1u << pod;
		cr_expect_eq(ask_as(1, i, "x: y\r\n", 200), pod);
	}
	cr_expect_eq(seen, 0x1eu);
}

/* When one goes away, only its own keys move. */
Test(proxy_rules, hash_when_an_endpoint_goes_away)
{
	unsigned pods[100];
	char fields[32];

	load(HASH("httpHeaderName: x-user"));
	for (int i = 0; i < 100; i++) {
		snprintf(fields, sizeof(fields), "x-user: %d\r\n", i);
		pods[i] = ask_as(0, 1, fields, 200);
	}
	load(SERVICE POD(1, "v1") POD(2, "v1") POD(3, "v2") POLICY
	     "  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}\n");
	for (int i = 0; i < 100; i++) {
		unsigned pod;

		snprintf(fields, sizeof(fields), "x-user: %d\r\n", i);
		pod = ask_as(0, 1, fields, 200);
		cr_expect(pod == pods[i] || pods[i] == 4);
	}
}

static struct h1_span cookie_of(const struct asked *a)
{
	for (size_t i = 0; i < a->plan.response.count; i++)
		if (h1_is_nocase(a->plan.response.items[i].name, "set-cookie"))
			return a->plan.response.items[i].value;
	return (struct h1_span){ 0 };
}

Test(proxy_rules, a_missing_cookie_is_made_and_leads_back)
{
	load(HASH("httpCookie: {name: user, path: /p, ttl: 90.5s, attributes: [{name: SameSite, "
		  "value: Strict}, {name: Secure}]}"));
	for (unsigned i = 0; i < 50; i++) {
		struct asked a = { 0 }, b = { .worker = 1 };
		struct h1_span cookie;
		char fields[128];
		char value[32];

		plan(&a, i, "/", "");
		pick(&a, 0);
		cookie = cookie_of(&a);
		cr_assert_eq(sscanf(cookie.p, "user=\"%31[0-9a-f]\"", value), 1);
		snprintf(fields, sizeof(fields),
			 "user=\"%s\"; Max-Age=90; Path=/p; SameSite=Strict; Secure; HttpOnly",
			 value);
		cr_expect(h1_is(cookie, fields), "%.*s", (int)cookie.n, cookie.p);
		snprintf(fields, sizeof(fields), "cookie: user=\"%s\"\r\n", value);
		plan(&b, 77, "/", fields);
		cr_expect_eq(pick(&b, 0), a.target.addr.b[15]);
		cr_expect_null(cookie_of(&b).p, "it has one");
		done(&a, OUTCOME_STATUS, 200);
		done(&b, OUTCOME_STATUS, 200);
		release(&a);
		release(&b);
	}
}

Test(proxy_rules, without_a_ttl_no_cookie_is_made)
{
	struct asked a = { 0 };

	load(HASH("httpCookie: {name: user}"));
	plan(&a, 1, "/", "");
	cr_expect_null(cookie_of(&a).p);
	release(&a);
	load(HASH("httpCookie: {name: user, ttl: 0s}"));
	plan(&a, 1, "/", "");
	cr_expect(strncmp(cookie_of(&a).p, "user=\"", 6) == 0);
	cr_expect_null(memmem(cookie_of(&a).p, cookie_of(&a).n, "Max-Age", 7), "of the session");
	release(&a);
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

		plan(&a, 1, "/", "");
		pod = pick(&a, 0);
		seen |= 1u << pod;
		if (pod)
			done(&a, OUTCOME_STATUS, pod <= bad ? 500 : 200);
		release(&a);
	}
	return seen;
}

Test(proxy_rules, an_ejected_endpoint_is_left_alone_by_all_workers)
{
	load(OUTLIERS(", maxEjectionPercent: 50"));
	ask_many(1);
	cr_expect_eq(ask_many(1), 0x1cu);
	ask_many(3);
	cr_expect_eq(ask_many(3), 0x18u, "no more than the half");
}

Test(proxy_rules, it_stays_out_with_the_next_rules)
{
	load(OUTLIERS(", maxEjectionPercent: 100"));
	ask_many(1);
	load(OUTLIERS(", maxEjectionPercent: 99"));
	cr_expect_eq(ask_many(0), 0x1cu);
	load(CLUSTER POLICY "  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}\n");
	cr_expect_eq(ask_many(0), 0x1eu, "without detection none is out");
}

Test(proxy_rules, all_out)
{
	load(OUTLIERS(", maxEjectionPercent: 100"));
	ask_many(4);
	cr_expect_eq(ask_many(4), 1u);
}

Test(proxy_rules, too_few_are_better_than_enough_that_are_ill)
{
	load(OUTLIERS(", maxEjectionPercent: 100, minHealthPercent: 50"));
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

	load(yaml);
	ask(500);
	ask(500);
	cr_expect_eq(ask(200), 0u);
	for (int i = 0; i < 8; i++)
		seen |= 1u << ask_as(0, 1, "all: x\r\n", 200);
	cr_expect_eq(seen, 0x1eu);
	cr_expect_eq(ask(200), 0u, "still out");
}

/* ---- limits ---- */

Test(proxy_rules, limits_arrive_and_are_one_for_all_workers)
{
	struct asked a = { 0 }, b = { .worker = 1 };

	load(CLUSTER POLICY
	     "  trafficPolicy: {connectionPool: {tcp: {maxConnections: 5, "
	     "connectTimeout: 7s, maxConnectionDuration: 8s, idleTimeout: 9s}, http: "
	     "{http1MaxPendingRequests: 1, http2MaxRequests: 2, maxRetries: 3, "
	     "maxRequestsPerConnection: 4}}}\n");
	plan(&a, 1, "/", "");
	plan(&b, 1, "/", "");
	pick(&a, 0);
	pick(&b, 0);
	cr_expect_eq(a.target.limit, b.target.limit);
	cr_expect_eq(a.target.max.connections, 5u);
	cr_expect_eq(a.target.max.pending, 1u);
	cr_expect_eq(a.target.max.requests, 2u);
	cr_expect_eq(a.target.max.retries, 3u);
	cr_expect_eq(a.target.max_requests_per_connection, 4u);
	cr_expect_eq(a.target.connect_timeout_ms, 7000u);
	cr_expect_eq(a.target.max_duration_ms, 8000u);
	cr_expect_eq(a.target.idle_timeout_ms, 9000u, "tcp's, where http says nothing");
	cr_assert_lt(a.target.limit->connections - limits, (long)CLUSTER_IDS_MAX);
	done(&a, OUTCOME_STATUS, 200);
	done(&b, OUTCOME_STATUS, 200);
	release(&a);
	release(&b);
}

Test(proxy_rules, keepalive_arrives)
{
	struct asked a = { 0 };

	load(CLUSTER POLICY "  trafficPolicy: {connectionPool: {tcp: {tcpKeepalive: {probes: 5, "
			    "time: 7s, interval: 2s}}}}\n");
	plan(&a, 1, "/", "");
	pick(&a, 0);
	cr_expect(a.target.keepalive.given);
	cr_expect_eq(a.target.keepalive.probes, 5u);
	cr_expect_eq(a.target.keepalive.time_s, 7u);
	cr_expect_eq(a.target.keepalive.interval_s, 2u);
	done(&a, OUTCOME_STATUS, 200);
	release(&a);
}

Test(proxy_rules, a_budget_of_retries_arrives)
{
	struct asked a = { 0 };

	load(CLUSTER POLICY "  trafficPolicy: {retryBudget: {percent: 12.5, minRetryConcurrency: "
			    "7}}\n");
	plan(&a, 1, "/", "");
	pick(&a, 0);
	cr_expect(a.target.max.retry_budget);
	cr_expect_eq(a.target.max.retry_share, 125000u);
	cr_expect_eq(a.target.max.retry_least, 7u);
	done(&a, OUTCOME_STATUS, 200);
	release(&a);
	load(CLUSTER POLICY "  trafficPolicy: {retryBudget: {}, loadBalancer: {simple: RANDOM}}\n");
	plan(&a, 1, "/", "");
	pick(&a, 0);
	cr_expect_eq(a.target.max.retry_share, 200000u);
	cr_expect_eq(a.target.max.retry_least, 3u);
	done(&a, OUTCOME_STATUS, 200);
	release(&a);
}

/* ---- what routes say ---- */

static unsigned mirrored(unsigned *copies, size_t most)
{
	struct asked a = { 0 };
	struct target t;
	unsigned n = 0;

	plan(&a, 1, "/", "");
	cr_expect(!a.plan.mirror_count || h1_is(a.plan.mirror_authority, "svc.default-shadow"));
	cr_assert_leq(a.plan.mirror_count, most);
	for (size_t i = 0; i < a.plan.mirror_count; i++)
		if (router_of(&a)->pick_mirror(router_of(&a), &a.plan, i, &t) == PICK_OK) {
			copies[i]++;
			n++;
		}
	release(&a);
	return n;
}

#define ROUTE "  - route: [{destination: {host: svc, subset: v1}}]\n"
#define MIRROR(percent) \
	"    - {destination: {host: svc, subset: v2}, percentage: {value: " percent "}}\n"

Test(proxy_rules, mirrors_have_their_exact_share)
{
	static const unsigned want[] = { 500, 0, 1000, 100, 1, 333, 990, 50, 250, 750 };
	unsigned copies[10] = { 0 };

	load(CLUSTER POLICY RULE ROUTE "    mirrors:\n" MIRROR("50") MIRROR("0.1") MIRROR("100")
		     MIRROR("10") MIRROR("0.1") MIRROR("33.3") MIRROR("99") MIRROR("5") MIRROR("25")
			     MIRROR("75"));
	for (int i = 0; i < 1000; i++)
		mirrored(copies, 10);
	for (int i = 0; i < 10; i++)
		cr_expect_leq(abs((int)copies[i] - (int)want[i]), 2, "mirror %d: %u of 1000", i,
			      copies[i]);
}

Test(proxy_rules, old_mirror_percent_and_none)
{
	unsigned copies[1] = { 0 };

	load(CLUSTER POLICY RULE ROUTE
	     "    mirror: {host: svc, subset: v2}\n    mirror_percent: 0\n");
	for (int i = 0; i < 100; i++)
		mirrored(copies, 1);
	cr_expect_eq(copies[0], 0u);
	load(CLUSTER POLICY RULE ROUTE "    mirror: {host: svc, subset: v2}\n");
	for (int i = 0; i < 100; i++)
		mirrored(copies, 1);
	cr_expect_eq(copies[0], 100u);
}

Test(proxy_rules, faults_have_their_exact_share)
{
	unsigned delayed = 0, aborted = 0, both = 0;

	load(CLUSTER POLICY RULE ROUTE
	     "    fault: {delay: {fixedDelay: 7s, percentage: {value: 30}}, abort: {httpStatus: "
	     "418, percentage: {value: 20}}}\n    timeout: 3s\n");
	for (int i = 0; i < 1000; i++) {
		struct asked a = { .worker = i % WORKERS };

		plan(&a, 1, "/", "");
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
		release(&a);
	}
	cr_expect_leq(abs((int)delayed - 300), 2, "%u delayed", delayed);
	cr_expect_leq(abs((int)aborted - 200), 2, "%u aborted", aborted);
	cr_expect_leq(abs((int)both - 60), 15, "%u both: they are independent", both);
}

Test(proxy_rules, an_abort_with_a_grpc_status)
{
	struct asked a = { 0 };

	load(CLUSTER POLICY RULE ROUTE
	     "    fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}}\n");
	plan(&a, 1, "/", "");
	cr_expect_eq(a.plan.answer.status, 200u);
	cr_assert_eq(a.plan.answer.header_count, 3u);
	cr_expect(h1_is(a.plan.answer.headers[0].value, "application/grpc"));
	cr_expect(h1_is(a.plan.answer.headers[1].name, "grpc-status"));
	cr_expect(h1_is(a.plan.answer.headers[1].value, "14"));
	cr_expect(h1_is(a.plan.answer.headers[2].value, "fault filter abort"));
	release(&a);
}

Test(proxy_rules, retries_are_carried_out_as_given)
{
	struct asked a = { 0 };

	load(CLUSTER POLICY RULE ROUTE
	     "    retries: {attempts: 5, perTryTimeout: 2s, retryOn: \"retriable-4xx,unavailable,"
	     "envoy-ratelimited,418\"}\n");
	plan(&a, 1, "/", "");
	cr_expect_eq(a.plan.retries, 5u);
	cr_expect_eq(a.plan.per_try_timeout_ms, 2000u);
	cr_expect_eq(a.plan.retry_on,
		     PLAN_RETRY_4XX | PLAN_RETRY_UNAVAILABLE | PLAN_RETRY_RATELIMITED);
	cr_assert_eq(a.plan.retry_status_count, 1u);
	cr_expect_eq(a.plan.retry_statuses[0], 418u);
	cr_expect(a.plan.count_tries);
	release(&a);
	load(CLUSTER);
	plan(&a, 1, "/", "");
	cr_expect_eq(a.plan.retries, 2u);
	cr_expect_eq(a.plan.retry_on,
		     PLAN_RETRY_CONNECT_FAILURE | PLAN_RETRY_UNAVAILABLE | PLAN_RETRY_CANCELLED);
	cr_expect_eq(a.plan.backoff_ms, 25u);
	cr_expect_eq(a.plan.timeout_ms, 0u);
	release(&a);
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
	load(yaml);
	free(yaml);
	plan(&a, 1, "/", "");
	cr_assert_eq(a.plan.request.count, 200u);
	cr_assert_eq(a.plan.response.count, 1u);
	cr_expect(h1_is(a.plan.request.items[199].value, "a199"));
	cr_expect(h1_is(a.plan.response.items[0].name, "x-r"));
	release(&a);
	plan(&a, 1, "/", "plain: x\r\n");
	cr_expect_eq(a.plan.request.count, 0u);
	release(&a);
}

Test(proxy_rules, a_rewrite_to_what_is_no_path_is_not_sent_on)
{
	struct asked a = { 0 };

	load(CLUSTER POLICY RULE "  - match: [{uri: {prefix: /a}}]\n"
				 "    rewrite: {uriRegexRewrite: {match: \"^/a/(.*)$\", rewrite: "
				 "\"\\\\1\"}}\n"
				 "    route: [{destination: {host: svc}}]\n");
	plan(&a, 1, "/a/b", "");
	cr_expect_eq(a.plan.action, PLAN_ANSWER);
	cr_expect_eq(a.plan.answer.status, 500u);
	release(&a);
}

Test(proxy_rules, a_subset_that_nobody_defines)
{
	struct asked a = { 0 };

	load(CLUSTER RULE ROUTE);
	plan(&a, 1, "/", "");
	cr_expect_eq(a.plan.action, PLAN_ANSWER);
	cr_expect_eq(a.plan.answer.status, 503u);
	cr_expect_str_eq(a.plan.answer.flags, "NC");
	release(&a);
}

Test(proxy_rules, a_subset_without_endpoints)
{
	load(SERVICE POD(3, "v2") POLICY RULE ROUTE);
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

	load(CLUSTER);
	cr_assert_gt(h1_parse_request(text, sizeof(text) - 1, 0, &a.q), 0);
	router_of(&a)->plan(router_of(&a), &ask, &buffers, &a.plan);
	cr_expect_eq(a.plan.action, PLAN_FORWARD);
	cr_expect_eq(pick(&a, 0), 9u);
	cr_expect_eq(a.target.port, 8080u);
	done(&a, OUTCOME_STATUS, 200);
	release(&a);
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
	router_of(a)->plan(router_of(a), &ask, &buffers, &a->plan);
}

Test(proxy_rules, a_service_whose_address_the_node_has_comes_first_for_pods)
{
	struct addr pod = ipv4(10, 0, 0, 1), service = ipv4(10, 96, 0, 1);
	struct asked a;

	load(CLUSTER RULE "  - route: [{destination: {host: svc}}]\n" GATEWAY);
	plan_at_node(&a, "svc.default", pod, service);
	cr_expect_eq(a.plan.action, PLAN_FORWARD);
	release(&a);
	plan_at_node(&a, "svc.default", ipv4(203, 0, 113, 9), service);
	cr_expect_eq(a.plan.answer.status, 301u);
	release(&a);
	plan_at_node(&a, "svc.default", pod, ipv4(10, 1, 1, 1));
	cr_expect_eq(a.plan.answer.status, 301u);
	release(&a);
}

Test(proxy_rules, the_node_itself_is_not_passed_through_to)
{
	struct asked a;

	load(CLUSTER);
	plan_at_node(&a, "elsewhere.example", ipv4(10, 0, 0, 1), ipv4(10, 1, 1, 1));
	cr_expect_eq(a.plan.action, PLAN_ANSWER);
	cr_expect_eq(a.plan.answer.status, 404u);
	release(&a);
}

/* ---- what requests say of themselves ---- */

/* Rules go by what endpoints get to see. */
Test(proxy_rules, no_rule_goes_by_a_field_that_only_the_mesh_may_set)
{
	static const char *const forged[] = { "X-Forwarded-Client-Cert: x\r\n",
					      "x_forwarded_client_cert: x\r\n" };
	struct asked a = { 0 };

	load(CLUSTER RULE "  - match: [{headers: {x-forwarded-client-cert: {}}}]\n"
			  "    redirect: {uri: /fooled}\n"
			  "  - match: [{headers: {x-envoy-retry-on: {}}}]\n"
			  "    redirect: {uri: /fooled}\n"
			  "  - match: [{headers: {x-envoy-decorator-operation: {}}}]\n"
			  "    redirect: {uri: /told}\n"
			  "  - route: [{destination: {host: svc}}]\n");
	for (size_t i = 0; i < sizeof(forged) / sizeof(*forged); i++) {
		plan(&a, 1, "/", forged[i]);
		cr_expect_eq(a.plan.action, PLAN_FORWARD, "%s", forged[i]);
		release(&a);
	}
	plan(&a, 1, "/", "X-Envoy-Retry-On: 5xx\r\n");
	cr_expect_eq(a.plan.action, PLAN_FORWARD);
	release(&a);
	plan(&a, 1, "/", "X-Envoy-Decorator-Operation: x\r\n");
	cr_expect_eq(a.plan.answer.status, 301u);
	release(&a);
}

Test(proxy_rules, at_a_gateway_none_of_envoys_fields_counts)
{
	struct asked a;

	load("apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw}\n"
	     "spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, "
	     "protocol: HTTP}, hosts: ['*']}]}\n---\n"
	     "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: outside}\n"
	     "spec: {hosts: ['*'], gateways: [gw], http: [{match: [{headers: "
	     "{x-envoy-decorator-operation: {}}}], redirect: {uri: /fooled}}]}\n");
	plan_at_node(&a, "h\r\nX-Envoy-Decorator-Operation: x", ipv4(203, 0, 113, 9),
		     ipv4(10, 1, 1, 1));
	cr_expect_eq(a.plan.answer.status, 404u);
	release(&a);
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

	load(CLUSTER RULE "  - match: [{uri: {exact: /}}]\n"
			  "    rewrite: {uri: /ruled}\n"
			  "    route: [{destination: {host: svc}}]\n");
	cr_assert_gt(h1_parse_request(text, sizeof(text) - 1, 0, &a.q), 0);
	router_of(&a)->plan(router_of(&a), &ask, &buffers, &a.plan);
	cr_expect_eq(a.plan.action, PLAN_FORWARD);
	cr_expect(h1_is(a.plan.authority, "10.96.0.1"), "the endpoint is told '%.*s'",
		  (int)a.plan.authority.n, a.plan.authority.p);
	cr_expect(h1_is(a.plan.path, "/ruled"));
	release(&a);
	ask.called_port = 8080;
	memset(&a.plan, 0, sizeof(a.plan));
	router_of(&a)->plan(router_of(&a), &ask, &buffers, &a.plan);
	cr_expect(h1_is(a.plan.authority, "10.96.0.1:8080"));
	release(&a);
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

	load(CLUSTER RULE "  - redirect: {uri: /ruled}\n");
	cr_assert_gt(h1_parse_request(text, sizeof(text) - 1, 0, &a.q), 0);
	router_of(&a)->plan(router_of(&a), &ask, &buffers, &a.plan);
	cr_expect_eq(a.plan.answer.status, 301u);
	release(&a);
}
