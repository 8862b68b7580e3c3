// SPDX-License-Identifier: Apache-2.0
/*
 * What is tried again, and what the log says of it.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_proxy_env.h"
#include "test_proxy_stream.h"

static struct env *e;

static void setup(void)
{
	e = env_new(NULL);
	e->plan.retries = 1;
}

static void teardown(void)
{
	env_free(e);
}

TestSuite(proxy_retries, .init = setup, .fini = teardown, .timeout = 60);

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define GOT "GET /a HTTP/1.1\r\nhost: h\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define RESPONSE(status, headers) "HTTP/1.1 " status "\r\n" headers "Content-Length: 0\r\n\r\n"

static void reset(int fd)
{
	struct linger now = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

/* ---- by what the endpoint answers ---- */

static const struct {
	const char *response; /* of the first try */
	uint32_t on;
	bool again;
} responses[] = {
	{ RESPONSE("500 A", ""), PLAN_RETRY_5XX, true },
	{ RESPONSE("599 A", ""), PLAN_RETRY_5XX, true },
	{ RESPONSE("499 A", ""), PLAN_RETRY_5XX, false },
	{ RESPONSE("500 A", ""), PLAN_RETRY_GATEWAY_ERROR, false },
	{ RESPONSE("502 A", ""), PLAN_RETRY_GATEWAY_ERROR, true },
	{ RESPONSE("503 A", ""), PLAN_RETRY_GATEWAY_ERROR, true },
	{ RESPONSE("504 A", ""), PLAN_RETRY_GATEWAY_ERROR, true },
	{ RESPONSE("505 A", ""), PLAN_RETRY_GATEWAY_ERROR, false },
	{ RESPONSE("503 A", ""), PLAN_RETRY_CONNECT_FAILURE | PLAN_RETRY_RESET, false },
	{ RESPONSE("409 A", ""), PLAN_RETRY_4XX, true },
	{ RESPONSE("404 A", ""), PLAN_RETRY_4XX, false },
	{ RESPONSE("503 A", "x-envoy-overloaded: true\r\n"), PLAN_RETRY_5XX, false },
	{ RESPONSE("503 A", "x-envoy-ratelimited: true\r\n"), PLAN_RETRY_5XX, false },
	{ RESPONSE("429 A", "x-envoy-ratelimited: true\r\n"), PLAN_RETRY_RATELIMITED, true },
	{ RESPONSE("200 A", "grpc-status: 1\r\n"), PLAN_RETRY_CANCELLED, true },
	{ RESPONSE("200 A", "grpc-status: 4\r\n"), PLAN_RETRY_DEADLINE_EXCEEDED, true },
	{ RESPONSE("200 A", "grpc-status: 8\r\n"), PLAN_RETRY_RESOURCE_EXHAUSTED, true },
	{ RESPONSE("200 A", "grpc-status: 13\r\n"), PLAN_RETRY_INTERNAL, true },
	{ RESPONSE("200 A", "grpc-status: 14\r\n"), PLAN_RETRY_UNAVAILABLE, true },
	{ RESPONSE("200 A", "grpc-status: 14\r\n"), PLAN_RETRY_CANCELLED | PLAN_RETRY_5XX, false },
	{ RESPONSE("200 A", "grpc-status: 0\r\n"), PLAN_RETRY_UNAVAILABLE, false },
};

Test(proxy_retries, answers)
{
	int c = env_client(e), s = -1;

	for (size_t i = 0; i < sizeof(responses) / sizeof(*responses); i++) {
		unsigned picks = e->picks;

		e->plan.retry_on = responses[i].on;
		put(c, GET);
		if (s < 0 || (i && responses[i - 1].again))
			s = env_accept(e);
		want(s, GOT);
		put(s, responses[i].response);
		if (responses[i].again) {
			close(s);
			s = env_accept(e);
			want(s, GOT);
			put(s, OK);
			want(c, OK);
			close(s);
			wait_ms(5);
		} else {
			want_message(c, "HTTP/1.1 ", " A\r\n", NULL);
		}
		cr_expect_eq(e->picks - picks, responses[i].again ? 2u : 1u, "row %zu: %s", i,
			     responses[i].response);
	}
}

/* ---- by how it fails ---- */

enum how { REFUSES, RESETS, BABBLES, SLEEPS };

