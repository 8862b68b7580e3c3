// SPDX-License-Identifier: Apache-2.0
/*
 * Spans: which a request has, what the endpoint is told of them, and the line that weftd gets.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/json_io.h"
#include "lib/route/snapshot.h"
#include "proxy/log/trace_line.h"
#include "test_proxy_env.h"
#include "weft/traffic.h"

TestSuite(proxy_trace, .timeout = 60);

#define T "0af7651916cd43dd8448eb211c80319c"
#define S "b7ad6b7169203331"
#define CAME "traceparent: 00-" T "-" S "-01\r\n"

/* The last request's line, and how many there were. */
static char line[ACCESS_LINE_MAX + 1];
static unsigned traced;

static void note(void *arg, const struct trace_entry *e)
{
	(void)arg;
	line[trace_line(line, e)] = '\0';
	__atomic_add_fetch(&traced, 1, __ATOMIC_SEQ_CST);
}

static void tags(struct router *r, const struct plan *plan, const struct addr *endpoint,
		 void (*each)(void *arg, const struct route_tag *tag), void *arg)
{
	const struct route_tag constant = { { "team", 4 }, { 0 }, { "books", 5 } },
			       field = { { "who", 3 }, { "end-user", 8 }, { "none", 4 } },
			       missing = { { "none", 4 }, { "x-none", 6 }, { 0 } };

	(void)r;
	(void)plan;
	each(arg, &constant);
	if (endpoint)
		each(arg, &field);
	each(arg, &missing);
}

static struct env *begin(void)
{
	struct worker_options o = worker_defaults;
	struct env *e;

	o.trace = note;
	e = env_new(&o);
	e->plan.identify = true;
	e->plan.scheme = (struct h1_span){ "http", 4 };
	e->plan.tracing = (struct plan_tracing){ HS_SAMPLING_ALL, true, true };
	e->plan.traffic = (struct plan_traffic){ .source = 7, .reporters = TRAFFIC_SOURCE };
	e->target.in_mesh = e->target.traced = true;
	e->target.peer = 9;
	e->router.tags = tags;
	return e;
}

