// SPDX-License-Identifier: Apache-2.0
/*
 * What is counted of a request, to the last one.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/histogram.h"
#include "lib/base/http_stat_fields.h"
#include "proxy/route/router.h"
#include "proxy/route/router_version.h"
#include "test_http_util.h"
#include "test_proxy_script.h"

static struct env *e;
static struct cluster_limit connections;
static uint32_t held;
static struct limit limit;

static void setup(void)
{
	e = env_new(NULL);
	connections = (struct cluster_limit){ 0 };
	limit = (struct limit){ .connections = &connections, .held = &held };
}

static void teardown(void)
{
	/* The last client may have had its response before the proxy counts that. */
	for (int i = 0;
	     i < 200 && __atomic_load_n(&e->cluster.upstream_rq_active[0], __ATOMIC_RELAXED); i++)
		wait_ms(5);
	cr_expect_eq(e->cluster.upstream_rq_active[0], 0u);
	cr_expect_eq(e->cluster.upstream_rq_pending_active[0], 0u);
	env_free(e);
}

TestSuite(proxy_counters, .init = setup, .fini = teardown, .timeout = 60);

/* In bytes, a request is 28 at the endpoint, a response 39. */

/* What every one of them has that got one connection and kept it. */
#define ONE_CX "upstream_cx_total 1, upstream_cx_http1_total 1, upstream_cx_active 1, "

Test(proxy_counters, requests_one_after_the_other)
{
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
	PLAY("C> GET /a", "U> GET /a", "U< 503", "C< 503");
	PLAY("S cluster only " ONE_CX
	     "upstream_cx_rx_bytes_total 117, upstream_cx_tx_bytes_total 84, "
	     "upstream_rq_total 3, upstream_rq_pending_total 1, upstream_rq_completed 3, "
	     "upstream_rq_2xx 2, upstream_rq_5xx 1, upstream_rq_time 3",
	     "S route only upstream_rq_total 3, upstream_rq_completed 3, upstream_rq_2xx 2, "
	     "upstream_rq_5xx 1, upstream_rq_time 3");
	PLAY("U< END", "S cluster upstream_cx_destroy_remote 1, upstream_cx_active 0");
}

Test(proxy_counters, time_is_that_of_the_endpoint)
{
	e->plan.delay_ms = 300;
	PLAY("C> GET /a", "U> GET /a", "T 120", "U< 200", "C< 200", "L 200 DI",
	     "S cluster upstream_rq_time 1");
	cr_expect_geq(histogram_quantile(&e->cluster.upstream_rq_time, 1), 120.0);
	cr_expect_lt(histogram_quantile(&e->cluster.upstream_rq_time, 0), 290.0);
}

Test(proxy_counters, refused_by_a_limit)
{
	e->target.limit = &limit;
	e->target.max = (struct limit_max){ .connections = 1, .pending = 1 };
	PLAY("C> GET /a", "U> GET /a", "C2> GET /a", "T 50");
	for (int i = 0; i < 3; i++)
		PLAY("C3> GET /a", "C3< 503...");
	PLAY("S cluster upstream_rq_pending_active 1", "U< 200", "C< 200");
	PLAY("U> GET /a", "U< 200", "C2< 200");
	PLAY("S cluster only " ONE_CX "upstream_cx_overflow 1, "
	     "upstream_cx_rx_bytes_total 78, upstream_cx_tx_bytes_total 56, "
	     "upstream_rq_total 2, upstream_rq_pending_total 2, upstream_rq_pending_overflow 3, "
	     "upstream_rq_completed 5, upstream_rq_2xx 2, upstream_rq_5xx 3");
}

Test(proxy_counters, no_healthy_endpoint)
{
	e->pick = PICK_NONE;
	PLAY("C> GET /a", "C< 503...no healthy upstream", "L 503 UH no_healthy_upstream");
	PLAY("S cluster only upstream_cx_none_healthy 1, upstream_rq_completed 1, "
	     "upstream_rq_5xx 1");
}

static const uint32_t no_good[] = { 503 };

static void retry_503(uint32_t times)
{
	e->plan.retries = times;
	e->plan.retry_statuses = no_good;
	e->plan.retry_status_count = 1;
}

