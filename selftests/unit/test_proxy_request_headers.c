// SPDX-License-Identifier: Apache-2.0
/*
 * Headers that requests are given: ids, traces, the client's address.
 */
#include <criterion/criterion.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/route/snapshot.h"
#include "proxy/request/request_headers.h"
#include "test_proxy_env.h"

#define T "0af7651916cd43dd8448eb211c80319c"
#define S "b7ad6b7169203331"
#define HEX16 "[0-9a-f]{16}"

static struct random rnd;
static char text[8192];
/* What the next ones are asked with, and what came of the last one. */
static uint32_t sampling;
static bool told;
static struct request_headers last;

/* The fields as lines, in the order of the request's own ones and then those added. */
static const char *added_to(const char *fields, bool gateway, const char *client)
{
	static char head[4096];
	struct h1_request q;
	struct request_headers_ask ask = { .request = &q,
					   .scheme = { "http", 4 },
					   .gateway = gateway,
					   .sampling = sampling,
					   .told = told };
	size_t len = 0;
	int n = snprintf(head, sizeof(head), "GET /a HTTP/1.1\r\nHost: h\r\n%s\r\n", fields);
	unsigned b[4] = { 0 };

	if (client)
		cr_assert_eq(sscanf(client, "%u.%u.%u.%u", b, b + 1, b + 2, b + 3), 4);
	ask.client = (struct addr){ { [10] = 0xff,
				      [11] = 0xff,
				      (unsigned char)b[0],
				      (unsigned char)b[1],
				      (unsigned char)b[2],
				      (unsigned char)b[3] } };
	cr_assert_eq(h1_parse_request(head, (size_t)n, 0, &q), n, "%s", head);
	random_begin(&rnd);
	request_headers_make(&last, &ask, &rnd);
	text[0] = '\0';
	for (size_t i = 1; i < q.m.header_count; i++)
		if (!request_headers_replace(&last, q.m.headers[i].name))
			len += (size_t)sprintf(text + len, "%.*s: %.*s\n",
					       (int)q.m.headers[i].name.n, q.m.headers[i].name.p,
					       (int)q.m.headers[i].value.n, q.m.headers[i].value.p);
	for (size_t i = 0; i < last.count; i++)
		if (last.fields[i].value.p)
			len += (size_t)sprintf(text + len, "%s: %.*s%.*s\n", last.fields[i].name.p,
					       (int)last.fields[i].value.n, last.fields[i].value.p,
					       (int)last.fields[i].more.n,
					       last.fields[i].more.n ? last.fields[i].more.p : "");
	return text;
}

/* All of the lines, as an extended regular expression. */
static void want_lines(const char *got, const char *pattern)
{
	char all[2048];
	regex_t r;

	snprintf(all, sizeof(all), "^%s$", pattern);
	cr_assert_eq(regcomp(&r, all, REG_EXTENDED | REG_NOSUB), 0);
	cr_expect_eq(regexec(&r, got, 0, NULL, 0), 0, "'%s' is not '%s'", got, pattern);
	regfree(&r);
}

#define ID "x-request-id: i\n"
#define PROTO "x-forwarded-proto: http\n"
#define HERE "X-Request-Id: i\r\nX-Forwarded-Proto: https\r\n"
#define SAME "X-Request-Id: i\nX-Forwarded-Proto: https\n"

Test(proxy_request_headers, a_request_without_anything)
{
	want_lines(added_to("", false, NULL),
		   "x-request-id: "
		   "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n"
		   "x-forwarded-proto: http\n"
		   "x-b3-sampled: [01]\n"
		   "x-b3-traceid: [0-9a-f]{32}\n"
		   "x-b3-spanid: " HEX16 "\n"
		   "traceparent: 00-[0-9a-f]{32}-" HEX16 "-0[01]\n");
}

