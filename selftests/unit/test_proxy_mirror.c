// SPDX-License-Identifier: Apache-2.0
/*
 * Copies of requests. The client never learns what becomes of them.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_proxy_script.h"

static struct env *e;

static void setup(void)
{
	e = env_new(NULL);
	env_mirror(e);
}

static void teardown(void)
{
	env_free(e);
}

TestSuite(proxy_mirror, .init = setup, .fini = teardown, .timeout = 60);

#define M_SEES "M> GET /a HTTP/1.1|host: h-shadow||"

Test(proxy_mirror, the_copy_is_sent_and_its_response_thrown_away)
{
	for (int i = 0; i < 3; i++)
		PLAY("C> GET /a", "U> GET /a", M_SEES, "M< 500", "T 20", "U< 200", "C< 200");
	PLAY("C< -");
}

Test(proxy_mirror, a_dead_one_delays_nothing)
{
	close(e->mirror_endpoint);
	e->mirror_endpoint = -1;
	for (int i = 0; i < 3; i++)
		PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
}

Test(proxy_mirror, a_slow_one_delays_nothing)
{
	for (int i = 0; i < 10; i++)
		PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
}

Test(proxy_mirror, one_that_answers_late_is_heard_out)
{
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200", M_SEES, "C> END", "C< END", "T 50");
	PLAY("M< 200 OK|Transfer-Encoding: chunked||", "M< 2|hi|0||");
	/* The connection is kept for the next copy. */
	PLAY("C2> GET /a", M_SEES, "U> GET /a", "U< 200", "C2< 200");
}

Test(proxy_mirror, bodies_are_copied)
{
	PLAY("C> POST / HTTP/1.1|Host: h|Content-Length: 10||abc",
	     "U> POST / HTTP/1.1|host: h|Content-Length: 10||abc",
	     "M> POST / HTTP/1.1|host: h-shadow|Content-Length: 10||abc");
	PLAY("C> defghij", "U> defghij", "M> defghij", "M< 200", "U< 200", "C< 200");
	PLAY("C> POST / HTTP/1.1|Host: h|Transfer-Encoding: chunked||3|abc|0||",
	     "U> POST / HTTP/1.1|host: h|transfer-encoding: chunked||3|abc|0||",
	     "M> POST / HTTP/1.1|host: h-shadow|transfer-encoding: chunked||3|abc|0||", "U< 200",
	     "C< 200");
}

/* Nothing of it is read at first: what was sent to the other one waits. */
Test(proxy_mirror, one_that_falls_too_far_behind_is_given_up)
{
	enum { SIZE = 32 * 1024 * 1024 };
	int c = script_socket(e, "C"), s, m;
	char *body = calloc(1, SIZE), *got = malloc(1 << 20), head[128];
	size_t sent = 0, received = 0;

	snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n",
		 SIZE);
	put(c, head);
	s = script_socket(e, "U");
	m = script_socket(e, "M");
	get_head(s);
	while (received < SIZE) {
		ssize_t n = send(c, body + sent, SIZE - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		n = recv(s, got, 1 << 20, 0);
		cr_assert_gt(n, 0);
		received += (size_t)n;
	}
	PLAY("U< 200", "C< 200");
	for (received = 0;;) {
		ssize_t n = recv(m, got, 1 << 20, 0);

		if (n <= 0)
			break;
		received += (size_t)n;
	}
	cr_expect_lt(received, (size_t)SIZE);
	free(body);
	free(got);
}

Test(proxy_mirror, a_client_that_goes_away_within_the_body_takes_the_copy_with_it)
{
	PLAY("C> POST / HTTP/1.1|Host: h|Content-Length: 10||abc",
	     "U> POST / HTTP/1.1|host: h|Content-Length: 10||abc",
	     "M> POST / HTTP/1.1|host: h-shadow|Content-Length: 10||abc", "C> END", "M> GONE");
}