Test(proxy_counters, a_retry_that_succeeds)
{
	retry_503(2);
	PLAY("C> GET /a", "U> GET /a", "U< 503", "U2> GET /a", "U2< 200", "C< 200", "L 200 -");
	PLAY("S cluster only upstream_cx_total 2, upstream_cx_http1_total 2, upstream_cx_active 1, "
	     "upstream_cx_destroy 1, upstream_cx_destroy_local 1, upstream_cx_rx_bytes_total 78, "
	     "upstream_cx_tx_bytes_total 56, upstream_rq_total 2, upstream_rq_pending_total 2, "
	     "upstream_rq_retry 1, upstream_rq_retry_success 1, upstream_rq_completed 1, "
	     "upstream_rq_2xx 1",
	     "S route only upstream_rq_total 2, upstream_rq_retry 1, upstream_rq_retry_success 1, "
	     "upstream_rq_completed 1, upstream_rq_2xx 1");
}

Test(proxy_counters, retries_used_up)
{
	retry_503(1);
	PLAY("C> GET /a", "U> GET /a", "U< 503", "U2> GET /a", "U2< 503", "C< 503", "L 503 URX");
	PLAY("S cluster upstream_rq_retry 1, upstream_rq_retry_success 0, "
	     "upstream_rq_retry_limit_exceeded 1, upstream_rq_5xx 1",
	     "S route upstream_rq_retry_limit_exceeded 1");
}

Test(proxy_counters, nobody_listens)
{
	close(env_listen(&e->target.port));
	e->plan.retries = 2;
	e->plan.retry_on = PLAN_RETRY_CONNECT_FAILURE;
	PLAY("C> GET /a", "C< 503...",
	     "L 503 UF,URX upstream_reset_before_response_started{connection_failure}");
	PLAY("S cluster only upstream_cx_total 3, upstream_cx_http1_total 3, "
	     "upstream_cx_connect_fail 3, upstream_cx_destroy 3, upstream_cx_destroy_remote 3, "
	     "upstream_rq_pending_total 3, upstream_rq_pending_failure_eject 3, "
	     "upstream_rq_retry 2, upstream_rq_retry_limit_exceeded 1, upstream_rq_completed 1, "
	     "upstream_rq_5xx 1");
}

Test(proxy_counters, the_routes_timeout)
{
	e->plan.timeout_ms = 100;
	PLAY("C> GET /a", "U> GET /a", "C< 504...", "U> GONE",
	     "L 504 UT upstream_response_timeout");
	PLAY("S cluster upstream_rq_timeout 1, upstream_rq_per_try_timeout 0, "
	     "upstream_rq_tx_reset 1, upstream_rq_5xx 1",
	     "S route upstream_rq_timeout 1");
}

Test(proxy_counters, the_timeout_of_each_try)
{
	e->plan.per_try_timeout_ms = 100;
	e->plan.retries = 1;
	e->plan.retry_on = PLAN_RETRY_5XX;
	PLAY("C> GET /a", "U> GET /a", "U> GONE", "U> GET /a", "U> GONE", "C< 504...",
	     "L 504 UT,URX upstream_per_try_timeout");
	PLAY("S cluster upstream_rq_per_try_timeout 2, upstream_rq_timeout 0, upstream_rq_retry 1, "
	     "upstream_rq_completed 1");
}

Test(proxy_counters, the_client_leaves)
{
	PLAY("C> GET /a", "U> GET /a", "C> RST", "U> GONE", "L 0 DC downstream_remote_disconnect");
	PLAY("S cluster only upstream_cx_total 1, upstream_cx_http1_total 1, "
	     "upstream_cx_destroy 1, upstream_cx_destroy_local 1, upstream_cx_tx_bytes_total 28, "
	     "upstream_rq_total 1, upstream_rq_pending_total 1, upstream_rq_tx_reset 1");
}

Test(proxy_counters, the_endpoint_leaves)
{
	PLAY("C> POST /a HTTP/1.1|Host: h|Content-Length: 3||abc",
	     "U> POST /a HTTP/1.1|host: h|Content-Length: 3||abc", "U< END",
	     "C< 503...connection termination", "L 503 UC");
	PLAY("S cluster upstream_rq_rx_reset 1, upstream_rq_tx_reset 0, "
	     "upstream_cx_destroy_remote 1, upstream_rq_5xx 1, upstream_rq_time 0");
}

Test(proxy_counters, the_endpoint_breaks_off)
{
	PLAY("C> GET /a", "U> GET /a", "U< 200 OK|Content-Length: 10||hi",
	     "C< 200 OK|Content-Length: 10||hi", "U< END", "C< GONE",
	     "L 200 UC upstream_reset_after_response_started{connection_termination}");
	PLAY("S cluster upstream_rq_2xx 1, upstream_rq_rx_reset 1");
}

Test(proxy_counters, what_is_not_http)
{
	PLAY("C> GET /a", "U> GET /a", "U< hi|", "C< 502...", "L 502 UPE");
	PLAY("S cluster upstream_cx_protocol_error 1, upstream_rq_tx_reset 1");
}

