// SPDX-License-Identifier: Apache-2.0
/*
 * Copies of requests. The client never learns what becomes of them.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_proxy_env.h"

static struct env *e;
static int shadow; /* listens */

static void setup(void)
{
	e = env_new(NULL);
	e->mirror = e->target;
	shadow = env_listen(&e->mirror.port);
	e->plan.mirror_count = 1;
	e->plan.mirror_authority = (struct h1_span){ "h-shadow", 8 };
}

static void teardown(void)
{
	env_free(e);
	close(shadow);
}

TestSuite(proxy_mirror, .init = setup, .fini = teardown, .timeout = 60);

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define GOT "GET /a HTTP/1.1\r\nhost: h\r\n\r\n"
#define COPY "GET /a HTTP/1.1\r\nhost: h-shadow\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static int accept_shadow(void)
{
	struct timeval t = { 5, 0 };
	int fd = accept(shadow, NULL, NULL);

	cr_assert_geq(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	return fd;
}

Test(proxy_mirror, the_copy_is_sent_and_its_response_thrown_away)
{
	int c = env_client(e), s = -1, m = -1;

	for (int i = 0; i < 3; i++) {
		put(c, GET);
		if (!i) {
			s = env_accept(e);
			m = accept_shadow();
		}
		want(s, GOT);
		want(m, COPY);
		put(m, "HTTP/1.1 500 Bad\r\nContent-Length: 3\r\n\r\nbad");
		wait_ms(20);
		put(s, OK);
		want(c, OK);
	}
	want_silence(c);
}

Test(proxy_mirror, a_dead_one_delays_nothing)
{
	int c = env_client(e), s = -1;

	close(shadow);
	shadow = -1;
	for (int i = 0; i < 3; i++) {
		put(c, GET);
		if (!i)
			s = env_accept(e);
		want(s, GOT);
		put(s, OK);
		want(c, OK);
	}
}

Test(proxy_mirror, a_slow_one_delays_nothing)
{
	int c = env_client(e), s = -1;

	for (int i = 0; i < 10; i++) {
		put(c, GET);
		if (!i)
			s = env_accept(e);
		want(s, GOT);
		put(s, OK);
		want(c, OK);
	}
}

Test(proxy_mirror, one_that_answers_late_is_heard_out)
{
	int c = env_client(e), s, m;

	put(c, GET);
	s = env_accept(e);
	m = accept_shadow();
	want(s, GOT);
	put(s, OK);
	want(c, OK);
	want(m, COPY);
	close(c);
	wait_ms(50);
	put(m, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	put(m, "2\r\nhi\r\n0\r\n\r\n");
	/* The connection is kept for the next copy. */
	c = env_client(e);
	put(c, GET);
	want(m, COPY);
	want(s, GOT);
	put(s, OK);
	want(c, OK);
}

Test(proxy_mirror, bodies_are_copied)
{
	int c = env_client(e), s, m;

	put(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
	s = env_accept(e);
	m = accept_shadow();
	want(s, "POST / HTTP/1.1\r\nhost: h\r\nContent-Length: 10\r\n\r\nabc");
	want(m, "POST / HTTP/1.1\r\nhost: h-shadow\r\nContent-Length: 10\r\n\r\nabc");
	put(c, "defghij");
	want(s, "defghij");
	want(m, "defghij");
	put(m, OK);
	put(s, OK);
	want(c, OK);
	put(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
	       "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
	want_message(s, "transfer-encoding: chunked\r\n\r\n", NULL);
	want(s, "3\r\nabc\r\n0\r\n\r\n");
	want_message(m, "host: h-shadow\r\n", NULL);
	want(m, "3\r\nabc\r\n0\r\n\r\n");
	put(s, OK);
	want(c, OK);
}

/* Nothing of it is read at first: what was sent to the other one waits. */
Test(proxy_mirror, one_that_falls_too_far_behind_is_given_up)
{
	enum { SIZE = 32 * 1024 * 1024 };
	int c = env_client(e), s, m;
	char *body = calloc(1, SIZE), *got = malloc(1 << 20), head[128];
	size_t sent = 0, received = 0;

	snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n",
		 SIZE);
	put(c, head);
	s = env_accept(e);
	m = accept_shadow();
	get_head(s);
	while (received < SIZE) {
		ssize_t n = send(c, body + sent, SIZE - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		n = recv(s, got, 1 << 20, 0);
		cr_assert_gt(n, 0);
		received += (size_t)n;
	}
	put(s, OK);
	want(c, OK);
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
	int c = env_client(e), s, m;

	put(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
	s = env_accept(e);
	m = accept_shadow();
	get_head(s);
	get_head(m);
	want(m, "abc");
	close(c);
	want_closed(m);
}
