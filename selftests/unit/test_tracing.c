// SPDX-License-Identifier: Apache-2.0
/*
 * Spans on weftd's side: where they go, and how OTLP has them.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/collector.h"
#include "daemon/tracing/otlp.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"

#define T "0af7651916cd43dd8448eb211c80319c"
#define P "00f067aa0ba902b7"
#define C "1111111111111111"
#define S "2222222222222222"

/* ---- the endpoint ---- */

Test(tracing, endpoints)
{
	static const struct {
		const char *given, *url, *service, *namespace;
	} rows[] = {
		{ "http://otel:4318", "http://otel:4318/v1/traces", "", "" },
		{ "http://otel:4318/", "http://otel:4318/v1/traces", "", "" },
		{ "https://a.example.com/x/y", "https://a.example.com/x/y", "", "" },
		{ "http://10.0.0.1:4318", "http://10.0.0.1:4318/v1/traces", "", "" },
		{ "http://[fd00::1]:4318", "http://[fd00::1]:4318/v1/traces", "", "" },
		{ "http://[fe80::1%25eth0]:4318", "http://[fe80::1%25eth0]:4318/v1/traces", "",
		  "" },
		{ "http://otel-collector.observability:4318/v1/traces",
		  "http://otel-collector.observability:4318/v1/traces", "otel-collector",
		  "observability" },
		{ "http://c.o2:1", "http://c.o2:1/v1/traces", "c", "o2" },
		{ "http://c.o.svc", "http://c.o.svc/v1/traces", "c", "o" },
		{ "http://c.o.svc.cluster.local:1", "http://c.o.svc.cluster.local:1/v1/traces", "c",
		  "o" },
		{ "http://c.o.svcs.example", "http://c.o.svcs.example/v1/traces", "", "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct collector e;

		cr_assert_eq(collector_parse(rows[i].given, &e), 0, "%s", rows[i].given);
		cr_expect_str_eq(e.url, rows[i].url);
		cr_expect_str_eq(e.service, rows[i].service, "%s", rows[i].given);
		cr_expect_str_eq(e.namespace, rows[i].namespace, "%s", rows[i].given);
	}
}

Test(tracing, what_is_no_endpoint)
{
	static const char *const bad[] = {
		"",
		"otel:4318",
		"grpc://otel:4317",
		"http://",
		"http:///v1/traces",
		"http://a:b",
		"http://a:0",
		"http://a:65536",
		"http://a:",
		"http://user@a",
		"http://a/x?y",
		"http://a/x y",
		"http://[fd00::1",
		"http://[]",
		"http://[fd00::1::2]:4318",
		"http://[127.0.0.1]:4318",
		"http://[fe80::1%25]:4318",
		"http://[%25eth0]:4318",
		"http://a b",
		"ftp://a",
		"HTTP//a",
		"http://a#x",
	};
	char longest[2 * COLLECTOR_URL_MAX];
	struct collector e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_neq(collector_parse(bad[i], &e), 0, "%s", bad[i]);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	memcpy(longest, "http://", 7);
	cr_expect_neq(collector_parse(longest, &e), 0);
}

/* ---- lines ---- */

#define SPAN(id, tags) \
	"{\"span_id\":\"" id "\",\"start_ns\":1000,\"end_ns\":2000,\"tags\":{" tags "}}"
#define REST                                                                                     \
	"\"method\":\"GET\",\"path\":\"/reviews/0\",\"protocol\":\"HTTP/1.1\","                  \
	"\"response_flags\":\"-\",\"bytes_received\":0,\"bytes_sent\":295,"                      \
	"\"user_agent\":\"curl/8\",\"request_id\":\"i-d\",\"authority\":\"reviews:9080\","       \
	"\"upstream_host\":\"10.244.0.31:9080\","                                                \
	"\"upstream_cluster\":\"outbound|9080|v1|reviews.default.svc.cluster.local\","           \
	"\"downstream_local_address\":\"10.96.0.23:9080\","                                      \
	"\"downstream_remote_address\":\"10.244.0.21:40000\",\"scheme\":\"http\",\"host\":\"\"," \
	"\"attempts\":1,\"source\":3,\"destination\":4,\"gateway\":0"
#define LINE(status, parent, more)                                                                 \
	"{\"response_code\":" status ",\"trace_id\":\"" T "\",\"parent_span_id\":" parent "," REST \
	"," more "}"
#define BOTH "\"client\":" SPAN(C, "\"team\":\"books\"") ",\"server\":" SPAN(S, "")

static struct otlp_line read_line(const char *text)
{
	struct otlp_line l;

	cr_assert_eq(otlp_line_read(text, strlen(text), &l), 0, "%s", text);
	return l;
}

static void name(struct names_end *e, const char *peer, const char *pod)
{
	e->name = strdup(peer);
	e->pod = strdup(pod);
	e->node = strdup("one");
}

#define PRODUCTPAGE "productpage-v1\ndefault\nproductpage\nv1\nproductpage\nv1\nspiffe://a\n"
#define REVIEWS "reviews-v1\ndefault\nreviews\nv1\nreviews\nv1\nspiffe://b\n"

static json_t *write_lines(struct otlp_line *lines, size_t count)
{
	_cleanup_free_ char *text = otlp_write(lines, count);
	json_t *all = json_loads(text, 0, NULL);

	cr_assert_not_null(all, "%s", text);
	for (size_t i = 0; i < count; i++)
		otlp_line_free(&lines[i]);
	return all;
}

/* The n-th span of all. */
static const json_t *span_at(const json_t *all, size_t n)
{
	json_t *resource, *span;
	size_t i, k;

	json_array_foreach(json_object_get(all, "resourceSpans"), i, resource)
	{
		const json_t *scope = json_array_get(json_object_get(resource, "scopeSpans"), 0);

		json_array_foreach(json_object_get(scope, "spans"), k, span) if (!n--) return span;
	}
	return NULL;
}

static const char *attribute(const json_t *of, const char *key)
{
	json_t *a;
	size_t i;

	json_array_foreach(json_object_get(of, "attributes"), i,
			   a) if (!strcmp(json_get_text(a, "key", ""),
					  key)) return json_get_text(json_object_get(a, "value"),
								     "stringValue", NULL);
	return NULL;
}

static const json_t *resource_at(const json_t *all, size_t n)
{
	return json_object_get(json_array_get(json_object_get(all, "resourceSpans"), n),
			       "resource");
}

static void want(const json_t *of, const char *key, const char *value)
{
	const char *there = attribute(of, key);

	cr_expect(there && !strcmp(there, value), "%s: '%s' is not '%s'", key, there ?: "none",
		  value);
}

static void want_text(const json_t *of, const char *key, const char *value)
{
	cr_expect_str_eq(json_get_text(of, key, "none"), value, "%s", key);
}

static json_int_t status_of(const json_t *span)
{
	return json_get_int(json_object_get(span, "status"), "code", 0);
}

Test(tracing, both_spans_of_a_request)
{
	struct otlp_line l = read_line(LINE("200", "\"" P "\"", BOTH));
	const json_t *client, *server;
	json_t *all;

	cr_expect_eq(l.spans, 2u);
	cr_expect_eq(l.client.peer, 3u);
	cr_expect_eq(l.client.addr.b[15], 21);
	cr_expect_eq(l.server.peer, 4u);
	cr_expect_eq(l.server.addr.b[15], 31);
	name(&l.client, PRODUCTPAGE, "productpage-v1-x");
	name(&l.server, REVIEWS, "reviews-v1-y");
	all = write_lines(&l, 1);
	cr_expect_eq(json_array_size(json_object_get(all, "resourceSpans")), 2u);
	want(resource_at(all, 0), "service.name", "productpage.default");
	want(resource_at(all, 0), "k8s.pod.name", "productpage-v1-x");
	want(resource_at(all, 1), "service.name", "reviews.default");
	want(resource_at(all, 1), "k8s.node.name", "one");

	client = span_at(all, 0);
	want_text(client, "traceId", T);
	want_text(client, "spanId", C);
	want_text(client, "parentSpanId", P);
	want_text(client, "name", "reviews.default.svc.cluster.local:9080/*");
	cr_expect_eq(json_get_int(client, "kind", 0), 3);
	want_text(client, "startTimeUnixNano", "1000");
	want_text(client, "endTimeUnixNano", "2000");
	cr_expect_eq(status_of(client), 0);
	want(client, "component", "proxy");
	want(client, "node_id",
	     "sidecar~10.244.0.21~productpage-v1-x.default~default.svc.cluster.local");
	want(client, "http.method", "GET");
	want(client, "http.url", "http://reviews:9080/reviews/0");
	want(client, "http.protocol", "HTTP/1.1");
	want(client, "http.status_code", "200");
	want(client, "request_size", "0");
	want(client, "response_size", "295");
	want(client, "response_flags", "-");
	want(client, "user_agent", "curl/8");
	want(client, "guid:x-request-id", "i-d");
	want(client, "upstream_cluster", "outbound|9080|v1|reviews.default.svc.cluster.local");
	want(client, "upstream_cluster.name", "outbound|9080|v1|reviews.default.svc.cluster.local");
	want(client, "downstream_cluster", "-");
	want(client, "peer.address", "10.244.0.21");
	want(client, "istio.canonical_service", "productpage");
	want(client, "istio.canonical_revision", "v1");
	want(client, "istio.mesh_id", "cluster.local");
	want(client, "istio.namespace", "default");
	want(client, "istio.cluster_id", "Kubernetes");
	want(client, "team", "books");
	cr_expect_null(attribute(client, "error"));

	server = span_at(all, 1);
	want_text(server, "spanId", S);
	want_text(server, "parentSpanId", C);
	cr_expect_eq(json_get_int(server, "kind", 0), 2);
	want_text(server, "name", "reviews.default.svc.cluster.local:9080/*");
	want(server, "upstream_cluster", "inbound|9080||");
	want(server, "istio.canonical_service", "reviews");
	cr_expect_null(attribute(server, "team"));
	json_decref(all);
}

/* What one has made stands together. */
Test(tracing, spans_are_grouped_by_who_has_made_them)
{
	struct otlp_line lines[3];
	json_t *all;

	for (int i = 0; i < 3; i++) {
		lines[i] = read_line(LINE("200", "null", BOTH));
		name(&lines[i].client, PRODUCTPAGE, i == 2 ? "b" : "a");
		name(&lines[i].server, REVIEWS, "y");
	}
	all = write_lines(lines, 3);
	cr_expect_eq(json_array_size(json_object_get(all, "resourceSpans")), 3u);
	cr_expect_null(json_object_get(span_at(all, 0), "parentSpanId"), "a root has none");
	json_decref(all);
}

Test(tracing, statuses)
{
	static const struct {
		const char *line;
		json_int_t client, server;
		const char *error;
	} rows[] = {
		{ LINE("200", "null", BOTH), 0, 0, NULL },
		{ LINE("302", "null", BOTH), 0, 0, NULL },
		{ LINE("404", "null", BOTH), 2, 0, NULL },
		{ LINE("500", "null", BOTH), 2, 2, "true" },
		{ LINE("503", "null", BOTH), 2, 2, "true" },
		{ LINE("0", "null", BOTH), 2, 2, "true" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct otlp_line l = read_line(rows[i].line);
		json_t *all;

		name(&l.client, PRODUCTPAGE, "a");
		name(&l.server, REVIEWS, "y");
		all = write_lines(&l, 1);
		cr_expect_eq(status_of(span_at(all, 0)), rows[i].client, "row %zu", i);
		cr_expect_eq(status_of(span_at(all, 1)), rows[i].server, "row %zu", i);
		for (int k = 0; k < 2; k++)
			if (rows[i].error)
				want(span_at(all, k), "error", rows[i].error);
			else
				cr_expect_null(attribute(span_at(all, k), "error"));
		json_decref(all);
	}
}

Test(tracing, a_gateways_span_is_a_servers)
{
	struct otlp_line l = read_line(
		"{\"trace_id\":\"" T "\",\"gateway\":1,\"source\":2,\"authority\":\"a.example\","
		"\"downstream_remote_address\":\"192.0.2.1:999\",\"client\":" SPAN(C, "") "}");
	json_t *all;

	cr_expect_eq(l.client.addr.b[15], 0, "it is at no pod's address");
	l.client.name = strdup("istio-ingressgateway\nistio-system\nistio-ingressgateway\nunknown\n"
			       "istio-ingressgateway\nlatest\nspiffe://g\n");
	all = write_lines(&l, 1);
	cr_expect_eq(json_get_int(span_at(all, 0), "kind", 0), 2);
	want_text(span_at(all, 0), "name", "egress a.example");
	want(resource_at(all, 0), "service.name", "istio-ingressgateway.istio-system");
	want(span_at(all, 0), "node_id",
	     "router~~istio-ingressgateway.istio-system~istio-system.svc.cluster.local");
	want(span_at(all, 0), "peer.address", "192.0.2.1");
	json_decref(all);
}

Test(tracing, short_trace_ids_and_hosts_without_a_cluster)
{
	struct otlp_line l = read_line("{\"trace_id\":\"" C
				       "\",\"host\":\"a.default.svc.cluster.local\","
				       "\"downstream_local_address\":\"[fd00::1]:8080\",\"upstream_"
				       "host\":\"[fd00::1]:8080\","
				       "\"server\":" SPAN(S, "") "}");
	json_t *all = write_lines(&l, 1);

	want_text(span_at(all, 0), "traceId", "0000000000000000" C);
	want_text(span_at(all, 0), "name", "a.default.svc.cluster.local:8080/*");
	want(span_at(all, 0), "upstream_cluster", "inbound|8080||");
	want(resource_at(all, 0), "service.name", "unknown.unknown");
	json_decref(all);
}

/* A Telemetry's tag takes the place of what has its name, and no name is there twice. */
Test(tracing, tags_of_telemetries)
{
	struct otlp_line l = read_line(
		LINE("200", "null",
		     "\"client\":" SPAN(C, "\"http.method\":\"other\",\"n\":3,\"\":\"x\"")));
	json_t *all = write_lines(&l, 1), *a;
	unsigned methods = 0;
	size_t i;

	want(span_at(all, 0), "http.method", "other");
	cr_expect_null(attribute(span_at(all, 0), "n"));
	json_array_foreach(json_object_get(span_at(all, 0), "attributes"), i, a)
		methods += !strcmp(json_get_text(a, "key", ""), "http.method");
	cr_expect_eq(methods, 1u);
	json_decref(all);
}

/* weft-proxy writes bytes outside ASCII one by one. */
Test(tracing, tags_outside_ascii)
{
	static const struct {
		const char *tag, *name, *value;
	} rows[] = {
		{ SPAN(C, "\"city\":\"Z\\u00c3\\u00bcrich\""), "city", "Z\303\274rich" },
		{ SPAN(C, "\"gr\\u00c3\\u00b6\\u00c3\\u009fe\":\"\\u00e2\\u0082\\u00ac\""),
		  "gr\303\266\303\237e", "\342\202\254" },
		{ SPAN(C, "\"latin1\":\"Z\\u00fcrich\""), "latin1", "Z\303\274rich" },
		{ SPAN(C, "\"other\":\"\\u20ac\\u00c3\\u00bc\""), "other",
		  "\342\202\254\303\203\302\274" },
		{ SPAN(C, "\"control\":\"a\\u007f\\u001fb\""), "control", "a\177\037b" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char text[1024];
		struct otlp_line l;
		json_t *all;

		snprintf(text, sizeof(text), "{\"trace_id\":\"" T "\",\"client\":%s}", rows[i].tag);
		l = read_line(text);
		all = write_lines(&l, 1);
		want(span_at(all, 0), rows[i].name, rows[i].value);
		json_decref(all);
	}
}

/* weft-proxy is not trusted. */
Test(tracing, what_is_no_line)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"3",
		"{\"trace_id\":\"" T "\"}",
		"{\"trace_id\":3,\"client\":" SPAN(C, "") "}",
		"{\"trace_id\":\"" T "0\",\"client\":" SPAN(C, "") "}",
		"{\"trace_id\":\"00000000000000000000000000000000\",\"client\":" SPAN(C, "") "}",
		"{\"trace_id\":\"" T "\",\"parent_span_id\":\"x\",\"client\":" SPAN(C, "") "}",
		"{\"trace_id\":\"" T "\",\"client\":" SPAN("123", "") "}",
		"{\"trace_id\":\"" T "\",\"client\":7}",
		"{\"trace_id\":\"" T "\",\"client\":" SPAN(C, "") ",\"server\":[]}",
		"{\"trace_id\":\"" T "\",\"client\":{\"span_id\":\"" C
		"\",\"start_ns\":5,\"end_ns\":4,\"tags\":{}}}",
		"{\"trace_id\":\"" T "\",\"client\":{\"span_id\":\"" C
		"\",\"start_ns\":5,\"end_ns\":6}}",
	};
	struct otlp_line l;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_eq(otlp_line_read(bad[i], strlen(bad[i]), &l), -EBADMSG, "%s", bad[i]);
}