Test(proxy_request_headers, both_forms_of_a_new_trace_say_the_same)
{
	char trace[33], span[17], trace2[33], span2[17];
	int sampled, sampled2;
	const char *got;

	sampling = HS_SAMPLING_ALL / 2;
	for (int i = 0; i < 300; i++) {
		got = strstr(added_to("", false, NULL), "x-b3-sampled");
		cr_assert_eq(sscanf(got,
				    "x-b3-sampled: %d\nx-b3-traceid: %32s\nx-b3-spanid: "
				    "%16s\ntraceparent: 00-%32[0-9a-f]-%16[0-9a-f]-%x",
				    &sampled, trace, span, trace2, span2, &sampled2),
			     6, "%s", got);
		cr_expect_str_eq(trace, trace2);
		cr_expect_str_eq(span, span2);
		cr_expect_eq(sampled, sampled2);
	}
}

#define W3C "traceparent: 00-" T "-" S "-01\r\n"

/* Where no span is told the trace may be the applications' own, whose spans belong together. */
Test(proxy_request_headers, what_is_there_goes_on_where_nothing_is_told)
{
	sampling = HS_SAMPLING_ALL;
	want_lines(added_to(HERE W3C "TraceState: a=b\r\n", false, NULL),
		   SAME "traceparent: 00-" T "-" S "-01\nTraceState: a=b\n");
	want_lines(added_to(HERE "b3: " T "-" S "\r\n", false, NULL), SAME "b3: " T "-" S "\n");
	want_lines(added_to(HERE "X-B3-TraceId: " T "\r\nX-B3-SpanId: " S "\r\n", false, NULL),
		   SAME "X-B3-TraceId: " T "\nX-B3-SpanId: " S "\n");
	cr_expect_not(last.sampled);
}

Test(proxy_request_headers, what_is_not_sampled_goes_on)
{
	sampling = HS_SAMPLING_ALL;
	told = true;
	want_lines(added_to(HERE "traceparent: 00-" T "-" S "-00\r\n", false, NULL),
		   SAME "traceparent: 00-" T "-" S "-00\n");
	cr_expect_not(last.sampled);
	want_lines(added_to(HERE "b3: " T "-" S "-0\r\n", false, NULL), SAME "b3: " T "-" S "-0\n");
	cr_expect_not(last.sampled);
	want_lines(added_to(HERE "b3: 0\r\n", false, NULL), SAME "b3: 0\n");
	cr_expect_not(last.sampled);
}

static void want_context(const char *trace, const char *parent)
{
	cr_expect(last.sampled);
	cr_expect_eq(last.trace_id.n, strlen(trace));
	cr_expect_eq(memcmp(last.trace_id.p, trace, last.trace_id.n), 0);
	cr_expect_eq(last.parent_id.n, strlen(parent));
	cr_expect(!last.parent_id.n || !memcmp(last.parent_id.p, parent, last.parent_id.n));
}

Test(proxy_request_headers, what_is_told_is_carried_on)
{
	told = true;
	want_lines(added_to(HERE W3C "TraceState: a=b\r\n", false, NULL),
		   SAME "TraceState: a=b\ntraceparent: 00-" T "-" HEX16 "-01\n");
	cr_expect_null(strstr(text, S), "the span is not a new one");
	want_context(T, S);
	cr_expect_not_null(memmem(text, strlen(text), last.span, 16));
	want_lines(added_to(HERE "traceparent: cc-" T "-" S "-0b-more\r\n", false, NULL),
		   SAME "traceparent: 00-" T "-" HEX16 "-0b\n");
	want_lines(added_to(HERE "X-B3-TraceId: " T "\r\nX-B3-SpanId: " S
				 "\r\nX-B3-ParentSpanId: 0123456789abcdef\r\nX-B3-Sampled: 1\r\n",
			    false, NULL),
		   SAME "X-B3-TraceId: " T "\nX-B3-Sampled: 1\nx-b3-spanid: " HEX16
			"\nx-b3-parentspanid: " S "\n");
	want_context(T, S);
	want_lines(added_to(HERE "b3: " T "-" S "-1\r\n", false, NULL),
		   SAME "b3: " T "-" HEX16 "-1-" S "\n");
	want_context(T, S);
	want_lines(added_to(HERE "b3: " T "-" S "-d-0123456789abcdef\r\n", false, NULL),
		   SAME "b3: " T "-" HEX16 "-d-" S "\n");
	want_context(T, S);
	want_lines(added_to(HERE "b3: 0123456789abcdef-" S "-1\r\n", false, NULL),
		   SAME "b3: 0123456789abcdef-" HEX16 "-1-" S "\n");
	want_context("0123456789abcdef", S);
	want_lines(added_to(HERE "X-B3-TraceId: " T "\r\nX-B3-SpanId: " S "\r\nX-B3-Flags: 1\r\n",
			    false, NULL),
		   SAME "X-B3-TraceId: " T "\nX-B3-Flags: 1\nx-b3-spanid: " HEX16
			"\nx-b3-parentspanid: " S "\n");
	want_context(T, S);
}