static const struct {
	enum how how;
	uint32_t on;
	bool again;
} failures[] = {
	{ REFUSES, PLAN_RETRY_CONNECT_FAILURE, true },
	{ REFUSES, PLAN_RETRY_5XX, true },
	{ REFUSES, PLAN_RETRY_GATEWAY_ERROR, true },
	{ REFUSES, PLAN_RETRY_RESET, true },
	{ REFUSES, PLAN_RETRY_RESET_BEFORE_REQUEST, true },
	{ REFUSES, PLAN_RETRY_4XX | PLAN_RETRY_UNAVAILABLE, false },
	{ RESETS, PLAN_RETRY_CONNECT_FAILURE, false },
	{ RESETS, PLAN_RETRY_RESET_BEFORE_REQUEST, false },
	{ RESETS, PLAN_RETRY_RESET, true },
	{ RESETS, PLAN_RETRY_5XX, true },
	{ RESETS, PLAN_RETRY_GATEWAY_ERROR, true },
	{ BABBLES, PLAN_RETRY_RESET, true },
	{ BABBLES, PLAN_RETRY_CONNECT_FAILURE, false },
	{ SLEEPS, PLAN_RETRY_5XX, true },
	{ SLEEPS, PLAN_RETRY_RESET, true },
	{ SLEEPS, PLAN_RETRY_CONNECT_FAILURE, false },
};

static int fail(enum how how)
{
	int s;

	if (how == REFUSES)
		return -1;
	s = env_accept(e);
	want(s, GOT);
	if (how == RESETS)
		reset(s);
	else if (how == BABBLES)
		put(s, "hello\r\n\r\n");
	return s;
}

Test(proxy_retries, failures)
{
	const struct target good = e->target;
	int c = env_client(e), other;

	other = env_listen(&e->second.port);
	e->second.addr = good.addr;
	e->target.max_requests_per_connection = e->second.max_requests_per_connection = 1;
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
		unsigned picks = e->picks;

		e->plan.retry_on = failures[i].on;
		e->plan.per_try_timeout_ms = failures[i].how == SLEEPS ? 50 : 0;
		e->target.port = good.port;
		if (failures[i].how == REFUSES)
			close(env_listen(&e->target.port));
		put(c, GET);
		fail(failures[i].how);
		if (failures[i].again) {
			int s = accept(other, NULL, NULL);

			want(s, GOT);
			put(s, OK);
			want(c, OK);
			want_end(s);
			close(s);
		} else {
			want_message(c, "HTTP/1.1 50", NULL);
		}
		cr_expect_eq(e->picks - picks, failures[i].again ? 2u : 1u, "row %zu", i);
	}
}

/* ---- what is seen of it ---- */

Test(proxy_retries, the_endpoint_is_told_which_try_it_is)
{
	int c = env_client(e), s;

	e->plan.count_tries = true;
	e->plan.retry_on = PLAN_RETRY_5XX;
	put(c, "GET /a HTTP/1.1\r\nHost: h\r\nX-Envoy-Attempt-Count: 7\r\nX-A: b\r\n\r\n");
	s = env_accept(e);
	want(s, "GET /a HTTP/1.1\r\nhost: h\r\nx-envoy-attempt-count: 1\r\nX-A: b\r\n\r\n");
	put(s, RESPONSE("503 A", ""));
	s = env_accept(e);
	want(s, "GET /a HTTP/1.1\r\nhost: h\r\nx-envoy-attempt-count: 2\r\nX-A: b\r\n\r\n");
	put(s, OK);
	want(c, OK);
}

Test(proxy_retries, the_log_says_when_they_are_used_up)
{
	int c = env_client(e), s;

	e->plan.retry_on = PLAN_RETRY_CONNECT_FAILURE | PLAN_RETRY_5XX;
	for (int i = 0; i < 2; i++) {
		if (!i)
			put(c, GET);
		s = env_accept(e);
		want(s, GOT);
		put(s, RESPONSE("503 A", ""));
	}
	want_message(c, "HTTP/1.1 503 A", NULL);
	cr_expect_str_eq(env_log(e, 1)->flags, "URX");
	cr_expect_eq(e->last.tries, 2u);
	close(env_listen(&e->target.port));
	put(c, GET);
	want_message(c, "HTTP/1.1 503 ", "connection failure", NULL);
	cr_expect_str_eq(env_log(e, 2)->flags, "UF,URX");
	e->plan.retries = 0;
	put(c, GET);
	want_message(c, "HTTP/1.1 503 ", "connection failure", NULL);
	cr_expect_str_eq(env_log(e, 3)->flags, "UF");
}

