// SPDX-License-Identifier: Apache-2.0
/*
 * What the client sees when something is missing, slow or broken.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_proxy_env.h"

static struct env *e;

static void setup(void)
{
	struct worker_options o = worker_defaults;

	o.head_timeout_ms = 300;
	o.idle_timeout_ms = 600;
	o.stream_timeout_ms = 400;
	e = env_new(&o);
}

static void teardown(void)
{
	env_free(e);
}

TestSuite(proxy_failures, .init = setup, .fini = teardown, .timeout = 60);

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define GOT "GET /a HTTP/1.1\r\nhost: h\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define RESET "upstream connect error or disconnect/reset before headers. reset reason: "

static void nobody_listens(struct target *t)
{
	int fd = env_listen(&t->port);

	close(fd);
}

static void reset(int fd)
{
	struct linger now = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

Test(proxy_failures, no_endpoint)
{
	int c = env_client(e);

	e->pick = PICK_NONE;
	put(c, GET);
	want_message(c, "HTTP/1.1 503 Service Unavailable\r\n", "\r\n\r\nno healthy upstream",
		     "content-type: text/plain", "content-length: 19\r\n", "!connection:", NULL);
	cr_expect_str_eq(env_log(e, 1)->flags, "UH");
	e->pick = PICK_NO_CLUSTER;
	put(c, GET);
	want_message(c, "HTTP/1.1 503 ", "content-length: 0\r\n", NULL);
}

Test(proxy_failures, connection_refused)
{
	int c = env_client(e);

	nobody_listens(&e->target);
	put(c, GET);
	want_message(c, "HTTP/1.1 503 ", RESET "connection failure", NULL);
	cr_expect_eq(e->outcome, OUTCOME_CONNECT);
	cr_expect_str_eq(env_log(e, 1)->flags, "UF");
}

Test(proxy_failures, refused_then_another_endpoint)
{
	int c = env_client(e), s;

	e->second = e->target;
	nobody_listens(&e->target);
	e->plan.retries = 2;
	e->plan.retry_on = PLAN_RETRY_CONNECT_FAILURE;
	e->plan.backoff_ms = 25;
	put(c, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
	s = env_accept(e);
	want(s, "POST /a HTTP/1.1\r\nhost: h\r\nContent-Length: 3\r\n\r\nabc");
	put(s, OK);
	want(c, OK);
	cr_expect_eq(e->picks, 2u);
}

Test(proxy_failures, tries_come_to_an_end)
{
	int c = env_client(e);

	nobody_listens(&e->target);
	e->plan.retries = 3;
	e->plan.retry_on = PLAN_RETRY_CONNECT_FAILURE;
	put(c, GET);
	want_message(c, "HTTP/1.1 503 ", NULL);
	cr_expect_eq(e->picks, 4u);
}

Test(proxy_failures, a_503_is_tried_again_if_the_rule_says_so)
{
	static const uint32_t statuses[] = { 503 };
	int c = env_client(e), s;

	e->plan.retries = 1;
	e->plan.retry_statuses = statuses;
	e->plan.retry_status_count = 1;
	put(c, "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
	       "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
	for (int i = 0; i < 2; i++) {
		s = env_accept(e);
		want(s, "POST /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: "
			"chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
		put(s, "HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nbad");
	}
	want_message(c, "HTTP/1.1 503 No", "\r\n\r\nbad", NULL);
	cr_expect_eq(e->picks, 2u);
}

Test(proxy_failures, an_endpoint_that_resets)
{
	int c = env_client(e), s;

	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	reset(s);
	want_message(c, "HTTP/1.1 503 ", RESET "connection termination", NULL);
	cr_expect_str_eq(env_log(e, 1)->flags, "UC");
	cr_expect_eq(e->outcome, OUTCOME_RESET);
}

Test(proxy_failures, an_unused_connection_that_the_endpoint_closed_is_not_used)
{
	int c = env_client(e), s;

	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, OK);
	want(c, OK);
	close(s);
	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, OK);
	want(c, OK);
}

/* It was alive when the request was sent: nobody can say whether the request was carried out. */
Test(proxy_failures, a_reused_connection_that_ends_is_tried_again_only_if_that_is_safe)
{
	int c = env_client(e), s;

	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, OK);
	want(c, OK);
	put(c, GET);
	want(s, GOT);
	close(s);
	s = env_accept(e);
	want(s, GOT);
	put(s, OK);
	want(c, OK);
	put(c, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
	get_head(s);
	want(s, "abc");
	close(s);
	want_message(c, "HTTP/1.1 503 ", NULL);
}