/* As Bookinfo's services hand it on: all forms say the same. */
Test(proxy_request_headers, all_forms_are_carried_on_by_one_span)
{
	char span[17], b3[17], single[17];

	told = true;
	added_to(HERE W3C "x-b3-traceid: " T "\r\nx-b3-spanid: " S "\r\nx-b3-sampled: 1\r\nb3: " T
			  "-" S "-1\r\n",
		 false, NULL);
	want_context(T, S);
	cr_assert_eq(sscanf(strstr(text, "traceparent"), "traceparent: 00-" T "-%16s", span), 1);
	cr_assert_eq(sscanf(strstr(text, "x-b3-spanid"), "x-b3-spanid: %16s", b3), 1);
	cr_assert_eq(sscanf(strstr(text, "b3: "), "b3: " T "-%16s", single), 1);
	cr_expect_str_eq(span, b3);
	cr_expect_str_eq(span, single);
	cr_expect_eq(memcmp(span, last.span, 16), 0);
}

/* A trace that is sampled, but of whose spans here none is told after all. */
Test(proxy_request_headers, what_is_not_told_after_all_goes_on)
{
	struct h1_span own = { "Traceparent", 11 };

	told = true;
	added_to(HERE W3C, false, NULL);
	cr_expect(request_headers_replace(&last, own));
	request_headers_tell(&last, false);
	cr_expect_not(request_headers_replace(&last, own));
	request_headers_tell(&last, true);
	cr_expect(request_headers_replace(&last, own));
}

/* What has begun the trace has left that to others. */
Test(proxy_request_headers, what_is_undecided_is_decided_here)
{
	told = true;
	sampling = 0;
	want_lines(added_to(HERE "b3: " T "-" S "\r\n", false, NULL), SAME "b3: " T "-" S "-0\n");
	want_lines(added_to(HERE "X-B3-TraceId: " T "\r\nX-B3-SpanId: " S "\r\n", false, NULL),
		   SAME "X-B3-TraceId: " T "\nX-B3-SpanId: " S "\nx-b3-sampled: 0\n");
	cr_expect_not(last.sampled);
	sampling = HS_SAMPLING_ALL;
	want_lines(added_to(HERE "b3: " T "-" S "\r\n", false, NULL),
		   SAME "b3: " T "-" HEX16 "-1-" S "\n");
	want_lines(added_to(HERE "X-B3-TraceId: " T "\r\nX-B3-SpanId: " S "\r\n", false, NULL),
		   SAME "X-B3-TraceId: " T "\nx-b3-sampled: 1\nx-b3-spanid: " HEX16
			"\nx-b3-parentspanid: " S "\n");
	want_context(T, S);
}