Test(proxy_retries, flags_are_written_in_envoys_order)
{
	char text[FLAGS_TEXT];
	uint32_t flags = 0;

	cr_expect_str_eq(flags_text(flags, text), "-");
	flags_add(&flags, "-");
	flags_add(&flags, "URX");
	flags_add(&flags, "FI");
	flags_add(&flags, "DI");
	flags_add(&flags, "UF");
	cr_expect_str_eq(flags_text(flags, text), "UF,DI,FI,URX");
	cr_expect_str_eq(flags_text(UINT32_MAX, text),
			 "UH,UT,UF,UC,UO,NR,DI,FI,DC,URX,SI,DPE,DT,UPE,NC");
}

Test(proxy_retries, a_delayed_abort_has_both_flags)
{
	int c = env_client(e);

	e->plan.delay_ms = 10;
	e->plan.action = PLAN_ANSWER;
	e->plan.answer = (struct plan_answer){ .status = 500, .flags = "FI" };
	put(c, GET);
	want_message(c, "HTTP/1.1 500 ", NULL);
	cr_expect_str_eq(env_log(e, 1)->flags, "DI,FI");
}

Test(proxy_retries, a_client_that_goes_away_is_logged)
{
	int c = env_client(e), s;

	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	reset(c);
	want_closed(s);
	cr_expect_str_eq(env_log(e, 1)->flags, "DC");
	cr_expect_eq(e->last.status, 0u);
	c = env_client(e);
	put(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
	s = env_accept(e);
	close(c);
	get_head(s);
	want(s, "abc");
	want_closed(s);
	cr_expect_str_eq(env_log(e, 2)->flags, "DC");
}

/* ---- bodies ---- */

static const struct {
	const char *head, *before, *after;
	uint64_t n;
	bool again;
} bodies[] = {
	{ "Content-Length: 200000", "", "", 200000, true },
	{ "Content-Length: 1048576", "", "", 1048576, true },
	{ "Content-Length: 1048577", "", "", 1048577, false },
	{ "Transfer-Encoding: chunked", "30d40\r\n", "\r\n0\r\n\r\n", 200000, true },
	{ "Transfer-Encoding: chunked", "100000\r\n", "\r\n0\r\n\r\n", 1048576, false },
};

static void want_body(int fd, size_t i)
{
	want(fd, bodies[i].before);
	stream_want(fd, bodies[i].n);
	want(fd, bodies[i].after);
}

/* Whether an endpoint that refuses the i-th body is followed by another try, which has it whole. */
static void check_body(int c, size_t i, bool again)
{
	char head[128];
	int s;

	snprintf(head, sizeof(head), "POST /a HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n%s", bodies[i].head,
		 bodies[i].before);
	put(c, head);
	s = env_accept(e);
	get_head(s);
	want(s, bodies[i].before);
	stream_transfer(c, s, bodies[i].n);
	put(c, bodies[i].after);
	want(s, bodies[i].after);
	put(s, RESPONSE("503 A", "Connection: close\r\n"));
	close(s);
	if (again) {
		s = env_accept(e);
		get_head(s);
		want_body(s, i);
		put(s, RESPONSE("200 B", "Connection: close\r\n"));
		close(s);
	}
	want_message(c, again ? "HTTP/1.1 200 B" : "HTTP/1.1 503 A", NULL);
}

Test(proxy_retries, bodies_are_kept_up_to_a_length)
{
	int c = env_client(e);

	e->plan.retry_on = PLAN_RETRY_5XX;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		check_body(c, i, bodies[i].again);
		cr_expect_str_eq(env_log(e, (unsigned)i + 1)->flags, "-");
	}
	cr_expect_eq(e->picks, 8u);
	cr_expect_eq(e->worker.io.buffers.beyond, 0u);
}