/* A request with these fields; what the endpoint got of it. */
static const char *ask(struct env *e, const char *fields)
{
	static char got[4096];
	int c = env_client(e), s;

	put(c, "GET /a HTTP/1.1\r\nHost: h\r\nx-request-id: i\r\n");
	put(c, fields);
	put(c, "\r\n");
	s = env_accept(e);
	strcpy(got, get_head(s));
	wait_ms(10);
	put(s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	get_head(c);
	close(s);
	close(c);
	return got;
}

static json_t *told(unsigned n)
{
	for (int i = 0; i < 5000 && __atomic_load_n(&traced, __ATOMIC_SEQ_CST) < n; i++)
		wait_ms(1);
	cr_assert_eq(traced, n);
	return json_loads(line, 0, NULL);
}

static const char *id(const json_t *o, const char *span)
{
	return json_get_text(json_object_get(o, span), "span_id", "none");
}

Test(proxy_trace, a_request_between_pods_has_two_spans)
{
	struct env *e = begin();
	const char *got = ask(e, CAME "end-user: jason\r\n");
	json_t *o = told(1), *client = json_object_get(o, "client"),
	       *server = json_object_get(o, "server");
	char parent[17] = "";

	cr_assert_eq(sscanf(strstr(got, "traceparent"), "traceparent: 00-" T "-%16[0-9a-f]-01",
			    parent),
		     1);
	cr_expect_str_eq(json_get_text(o, "trace_id", ""), T);
	cr_expect_str_eq(json_get_text(o, "parent_span_id", ""), S);
	cr_expect_str_eq(id(o, "server"), parent, "the endpoint's is the innermost");
	cr_expect_str_neq(id(o, "client"), parent);
	cr_expect_str_neq(id(o, "client"), S);
	cr_expect_eq(json_get_int(o, "source", 0), 7);
	cr_expect_eq(json_get_int(o, "destination", 0), 9);
	cr_expect_eq(json_get_int(o, "response_code", 0), 200);
	cr_expect_eq(json_get_int(o, "attempts", 0), 1);
	cr_expect_leq(json_get_int(client, "start_ns", 0), json_get_int(server, "start_ns", -1));
	cr_expect_geq(json_get_int(client, "end_ns", 0), json_get_int(server, "end_ns", 0));
	cr_expect_geq(json_get_int(server, "end_ns", 0) - json_get_int(server, "start_ns", 0),
		      8 * 1000000);
	cr_expect_str_eq(json_get_text(json_object_get(client, "tags"), "team", ""), "books");
	cr_expect_eq(json_object_size(json_object_get(client, "tags")), 1u);
	cr_expect_str_eq(json_get_text(json_object_get(server, "tags"), "who", ""), "jason");
	json_decref(o);
	env_free(e);
}

Test(proxy_trace, a_trace_that_begins_has_a_root)
{
	struct env *e = begin();
	json_t *o;

	ask(e, "");
	o = told(1);
	cr_expect(json_is_null(json_object_get(o, "parent_span_id")));
	cr_expect_str_eq(json_get_text(json_object_get(json_object_get(o, "server"), "tags"), "who",
				       ""),
			 "none", "a field that is not there");
	json_decref(o);
	env_free(e);
}

Test(proxy_trace, each_side_is_told_by_its_own_row)
{
	struct env *e = begin();
	const char *got;
	json_t *o;

	e->target.traced = false;
	got = ask(e, CAME);
	o = told(1);
	cr_expect_null(json_object_get(o, "server"));
	cr_expect_not_null(strstr(got, id(o, "client")), "it is the innermost");
	json_decref(o);

	e->target.traced = true;
	e->plan.tracing.client = false;
	got = ask(e, CAME);
	o = told(2);
	cr_expect_null(json_object_get(o, "client"));
	cr_expect_not_null(strstr(got, id(o, "server")));
	json_decref(o);

	/* The caller is no pod of the mesh. */
	e->plan.tracing.client = true;
	e->plan.traffic.reporters = 0;
	ask(e, CAME);
	o = told(3);
	cr_expect_null(json_object_get(o, "client"));
	json_decref(o);

	/* The endpoint is none. */
	e->plan.traffic.reporters = TRAFFIC_SOURCE;
	e->target.in_mesh = false;
	ask(e, CAME);
	o = told(4);
	cr_expect_null(json_object_get(o, "server"));
	json_decref(o);
	env_free(e);
}

/* Its own weft-proxy makes the endpoint's span, as a child of this one's. */
Test(proxy_trace, by_mutual_tls_the_callers_is_the_innermost_here)
{
	struct env *e = begin();
	const char *got;
	json_t *o;

	/* From another node: that caller's weft-proxy has made its span. */
	e->plan.traffic = (struct plan_traffic){ .reporters = TRAFFIC_SOURCE,
						 .mutual = true,
						 .uncounted = true };
	got = ask(e, CAME);
	o = told(1);
	cr_expect_null(json_object_get(o, "client"));
	cr_expect_str_eq(json_get_text(o, "parent_span_id", ""), S);
	cr_expect_not_null(strstr(got, id(o, "server")));
	json_decref(o);
	env_free(e);
}

/* That of the caller's node has made both; the tree goes on with what it says. */
Test(proxy_trace, what_another_weft_proxy_has_told_in_clear_is_not_told_again)
{
	struct env *e = begin();

	e->plan.traffic = (struct plan_traffic){ .reporters = 0, .uncounted = true };
	cr_expect_not_null(strstr(ask(e, CAME), "00-" T "-" S "-01"));
	env_log(e, 1);
	cr_expect_eq(traced, 0u);
	env_free(e);
}

Test(proxy_trace, where_no_span_is_told_what_came_goes_on)
{
	struct env *e = begin();

	e->plan.tracing.client = e->target.traced = false;
	cr_expect_not_null(strstr(ask(e, CAME), "00-" T "-" S "-01"));
	env_log(e, 1);
	cr_expect_eq(traced, 0u);
	env_free(e);
}

Test(proxy_trace, what_is_not_sampled_has_no_spans)
{
	struct env *e = begin();

	ask(e, "x-b3-sampled: 0\r\n");
	ask(e, "b3: 0\r\n");
	ask(e, "traceparent: 00-" T "-" S "-00\r\n");
	e->plan.tracing.sampling = 0;
	ask(e, "");
	env_log(e, 4);
	cr_expect_eq(traced, 0u);
	env_free(e);
}

Test(proxy_trace, an_answer_of_the_proxys_own_has_the_callers_span)
{
	struct env *e = begin();
	int c = env_client(e);
	json_t *o;

	e->plan.action = PLAN_ANSWER;
	e->plan.answer = (struct plan_answer){ .status = 418, .flags = "FI" };
	put(c, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
	get_head(c);
	o = told(1);
	cr_expect_null(json_object_get(o, "server"));
	cr_expect_eq(json_get_int(o, "response_code", 0), 418);
	cr_expect_eq(json_get_int(o, "destination", -1), 0);
	json_decref(o);
	close(c);
	env_free(e);
}

/* ---- lines ---- */

static struct trace_entry entry(void)
{
	struct trace_entry e = { .access = { .status = 200, .flags = "-", .service_ms = -1 },
				 .trace_id = { T, 32 },
				 .client = { .id = S, .start_ns = 1, .end_ns = 2 },
				 .server = { .id = S, .start_ns = 1, .end_ns = 2 } };

	return e;
}

static void add_tags(struct trace_span *s, struct h1_span name, struct h1_span value)
{
	s->tag_count = TRACE_TAGS_MAX;
	for (size_t i = 0; i < s->tag_count; i++) {
		s->tags[i].name = name;
		s->tags[i].value = value;
	}
}

/* A client could otherwise write what weftd believes. */
Test(proxy_trace, texts_are_escaped)
{
	static const char bad[] = "a\",\"client\":{\"span_id\":\"\n";
	struct trace_entry e = entry();
	json_t *o, *found;

	e.host = (struct h1_span){ bad, strlen(bad) };
	e.client.tags[0].name = e.client.tags[0].value = e.host;
	e.client.tag_count = 1;
	line[trace_line(line, &e)] = '\0';
	cr_expect_eq(strchr(line, '\n'), line + strlen(line) - 1);
	o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_not_null(o, "%s", line);
	found = json_object_get(json_object_get(json_object_get(o, "client"), "tags"), bad);
	cr_expect_not_null(found);
	json_decref(o);
}

/* The longest of everything. */
Test(proxy_trace, a_line_has_an_end)
{
	static char junk[8192];
	struct trace_entry e = entry();
	const struct h1_span all = { junk, sizeof(junk) };
	struct h1_request q = { .method = all, .target = all, .authority = all };
	struct http_cluster_stat cluster;
	struct http_route_stat route;
	struct plan plan = { .cluster = &cluster, .route = &route };
	json_t *o;
	size_t n;

	memset(junk, 1, sizeof(junk));
	memset(cluster.name, 'c', sizeof(cluster.name) - 1);
	memset(route.name, 'r', sizeof(route.name) - 1);
	cluster.name[sizeof(cluster.name) - 1] = route.name[sizeof(route.name) - 1] = '\0';
	q.m.header_count = 2;
	q.m.headers[0] = (struct h1_header){ .name = { "user-agent", 10 }, .value = all };
	q.m.headers[1] = (struct h1_header){ .name = { "x-forwarded-for", 15 }, .value = all };
	e.access.request = &q;
	e.access.plan = &plan;
	e.access.request_id = e.host = e.scheme = all;
	e.access.received = e.access.sent = e.access.duration_ms = UINT64_MAX / 2;
	e.access.endpoint_port = e.access.local_port = e.access.called_port = e.access.client_port =
		65535;
	e.client.start_ns = e.client.end_ns = e.server.start_ns = e.server.end_ns = INT64_MAX;
	e.source = e.destination = UINT32_MAX;
	add_tags(&e.client, all, all);
	add_tags(&e.server, all, all);
	n = trace_line(line, &e);
	cr_assert_leq(n, (size_t)ACCESS_LINE_MAX);
	line[n] = '\0';
	cr_assert_eq(strlen(line), n);
	o = json_loads(line, 0, NULL);
	cr_assert_not_null(o, "%s", line);
	cr_expect_str_eq(id(o, "server"), S);
	json_decref(o);
}

Test(proxy_trace, tags_that_fit_are_all_there)
{
	struct trace_entry e = entry();
	char names[TRACE_TAGS_MAX][16];
	json_t *o;

	add_tags(&e.client, (struct h1_span){ 0 }, (struct h1_span){ "value", 5 });
	add_tags(&e.server, (struct h1_span){ 0 }, (struct h1_span){ "value", 5 });
	for (int i = 0; i < TRACE_TAGS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "t%02d", i);
		e.client.tags[i].name = e.server.tags[i].name = (struct h1_span){ names[i], 3 };
	}
	line[trace_line(line, &e)] = '\0';
	o = json_loads(line, 0, NULL);
	cr_assert_not_null(o, "%s", line);
	cr_expect_eq(json_object_size(json_object_get(json_object_get(o, "client"), "tags")),
		     (size_t)TRACE_TAGS_MAX);
	cr_expect_gt(json_object_size(json_object_get(json_object_get(o, "server"), "tags")), 0u);
	json_decref(o);
}