Test(proxy_counters, a_connection_used_up)
{
	e->target.max_requests_per_connection = 1;
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200", "U> END");
	PLAY("C> GET /a", "U2> GET /a", "U2< 200", "C< 200", "U2> END");
	PLAY("S cluster upstream_cx_max_requests 2, upstream_cx_total 2, "
	     "upstream_cx_destroy_local 2");
}

Test(proxy_counters, a_connection_not_in_use)
{
	e->target.idle_timeout_ms = 50;
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200", "U> END");
	PLAY("S cluster upstream_cx_idle_timeout 1");
}

Test(proxy_counters, copies_count_for_their_own_cluster)
{
	env_mirror(e);
	PLAY("C> GET /a", "U> GET /a", "M> GET /a HTTP/1.1|host: h-shadow||", "M< 503", "U< 200",
	     "C< 200");
	PLAY("S shadow only " ONE_CX
	     "upstream_cx_rx_bytes_total 39, upstream_cx_tx_bytes_total 35, "
	     "upstream_rq_total 1, upstream_rq_completed 1, upstream_rq_5xx 1, upstream_rq_time 1",
	     "S route rq_mirrored 1", "S cluster upstream_rq_total 1, upstream_rq_5xx 0");
}

TestSuite(proxy_stats, .timeout = 60);

static int map_like(size_t row_size)
{
	int fd = memfd_create("map", MFD_CLOEXEC);

	cr_assert_eq(ftruncate(fd, (off_t)(row_size * HTTP_STAT_ROWS)), 0);
	return fd;
}

Test(proxy_stats, counters_outlive_the_process_and_others_know_whose_gauges_are)
{
	int clusters = map_like(sizeof(struct http_cluster_stat)),
	    routes = map_like(sizeof(struct http_route_stat));
	struct http_cluster_stat *a, *b;
	struct stats *s;

	cr_assert_eq(stats_open(clusters, routes, &s), 0);
	a = stats_cluster(s, "a", 1);
	b = stats_cluster(s, "bb", 2);
	cr_expect_neq(a, b);
	cr_expect_eq(stats_cluster(s, "a", 1), a);
	stat_add(&a->upstream_rq_total, 3);
	gauge_inc(a->upstream_rq_active);
	gauge_inc(b->upstream_cx_active);
	stat_inc(&stats_route(s, "r", 1)->rq_total);
	stats_close(s);

	stats_slot = 3; /* the next one, while that one drains */
	cr_assert_eq(stats_open(clusters, routes, &s), 0);
	a = stats_cluster(s, "a", 1);
	cr_expect_str_eq(a->name, "a");
	cr_expect_eq(a->upstream_rq_total, 3u);
	gauge_inc(a->upstream_rq_active);
	gauge_inc(a->upstream_rq_active);
	gauge_dec(a->upstream_rq_active);
	cr_expect_eq(a->upstream_rq_active[0], 1u);
	cr_expect_eq(a->upstream_rq_active[3], 1u);
	cr_expect_eq(gauge_sum(a->upstream_rq_active), 2u);
	cr_expect_eq(stats_cluster(s, "bb", 2)->upstream_cx_active[0], 1u);
	cr_expect_eq(stats_route(s, "r", 1)->rq_total, 1u);
	cr_expect_eq(stats_cluster(s, "c", 1), a + 2);
	stats_close(s);
	close(clusters);
	close(routes);
}

/* Only what is taken is mapped, and rows stay where they are as more is. */
Test(proxy_stats, rows_of_later_pages_are_in_the_map_too)
{
	int clusters = map_like(sizeof(struct http_cluster_stat)),
	    routes = map_like(sizeof(struct http_route_stat));
	struct http_cluster_stat *first, *row = NULL;
	struct http_cluster_stat there;
	struct stats *s;
	char name[16];

	cr_assert_eq(stats_open(clusters, routes, &s), 0);
	first = stats_cluster(s, "c0", 2);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		row = stats_cluster(s, name, strlen(name));
		cr_assert_eq(row, first + i);
		stat_add(&row->upstream_rq_total, i);
	}
	cr_assert_eq(pread(clusters, &there, sizeof(there), 1000 * (off_t)sizeof(there)),
		     (ssize_t)sizeof(there));
	cr_expect_str_eq(there.name, "c999");
	cr_expect_eq(there.upstream_rq_total, 999u);
	stats_close(s);

	cr_assert_eq(stats_open(clusters, routes, &s), 0);
	cr_expect_eq(stats_cluster(s, "c999", 4)->upstream_rq_total, 999u);
	stats_close(s);
	close(clusters);
	close(routes);
}

