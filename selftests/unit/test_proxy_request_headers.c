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

#include "proxy/request/request_headers.h"
#include "test_proxy_env.h"

#define T "0af7651916cd43dd8448eb211c80319c"
#define S "b7ad6b7169203331"
#define HEX16 "[0-9a-f]{16}"

static struct random rnd;
static char text[8192];

/* The fields as lines, in the order of the request's own ones and then those added. */
static const char *added_to(const char *fields, bool gateway, const char *client)
{
	static char head[4096];
	struct h1_request q;
	struct request_headers a;
	struct request_headers_ask ask = { .request = &q,
					   .scheme = { "http", 4 },
					   .gateway = gateway };
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
	request_headers_make(&a, &ask, &rnd);
	text[0] = '\0';
	for (size_t i = 1; i < q.m.header_count; i++)
		if (!request_headers_replace(&a, q.m.headers[i].name))
			len += (size_t)sprintf(text + len, "%.*s: %.*s\n",
					       (int)q.m.headers[i].name.n, q.m.headers[i].name.p,
					       (int)q.m.headers[i].value.n, q.m.headers[i].value.p);
	for (size_t i = 0; i < a.count; i++)
		if (a.fields[i].value.p)
			len += (size_t)sprintf(text + len, "%s: %.*s%.*s\n", a.fields[i].name.p,
					       (int)a.fields[i].value.n, a.fields[i].value.p,
					       (int)a.fields[i].more.n,
					       a.fields[i].more.n ? a.fields[i].more.p : "");
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

Test(proxy_request_headers, what_is_there_is_carried_on)
{
	want_lines(added_to(HERE "traceparent: 00-" T "-" S "-01\r\nTraceState: a=b\r\n", false,
			    NULL),
		   SAME "TraceState: a=b\ntraceparent: 00-" T "-" HEX16 "-01\n");
	cr_expect_null(strstr(text, S), "the span is not a new one");
	want_lines(added_to(HERE "traceparent: cc-" T "-" S "-01-more\r\n", false, NULL),
		   SAME "traceparent: 00-" T "-" HEX16 "-01\n");
	want_lines(added_to(HERE "X-B3-TraceId: " T "\r\nX-B3-SpanId: " S
				 "\r\nX-B3-ParentSpanId: 0123456789abcdef\r\nX-B3-Sampled: 1\r\n",
			    false, NULL),
		   SAME "X-B3-TraceId: " T "\nX-B3-Sampled: 1\nx-b3-spanid: " HEX16
			"\nx-b3-parentspanid: " S "\n");
	want_lines(added_to(HERE "b3: " T "-" S "-1\r\n", false, NULL),
		   SAME "b3: " T "-" HEX16 "-1-" S "\n");
	want_lines(added_to(HERE "b3: " T "-" S "-d-0123456789abcdef\r\n", false, NULL),
		   SAME "b3: " T "-" HEX16 "-d-" S "\n");
	want_lines(added_to(HERE "b3: 0123456789abcdef-" S "\r\n", false, NULL),
		   SAME "b3: 0123456789abcdef-" HEX16 "\n");
	want_lines(added_to(HERE "b3: 0\r\n", false, NULL), SAME "b3: 0\n");
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
