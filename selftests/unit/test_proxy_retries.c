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

#include "test_proxy_script.h"
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

/* ---- by what the endpoint answers ---- */

static const struct {
	uint32_t on;
	const char *answers; /* the first try */
	const char *seen;    /* NULL: there is another try, which succeeds */
} responses[] = {
	{ PLAN_RETRY_5XX, "U< 500", NULL },
	{ PLAN_RETRY_5XX, "U< 599", NULL },
	{ PLAN_RETRY_5XX, "U< 499", "C< 499" },
	{ PLAN_RETRY_GATEWAY_ERROR, "U< 500", "C< 500" },
	{ PLAN_RETRY_GATEWAY_ERROR, "U< 502", NULL },
	{ PLAN_RETRY_GATEWAY_ERROR, "U< 503", NULL },
	{ PLAN_RETRY_GATEWAY_ERROR, "U< 504", NULL },
	{ PLAN_RETRY_GATEWAY_ERROR, "U< 505", "C< 505" },
	{ PLAN_RETRY_CONNECT_FAILURE | PLAN_RETRY_RESET, "U< 503", "C< 503" },
	{ PLAN_RETRY_4XX, "U< 409", NULL },
	{ PLAN_RETRY_4XX, "U< 404", "C< 404" },
#define OVERLOADED "503 A|x-envoy-overloaded: true|Content-Length: 0||"
	{ PLAN_RETRY_5XX, "U< " OVERLOADED, "C< " OVERLOADED },
#define RATELIMITED(status) status " A|x-envoy-ratelimited: true|Content-Length: 0||"
	{ PLAN_RETRY_5XX, "U< " RATELIMITED("503"), "C< " RATELIMITED("503") },
	{ PLAN_RETRY_RATELIMITED, "U< " RATELIMITED("429"), NULL },
#define GRPC(status) "200 A|grpc-status: " status "|Content-Length: 0||"
	{ PLAN_RETRY_CANCELLED, "U< " GRPC("1"), NULL },
	{ PLAN_RETRY_DEADLINE_EXCEEDED, "U< " GRPC("4"), NULL },
	{ PLAN_RETRY_RESOURCE_EXHAUSTED, "U< " GRPC("8"), NULL },
	{ PLAN_RETRY_INTERNAL, "U< " GRPC("13"), NULL },
	{ PLAN_RETRY_UNAVAILABLE, "U< " GRPC("14"), NULL },
	{ PLAN_RETRY_CANCELLED | PLAN_RETRY_5XX, "U< " GRPC("14"), "C< " GRPC("14") },
	{ PLAN_RETRY_UNAVAILABLE, "U< " GRPC("0"), "C< " GRPC("0") },
};

Test(proxy_retries, answers)
{
	for (size_t i = 0; i < sizeof(responses) / sizeof(*responses); i++) {
		unsigned picks = e->picks;

		e->plan.retry_on = responses[i].on;
		PLAY("C> GET /a", "U> GET /a", responses[i].answers);
		if (responses[i].seen)
			PLAY(responses[i].seen);
		else
			PLAY("U> GONE", "U> GET /a", "U< 200", "C< 200", "U< END", "T 5");
		cr_expect_eq(e->picks - picks, responses[i].seen ? 1u : 2u, "row %zu: %s", i,
			     responses[i].answers);
	}
}

/* ---- by how it fails ---- */

enum how { REFUSES, RESETS, BABBLES, SLEEPS };

static const char *const how_it_fails[][4] = {
	[REFUSES] = { NULL },
	[RESETS] = { "U> GET /a", "U< RST" },
	[BABBLES] = { "U> GET /a", "U< hello||", "U> GONE" },
	[SLEEPS] = { "U> GET /a", "U> GONE" },
};

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

Test(proxy_retries, failures)
{
	const struct target good = e->target;

	env_second(e);
	e->target.max_requests_per_connection = e->second.max_requests_per_connection = 1;
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
		unsigned picks = e->picks;

		e->plan.retry_on = failures[i].on;
		e->plan.per_try_timeout_ms = failures[i].how == SLEEPS ? 50 : 0;
		e->target.port = good.port;
		if (failures[i].how == REFUSES)
			close(env_listen(&e->target.port));
		PLAY("C> GET /a");
		script_play(e, "it fails", how_it_fails[failures[i].how]);
		if (failures[i].again)
			PLAY("V> GET /a", "V< 200", "C< 200", "V> END", "V< END");
		else
			PLAY("C< HTTP/1.1 50...");
		cr_expect_eq(e->picks - picks, failures[i].again ? 2u : 1u, "row %zu", i);
	}
}

/* ---- what is seen of it ---- */

Test(proxy_retries, the_endpoint_is_told_which_try_it_is)
{
	e->plan.count_tries = true;
	e->plan.retry_on = PLAN_RETRY_5XX;
	PLAY("C> GET /a HTTP/1.1|Host: h|X-Envoy-Attempt-Count: 7|X-A: b||",
	     "U> GET /a HTTP/1.1|host: h|x-envoy-attempt-count: 1|X-A: b||", "U< 503",
	     "U2> GET /a HTTP/1.1|host: h|x-envoy-attempt-count: 2|X-A: b||", "U2< 200", "C< 200");
}