Test(proxy_stats, names_beyond_the_last_row_are_counted_together)
{
	struct http_route_stat *first = NULL;
	struct stats *s;
	char name[16];

	cr_assert_eq(stats_open(-1, -1, &s), 0);
	for (unsigned i = 0; i < HTTP_STAT_ROWS + 10; i++) {
		struct http_route_stat *r;

		snprintf(name, sizeof(name), "r%u", i);
		r = stats_route(s, name, strlen(name));
		if (!i)
			first = r;
		cr_assert_str_eq(r->name, i < HTTP_STAT_ROWS - 1 ? name : "overflow");
	}
	cr_expect_eq(stats_route(s, "r0", 2), first);
	stats_close(s);
}

/* ---- what the rules themselves count ---- */

static const char yaml[] =
	"apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: default}\n"
	"spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}\n"
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
	"metadata: {name: a, namespace: default}\nspec:\n  hosts: [a]\n  http:\n"
	"  - match: [{uri: {prefix: /go}}]\n    redirect: {uri: /there}\n"
	"  - match: [{uri: {prefix: /say}}]\n    directResponse: {status: 418}\n"
	"  - match: [{uri: {prefix: /fail}}]\n"
	"    fault: {delay: {percentage: {value: 100}, fixedDelay: 1s}, "
	"abort: {percentage: {value: 100}, httpStatus: 555}}\n"
	"    route: [{destination: {host: a}}]\n"
	"  - route: [{destination: {host: a}}]\n";

static void decide(struct router *r, const char *head)
{
	struct addr outside = { { [10] = 0xff, [11] = 0xff, [12] = 192, [15] = 1 } };
	struct h1_request q = { 0 };
	struct buffer_pool buffers = { 0 };
	struct route_ask ask = { .request = &q, .called = outside, .called_port = 80 };
	struct plan plan = { 0 };

	cr_assert_eq(h1_parse_request(head, strlen(head), 0, &q), (int)strlen(head));
	r->plan(r, &ask, &buffers, &plan);
	r->release(r, &plan);
	buf_release(&buffers, &plan.text);
	buffer_pool_free(&buffers);
}

/* All others are 0. */
static void want_route(struct stats *s, const char *name, const char *counters)
{
	struct http_route_stat *r = stats_route(s, name, strlen(name));
	const char *wrong = script_wrong_counter(http_route_fields, r, counters, true);

	cr_expect_null(wrong, "%s: not %s: %s", name, counters, wrong);
}

Test(proxy_stats, what_a_route_has_decided)
{
	static const char *const heads[] = {
		"GET /go HTTP/1.1\r\nHost: a.default\r\n\r\n",
		"GET /say HTTP/1.1\r\nHost: a.default\r\n\r\n",
		"GET /say HTTP/1.1\r\nHost: a.default\r\n\r\n",
		"GET /fail HTTP/1.1\r\nHost: a.default\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.default\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: elsewhere.org\r\n\r\n",
	};
	_cleanup_free_ struct cluster_limit *limits = calloc(CLUSTER_IDS_MAX, sizeof(*limits));
	_cleanup_free_ uint32_t *held = calloc(CLUSTER_IDS_MAX, sizeof(*held));
	_cleanup_close_ int fd = memfd_create("snapshot", MFD_CLOEXEC);
	struct http_tables t = { 0 };
	struct config *config;
	struct stats *stats;
	struct shared_state *state;
	struct snapshot_router *rules;

	http_tables_text(&t, yaml);
	cr_assert_not_null(t.snapshot);
	cr_assert_eq(write(fd, t.snapshot->header, t.snapshot->header->size),
		     (ssize_t)t.snapshot->header->size);
	cr_assert_eq(stats_open(-1, -1, &stats), 0);
	state = shared_state_new(limits, held, stats);
	cr_assert_eq(router_new(state, &rules), 0);
	cr_assert_eq(config_map(fd, &config), 0);
	router_offer(rules, config);
	router_interface(rules)->turn(router_interface(rules));
	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
		decide(router_interface(rules), heads[i]);
	want_route(stats, "default/a/http[0]", "rq_total 1, rq_redirect 1");
	want_route(stats, "default/a/http[1]", "rq_total 2, rq_direct_response 2");
	want_route(stats, "default/a/http[2]",
		   "rq_total 1, fault.delays_injected 1, fault.aborts_injected 1");
	want_route(stats, "default/a/http[3]", "rq_total 1");
	want_route(stats, "allow_any", "rq_total 1");
	config_unref(config);
	router_free(rules);
	shared_state_free(state);
	stats_close(stats);
	http_tables_free(&t);
}