Test(proxy_retries, bodies_are_kept_up_to_a_length_in_all)
{
	size_t *beyond = &e->worker.io.buffers.beyond;
	int c = env_client(e);

	e->plan.retry_on = PLAN_RETRY_5XX;
	*beyond = BUFFER_POOL_BEYOND;
	check_body(c, 0, false);
	*beyond = 0;
	check_body(c, 0, true);
}

/* ---- what comes behind a body ---- */

#define POST "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 700000\r\n\r\n"

enum { BODY = 700000, FOLLOWERS = 300 };

struct burst {
	int fd;
	char *bytes;
	size_t n;
};

static void *send_burst(void *arg)
{
	const struct burst *b = arg;

	put_bytes(b->fd, b->bytes, b->n);
	return NULL;
}

static void take_body(int fd)
{
	static char block[65536];

	for (size_t left = BODY; left;) {
		ssize_t n = recv(fd, block, left < sizeof(block) ? left : sizeof(block), 0);

		cr_assert_gt(n, 0);
		left -= (size_t)n;
	}
}

/* They must not go on in a buffer of its size. */
Test(proxy_retries, requests_behind_a_kept_body)
{
	const size_t before = strlen(POST) + BODY, each = strlen(GET);
	struct burst burst = { env_client(e), malloc(before + FOLLOWERS * each),
			       before + FOLLOWERS * each };
	pthread_t t;
	int s;

	e->plan.retry_on = PLAN_RETRY_5XX;
	memset(burst.bytes, 'x', before);
	memcpy(burst.bytes, POST, strlen(POST));
	for (size_t i = 0; i < FOLLOWERS; i++)
		memcpy(burst.bytes + before + i * each, GET, each);
	cr_assert_eq(pthread_create(&t, NULL, send_burst, &burst), 0);
	s = env_accept(e);
	get_head(s);
	take_body(s);
	put(s, RESPONSE("200 A", ""));
	want_message(burst.fd, "HTTP/1.1 200 A", NULL);
	for (int i = 0; i < FOLLOWERS; i++) {
		want(s, GOT);
		cr_expect_eq(e->worker.io.buffers.beyond, 0u);
		put(s, OK);
		want_message(burst.fd, "HTTP/1.1 200 OK", NULL);
	}
	pthread_join(t, NULL);
	free(burst.bytes);
}

/* ---- times ---- */

Test(proxy_retries, the_routes_time_begins_when_the_request_is_complete)
{
	int c = env_client(e), s;

	e->plan.timeout_ms = 300;
	put(c, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\na");
	s = env_accept(e);
	get_head(s);
	want(s, "a");
	for (int i = 0; i < 4; i++) {
		wait_ms(150);
		put(c, "b");
		want(s, "b");
	}
	want_message(c, "HTTP/1.1 504 ", "upstream request timeout", NULL);
	cr_expect_geq(env_log(e, 1)->duration_ms, 850u);
}

Test(proxy_retries, the_routes_time_is_for_all_tries)
{
	int c = env_client(e), s;

	e->plan.timeout_ms = 250;
	e->plan.per_try_timeout_ms = 100;
	e->plan.retries = 100;
	e->plan.retry_on = PLAN_RETRY_5XX;
	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	want_closed(s);
	s = env_accept(e);
	want(s, GOT);
	want_message(c, "HTTP/1.1 504 ", "upstream request timeout", NULL);
	cr_expect_str_eq(env_log(e, 1)->flags, "UT");
	cr_expect_lt(e->picks, 5u);
}

/* An endpoint that says nothing at all would otherwise hold a client that waits for it. */
Test(proxy_retries, the_routes_time_when_nobody_tells_the_client_to_go_on)
{
	static const char head[] = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"
				   "Expect: 100-continue\r\n\r\n";
	int c = env_client(e), s;

	e->plan.timeout_ms = 150;
	put(c, head);
	s = env_accept(e);
	get_head(s);
	want_message(c, "HTTP/1.1 504 ", NULL);
	want_closed(s);
	c = env_client(e);
	put(c, head);
	s = env_accept(e);
	get_head(s);
	put(s, "HTTP/1.1 100 Continue\r\n\r\n");
	want(c, "HTTP/1.1 100 Continue\r\n\r\n");
	wait_ms(250);
	put(c, "x");
	want(s, "x");
	put(s, OK);
	want(c, OK);
}