/* How many of 10,000 that begin here. */
static unsigned sampled_of_10000(uint32_t of)
{
	unsigned n = 0;

	told = true;
	sampling = of;
	for (int i = 0; i < 10000; i++) {
		added_to("", false, NULL);
		n += last.sampled;
		cr_assert_eq(last.sampled, !!strstr(text, "x-b3-sampled: 1"));
	}
	return n;
}

Test(proxy_request_headers, as_many_are_sampled_as_the_row_says)
{
	unsigned n;

	cr_expect_eq(sampled_of_10000(0), 0);
	cr_expect_eq(sampled_of_10000(HS_SAMPLING_ALL), 10000);
	n = sampled_of_10000(100); /* 6 standard deviations */
	cr_expect(n > 40 && n < 160, "1 %%: %u of 10,000", n);
	n = sampled_of_10000(2500);
	cr_expect(n > 2240 && n < 2760, "25 %%: %u of 10,000", n);
}

Test(proxy_request_headers, one_of_which_nothing_is_told_makes_no_spans)
{
	sampling = HS_SAMPLING_ALL;
	added_to("", false, NULL);
	cr_expect_not_null(strstr(text, "x-b3-sampled: 1"));
	cr_expect_not(last.sampled);
}

Test(proxy_request_headers, a_decision_to_sample_is_kept)
{
	told = true;
	want_lines(added_to(HERE "X-B3-Sampled: 1\r\n", false, NULL),
		   SAME "X-B3-Sampled: 1\nx-b3-traceid: [0-9a-f]{32}\nx-b3-spanid: " HEX16
			"\ntraceparent: 00-[0-9a-f]{32}-" HEX16 "-01\n");
	cr_expect(last.sampled);
	cr_expect_eq(last.parent_id.n, 0u);
	want_lines(added_to(HERE "X-B3-Flags: 1\r\n", false, NULL),
		   SAME "X-B3-Flags: 1\nx-b3-traceid: [0-9a-f]{32}\nx-b3-spanid: " HEX16
			"\ntraceparent: 00-[0-9a-f]{32}-" HEX16 "-01\n");
	cr_expect(last.sampled);
	want_lines(added_to(HERE "b3: d\r\n", false, NULL),
		   SAME "x-b3-sampled: 1\nx-b3-traceid: [0-9a-f]{32}\nx-b3-spanid: " HEX16
			"\ntraceparent: 00-[0-9a-f]{32}-" HEX16 "-01\n");
	cr_expect(last.sampled);
}

Test(proxy_request_headers, a_decision_not_to_sample_is_kept)
{
	want_lines(added_to(HERE "X-B3-Sampled: 0\r\n", false, NULL),
		   SAME "X-B3-Sampled: 0\nx-b3-traceid: [0-9a-f]{32}\nx-b3-spanid: " HEX16
			"\ntraceparent: 00-[0-9a-f]{32}-" HEX16 "-00\n");
}

/* A malformed trace can't be continued: a new one begins. */
Test(proxy_request_headers, malformed_traces_begin_anew)
{
	static const char *const bad[] = {
		"00-" T "-" S,
		"00-" T "-" S "-01-more",
		"ff-" T "-" S "-01",
		"00-00000000000000000000000000000000-" S "-01",
		"00-" T "-0000000000000000-01",
		"00-0AF7651916CD43DD8448EB211C80319C-" S "-01",
		"00-" T "-" S "-0g",
		"00_" T "_" S "_01",
		"x",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char fields[512];

		snprintf(fields, sizeof(fields), HERE "traceparent: %s\r\ntracestate: a=b\r\n",
			 bad[i]);
		want_lines(added_to(fields, false, NULL), SAME
			   "x-b3-sampled: [01]\nx-b3-traceid: [0-9a-f]{32}\nx-b3-spanid: " HEX16
			   "\ntraceparent: 00-[0-9a-f]{32}-" HEX16 "-0[01]\n");
	}
}

#define TRACED "b3: 0\r\n"