Test(proxy_failures, a_response_that_makes_no_sense)
{
	static const char *const bad[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nhi",
		"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
		"hi\r\n",
	};
	int c = env_client(e), s;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		put(c, GET);
		s = env_accept(e);
		want(s, GOT);
		put(s, bad[i]);
		want_message(c, "HTTP/1.1 502 ", RESET "protocol error", NULL);
		want_closed(s);
	}
}

Test(proxy_failures, a_response_that_breaks_off_is_seen_to)
{
	int c = env_client(e), s;
	char bytes[16];

	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi");
	want(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi");
	close(s);
	cr_expect_lt(recv(c, bytes, sizeof(bytes), 0), 0, "an orderly end");
}

Test(proxy_failures, malformed_chunks_of_the_endpoint_are_a_502)
{
	int c = env_client(e), s;

	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n0\r\n\r\n");
	want_message(c, "HTTP/1.1 502 ", "protocol error", NULL);
	want_closed(s);
	cr_expect_eq(env_log(e, 1)->status, 502u);
	cr_expect_str_eq(e->flags, "UPE");
	cr_expect_str_eq(e->last.details, "upstream_reset_before_response_started{protocol_error}");
}

/* The client has the head by then: all that is left is to break off. */
Test(proxy_failures, malformed_chunks_of_the_endpoint_end_it)
{
	int c = env_client(e), s;

	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	want(c, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
	put(s, "5;x=\r\nhello\r\n");
	want_closed(c);
	want_closed(s);
	cr_expect_eq(env_log(e, 1)->status, 200u);
	cr_expect_str_eq(e->flags, "UPE");
	cr_expect_str_eq(e->last.details, "upstream_reset_after_response_started{protocol_error}");
}

Test(proxy_failures, malformed_chunks_of_the_client_that_come_late)
{
	int c = env_client(e), s;

	put(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
	s = env_accept(e);
	get_head(s);
	want(s, "5\r\nhello\r\n");
	put(c, "5;x=\r\nhello\r\n");
	want_message(c, "HTTP/1.1 400 ", NULL);
	want_end(c);
	want_closed(s);
}

Test(proxy_failures, a_client_that_goes_away_takes_the_request_with_it)
{
	int c = env_client(e), s;

	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	reset(c);
	want_closed(s);
	env_log(e, 1);
	cr_expect_eq(e->outcome, OUTCOME_ABANDONED);
}

Test(proxy_failures, a_client_that_goes_away_within_the_body)
{
	int c = env_client(e), s;

	put(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
	s = env_accept(e);
	get_head(s);
	want(s, "abc");
	close(c);
	want_closed(s);
}

Test(proxy_failures, the_routes_time_is_over)
{
	int c = env_client(e), s;

	e->plan.timeout_ms = 100;
	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	want_message(c, "HTTP/1.1 504 Gateway Timeout\r\n", "content-length: 24\r\n",
		     "\r\n\r\nupstream request timeout", NULL);
	want_closed(s);
	cr_expect_str_eq(env_log(e, 1)->flags, "UT");
	cr_expect_eq(e->outcome, OUTCOME_TIMEOUT);
	/* It is not over for the next request. */
	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, OK);
	want(c, OK);
}

Test(proxy_failures, each_try_has_its_time)
{
	int c = env_client(e), s;

	e->plan.per_try_timeout_ms = 100;
	e->plan.retries = 1;
	e->plan.retry_on = PLAN_RETRY_5XX;
	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	want_closed(s);
	s = env_accept(e);
	want(s, GOT);
	want_message(c, "HTTP/1.1 504 ", "upstream request timeout", NULL);
}

Test(proxy_failures, a_response_that_stops_is_given_up)
{
	int c = env_client(e), s;

	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nh");
	want(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nh");
	for (int i = 0; i < 4; i++) {
		wait_ms(150);
		put(s, "i");
		want(c, "i");
	}
	want_closed(c);
	want_closed(s);
}

Test(proxy_failures, a_delay_comes_first)
{
	int c = env_client(e), s;

	e->plan.delay_ms = 200;
	e->plan.timeout_ms = 150;
	put(c, GET);
	want_silence(c);
	s = env_accept(e);
	want(s, GOT);
	put(s, OK);
	want(c, OK);
	cr_expect_str_eq(env_log(e, 1)->flags, "DI");
	cr_expect_geq(e->last.duration_ms, 190u);
}

Test(proxy_failures, an_abort_asks_no_endpoint)
{
	int c = env_client(e);

	e->plan.action = PLAN_ANSWER;
	e->plan.answer = (struct plan_answer){ .status = 500,
					       .body = { "fault filter abort", 18 },
					       .flags = "FI" };
	for (int i = 0; i < 3; i++) {
		put(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
		want_message(c, "HTTP/1.1 500 Internal Server Error", "content-length: 18\r\n",
			     "\r\n\r\nfault filter abort", NULL);
	}
	put(c, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n" GET);
	get_head(c);
	want_message(c, "HTTP/1.1 500 ", "abort", NULL);
	env_log(e, 5);
	cr_expect_eq(e->picks, 0u);
	cr_expect_eq(e->releases, 5u);
}

Test(proxy_failures, a_head_that_comes_too_slowly_is_408)
{
	int c = env_client(e);

	put(c, "GET / HTTP/1.1\r\nHo");
	want_message(c, "HTTP/1.1 408 ", "connection: close", NULL);
	want_end(c);
}

Test(proxy_failures, a_client_that_says_nothing_is_closed)
{
	int c = env_client(e), s;

	want_end(c);
	c = env_client(e);
	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, OK);
	want(c, OK);
	want_end(c);
}

Test(proxy_failures, a_connection_serves_as_many_requests_as_it_may)
{
	int c = env_client(e), s = -1;

	e->target.max_requests_per_connection = 2;
	for (int i = 0; i < 4; i++) {
		put(c, GET);
		if (!(i & 1))
			s = env_accept(e);
		want(s, GOT);
		put(s, OK);
		want(c, OK);
		if (i & 1)
			want_end(s);
	}
}

Test(proxy_failures, a_connection_is_used_as_long_as_it_may)
{
	int c = env_client(e), s;

	e->target.max_duration_ms = 150;
	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, OK);
	want(c, OK);
	put(c, GET);
	want(s, GOT);
	wait_ms(200);
	put(s, OK);
	want(c, OK);
	want_end(s);
	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, OK);
	want(c, OK);
	want_end(s);
}

Test(proxy_failures, an_unused_connection_is_kept_as_long_as_it_may)
{
	int c = env_client(e), s;

	e->target.idle_timeout_ms = 50;
	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, OK);
	want(c, OK);
	want_end(s);
}

Test(proxy_failures, connections_to_what_is_no_endpoint_any_more_are_closed)
{
	int a = env_client(e), b = env_client(e), s, t, one, two;

	e->target.endpoint = &one;
	put(a, GET);
	s = env_accept(e);
	want(s, GOT);
	put(b, GET);
	t = env_accept(e);
	want(t, GOT);
	put(s, OK);
	want(a, OK);
	/* One unused, one in use: that goes on. */
	__atomic_store_n(&e->gone, &one, __ATOMIC_SEQ_CST);
	__atomic_store_n(&e->other_rules, true, __ATOMIC_SEQ_CST);
	loop_wake(e->worker.loop);
	want_end(s);
	want_silence(t);
	put(t, OK);
	want(b, OK);
	want_end(t);
	e->target.endpoint = &two;
	put(a, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, OK);
	want(a, OK);
	__atomic_store_n(&e->other_rules, true, __ATOMIC_SEQ_CST);
	loop_wake(e->worker.loop);
	want_silence(s);
	put(b, GET);
	want(s, GOT);
	put(s, OK);
	want(b, OK);
}
