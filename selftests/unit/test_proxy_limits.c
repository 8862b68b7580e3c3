// SPDX-License-Identifier: Apache-2.0
/*
 * As many connections and waiting requests as there may be, and not one more.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_proxy_env.h"

static struct env *e;
static struct limit limit;

static void setup(void)
{
	e = env_new(NULL);
	e->target.limit = &limit;
	e->target.max_connections = 1;
	e->target.max_pending = 1;
}

static void teardown(void)
{
	env_free(e);
	cr_expect_eq(limit.connections, 0u);
	cr_expect_eq(limit.pending, 0u);
}

TestSuite(proxy_limits, .init = setup, .fini = teardown, .timeout = 60);

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define GOT "GET /a HTTP/1.1\r\nhost: h\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

Test(proxy_limits, two_are_admitted_and_the_third_is_refused)
{
	int a = env_client(e), b = env_client(e), c = env_client(e), s;

	put(a, GET);
	s = env_accept(e);
	want(s, GOT);
	put(b, GET);
	wait_ms(50);
	put(c, GET);
	want_message(c, "HTTP/1.1 503 ", "x-envoy-overloaded: true", "reset reason: overflow",
		     NULL);
	cr_expect_str_eq(env_log(e, 1)->flags, "UO");
	cr_expect_eq(limit.overflow, 1u);
	cr_expect_lt(env_accept_maybe(e), 0);
	put(s, OK);
	want(a, OK);
	want(s, GOT);
	put(s, OK);
	want(b, OK);
	put(c, GET);
	want(s, GOT);
	put(s, OK);
	want(c, OK);
	cr_expect_eq(limit.overflow, 1u);
}

Test(proxy_limits, who_waits_gets_a_new_connection_when_the_old_one_is_used_up)
{
	int a = env_client(e), b = env_client(e), s;

	e->target.max_requests_per_connection = 1;
	put(a, GET);
	s = env_accept(e);
	want(s, GOT);
	put(b, GET);
	want_silence(b);
	put(s, OK);
	want(a, OK);
	want_end(s);
	s = env_accept(e);
	want(s, GOT);
	put(s, OK);
	want(b, OK);
}

Test(proxy_limits, who_waits_and_goes_away_is_forgotten)
{
	int a = env_client(e), b = env_client(e), c, s;
	struct linger now = { 1, 0 };

	put(a, GET);
	s = env_accept(e);
	want(s, GOT);
	put(b, GET);
	wait_ms(50);
	setsockopt(b, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(b);
	env_log(e, 1);
	c = env_client(e);
	put(c, GET);
	wait_ms(50);
	put(s, OK);
	want(a, OK);
	want(s, GOT);
	put(s, OK);
	want(c, OK);
	cr_expect_eq(limit.overflow, 0u);
}

Test(proxy_limits, waiting_ends_with_the_routes_time)
{
	int a = env_client(e), b = env_client(e), s;

	put(a, GET);
	s = env_accept(e);
	want(s, GOT);
	e->plan.timeout_ms = 100;
	put(b, GET);
	want_message(b, "HTTP/1.1 504 ", NULL);
	put(s, OK);
	want(a, OK);
}

Test(proxy_limits, an_unused_connection_to_another_endpoint_makes_way)
{
	int a = env_client(e), b = env_client(e), s, t, other;

	put(a, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, OK);
	want(a, OK);
	other = env_listen(&e->target.port);
	put(b, GET);
	t = accept(other, NULL, NULL);
	want(t, GOT);
	want_end(s);
	put(t, OK);
	want(b, OK);
}

Test(proxy_limits, a_connection_that_fails_is_given_back)
{
	int a = env_client(e), s;
	uint16_t good = e->target.port;

	close(env_listen(&e->target.port));
	for (int i = 0; i < 3; i++) {
		put(a, GET);
		want_message(a, "HTTP/1.1 503 ", "connection failure", NULL);
	}
	e->target.port = good;
	put(a, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, OK);
	want(a, OK);
}