Test(proxy_request_headers, a_gateway_says_who_asks)
{
	want_lines(added_to(HERE TRACED, true, "203.0.113.7"),
		   "X-Request-Id: i\nb3: 0\nx-forwarded-proto: http\nx-envoy-external-address: "
		   "203.0.113.7\nx-forwarded-for: 203.0.113.7\n");
	want_lines(added_to(HERE TRACED "X-Envoy-External-Address: 1.1.1.1\r\n", true, "10.1.2.3"),
		   "X-Request-Id: i\nb3: 0\nx-forwarded-proto: http\nx-envoy-internal: "
		   "true\nx-forwarded-for: 10.1.2.3\n");
	want_lines(added_to(HERE TRACED "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Envoy-Internal: "
					"true\r\n",
			    true, "10.1.2.3"),
		   "X-Request-Id: i\nb3: 0\nx-forwarded-proto: http\nx-envoy-external-address: "
		   "10.1.2.3\nx-forwarded-for: 1.1.1.1, 2.2.2.2, 10.1.2.3\n");
	want_lines(added_to(HERE TRACED "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n",
			    true, "10.1.2.3"),
		   "X-Request-Id: i\nb3: 0\nX-Forwarded-For: 1.1.1.1\nX-Forwarded-For: 2.2.2.2\n"
		   "x-forwarded-proto: http\nx-envoy-external-address: 10.1.2.3\nx-forwarded-for: "
		   "10.1.2.3\n");
	want_lines(added_to(HERE TRACED "X-Forwarded-For: 1.1.1.1\r\n", false, "10.1.2.3"),
		   SAME "b3: 0\nX-Forwarded-For: 1.1.1.1\n");
}

Test(proxy_request_headers, ids_do_not_come_twice)
{
	enum { COUNT = 20000 };
	static char ids[COUNT][16];
	struct random a, b;

	random_begin(&a);
	random_begin(&b);
	for (int i = 0; i < COUNT; i++)
		random_hex(i % 2 ? &a : &b, ids[i], 16);
	qsort(ids, COUNT, 16, (int (*)(const void *, const void *))(void *)memcmp);
	for (int i = 1; i < COUNT; i++)
		cr_assert_neq(memcmp(ids[i - 1], ids[i], 16), 0);
}

/* ---- on the wire ---- */

#define SPAN(t) ((struct h1_span){ t, sizeof(t) - 1 })

Test(proxy_request_headers, endpoint_and_client_are_told, .timeout = 60)
{
	static const struct plan_op gone[] = { { PLAN_REMOVE, SPAN("x-forwarded-proto"), { 0 } } };
	struct env *e = env_new(NULL);
	int c = env_client(e), s;
	char head[2048], id[64], *at;

	e->plan.identify = true;
	e->plan.scheme = SPAN("http");
	e->plan.path = SPAN("/b");
	e->plan.request = (struct plan_ops){ gone, 1 };
	put(c, "GET /a HTTP/1.1\r\nHost: h\r\nb3: 0\r\n\r\n");
	s = env_accept(e);
	strcpy(head, get_head(s));
	want_lines(head, "GET /b HTTP/1.1\r\nhost: h\r\nx-request-id: [-0-9a-f]{36}\r\n"
			 "x-envoy-original-path: /a\r\nb3: 0\r\n\r\n");
	at = strstr(head, "x-request-id: ") + strlen("x-request-id: ");
	snprintf(id, sizeof(id), "%.36s", at);
	wait_ms(30);
	put(s,
	    "HTTP/1.1 200 OK\r\nX-Envoy-Upstream-Service-Time: 9999\r\nContent-Length: 0\r\n\r\n");
	want_lines(get_head(c), "HTTP/1.1 200 OK\r\nx-envoy-upstream-service-time: "
				"[0-9]{2,3}\r\nContent-Length: 0\r\n\r\n");
	env_log(e, 1);
	cr_expect_eq(e->last.request_id.n, 36u);
	close(c);
	close(s);
	env_free(e);
}