Test(proxy_retries, the_log_says_when_they_are_used_up)
{
	e->plan.retry_on = PLAN_RETRY_CONNECT_FAILURE | PLAN_RETRY_5XX;
	PLAY("C> GET /a", "U> GET /a", "U< 503", "U2> GET /a", "U2< 503", "C< 503", "L 503 URX");
	cr_expect_eq(e->last.tries, 2u);
	close(env_listen(&e->target.port));
	PLAY("C> GET /a", "C< 503...connection failure", "L2 503 UF,URX");
	e->plan.retries = 0;
	PLAY("C> GET /a", "C< 503...connection failure", "L3 503 UF");
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
	memset(text, 'x', sizeof(text) - 1);
	cr_expect_str_eq(flags_text(~(uint32_t)FLAGS_ALL, text), "-", "none that is known");
	cr_expect_str_eq(flags_text(~(uint32_t)FLAGS_ALL | flags_of("NC"), text), "NC");
}

Test(proxy_retries, a_delayed_abort_has_both_flags)
{
	e->plan.delay_ms = 10;
	e->plan.action = PLAN_ANSWER;
	e->plan.answer = (struct plan_answer){ .status = 500, .flags = "FI" };
	PLAY("C> GET /a", "C< 500 ...", "L 500 DI,FI");
}

Test(proxy_retries, a_client_that_goes_away_is_logged)
{
	PLAY("C> GET /a", "U> GET /a", "C> RST", "U> GONE", "L 0 DC");
	PLAY("C> POST / HTTP/1.1|Host: h|Content-Length: 10||abc", "C> END",
	     "U> POST / HTTP/1.1|host: h|Content-Length: 10||abc", "U> GONE", "L2 0 DC");
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
static void check_body(size_t i, bool again)
{
	int c = script_socket(e, "C"), s;
	char head[128];

	snprintf(head, sizeof(head), "C> POST /a HTTP/1.1|Host: h|%s||%s", bodies[i].head,
		 bodies[i].before);
	PLAY(head);
	s = script_socket(e, "U");
	get_head(s);
	want(s, bodies[i].before);
	stream_transfer(c, s, bodies[i].n);
	put(c, bodies[i].after);
	want(s, bodies[i].after);
	PLAY("U< 503 A|Connection: close|Content-Length: 0||", "U< END");
	if (again) {
		s = script_socket(e, "U");
		get_head(s);
		want_body(s, i);
		PLAY("U< 200 B|Connection: close|Content-Length: 0||", "U< END");
	}
	PLAY(again ? "C< 200 B|Content-Length: 0||" : "C< 503 A|Content-Length: 0||");
}

Test(proxy_retries, bodies_are_kept_up_to_a_length)
{
	e->plan.retry_on = PLAN_RETRY_5XX;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		check_body(i, bodies[i].again);
		cr_expect_str_eq(env_log(e, (unsigned)i + 1)->flags, "-");
	}
	cr_expect_eq(e->picks, 8u);
	cr_expect_eq(e->worker.io.buffers.beyond, 0u);
}

Test(proxy_retries, bodies_are_kept_up_to_a_length_in_all)
{
	size_t *beyond = &e->worker.io.buffers.beyond;

	e->plan.retry_on = PLAN_RETRY_5XX;
	*beyond = BUFFER_POOL_BEYOND;
	check_body(0, false);
	*beyond = 0;
	check_body(0, true);
}

/* ---- what comes behind a body ---- */

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
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
	struct burst burst = { script_socket(e, "C"), malloc(before + FOLLOWERS * each),
			       before + FOLLOWERS * each };
	pthread_t t;

	e->plan.retry_on = PLAN_RETRY_5XX;
	memset(burst.bytes, 'x', before);
	memcpy(burst.bytes, POST, strlen(POST));
	for (size_t i = 0; i < FOLLOWERS; i++)
		memcpy(burst.bytes + before + i * each, GET, each);
	cr_assert_eq(pthread_create(&t, NULL, send_burst, &burst), 0);
	get_head(script_socket(e, "U"));
	take_body(script_socket(e, "U"));
	PLAY("U< 200", "C< 200");
	for (int i = 0; i < FOLLOWERS; i++) {
		PLAY("U> GET /a");
		cr_expect_eq(e->worker.io.buffers.beyond, 0u);
		PLAY("U< 200", "C< 200");
	}
	pthread_join(t, NULL);
	free(burst.bytes);
}

/* ---- times ---- */

#define TOO_LATE "C< 504 ...||upstream request timeout"

Test(proxy_retries, the_routes_time_begins_when_the_request_is_complete)
{
	e->plan.timeout_ms = 300;
	PLAY("C> POST /a HTTP/1.1|Host: h|Content-Length: 5||a",
	     "U> POST /a HTTP/1.1|host: h|Content-Length: 5||a");
	for (int i = 0; i < 4; i++)
		PLAY("T 150", "C> b", "U> b");
	PLAY(TOO_LATE, "L 504 UT");
	cr_expect_geq(e->last.duration_ms, 850u);
}

Test(proxy_retries, the_routes_time_is_for_all_tries)
{
	e->plan.timeout_ms = 250;
	e->plan.per_try_timeout_ms = 100;
	e->plan.retries = 100;
	e->plan.retry_on = PLAN_RETRY_5XX;
	PLAY("C> GET /a", "U> GET /a", "U> GONE", "U> GET /a", TOO_LATE, "L 504 UT");
	cr_expect_lt(e->picks, 5u);
}

/* An endpoint that says nothing at all would otherwise hold a client that waits for it. */
Test(proxy_retries, the_routes_time_when_nobody_tells_the_client_to_go_on)
{
#define HEAD(host) "POST /a HTTP/1.1|" host ": h|Content-Length: 1|Expect: 100-continue||"
	e->plan.timeout_ms = 150;
	PLAY("C> " HEAD("Host"), "U> " HEAD("host"), "C< 504 ...", "U> GONE");
	PLAY("C2> " HEAD("Host"), "U> " HEAD("host"), "U< 100 Continue||", "C2< 100 Continue||");
	PLAY("T 250", "C2> x", "U> x", "U< 200", "C2< 200");
}
