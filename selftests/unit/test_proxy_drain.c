// SPDX-License-Identifier: Apache-2.0
/*
 * A worker that drains, and the one that takes its clients over, as two processes' would.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/process/workers.h"
#include "proxy/request/drain.h"
#include "test_proxy_env.h"

enum { PATIENCE_MS = 5000 };

#define ASK "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static struct env *e;
static struct http_worker *old, *next;
static int client, drained;

static void setup(void)
{
	e = env_new_pair();
	old = &e->worker;
	next = env_other_worker(e);
	client = env_client(e);
	drained = eventfd(0, EFD_CLOEXEC);
}

static void teardown(void)
{
	close(client);
	env_free(e);
	close(drained);
}

TestSuite(proxy_drain, .init = setup, .fini = teardown, .timeout = 60);

static void endpoint_answers(void)
{
	int fd = env_accept(e);

	cr_assert_not_null(get_head(fd));
	put(fd, ANSWER);
	close(fd);
}

static void connect_workers(void)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	cr_assert_eq(workers_succeed(&next, 1, ends[0]), 0);
	cr_assert_eq(workers_drain(&old, 1, ends[1], 1, drained), 0);
	close(ends[0]);
	close(ends[1]);
}

static bool has_drained(int ms)
{
	struct pollfd p = { drained, POLLIN, 0 };

	return poll(&p, 1, ms) > 0 && workers_drained(&old, 1);
}

static uint64_t served(struct http_worker *w)
{
	return __atomic_load_n(&w->stats.requests, __ATOMIC_RELAXED);
}

Test(proxy_drain, an_idle_client_is_served_on_by_the_next_one)
{
	put(client, ASK);
	endpoint_answers();
	want_message(client, "200 OK", "hi", NULL);
	connect_workers();
	cr_assert(has_drained(PATIENCE_MS));
	put(client, ASK);
	endpoint_answers();
	want_message(client, "200 OK", "hi", NULL);
	cr_expect_eq(next->stats.connections, 1u);
	cr_expect_eq(served(next), 1u);
	cr_expect_eq(served(old), 1u);
}

Test(proxy_drain, what_has_been_read_of_a_request_goes_with_it)
{
	put(client, "GET /a HTTP/1.1\r\nHo");
	wait_ms(100);
	connect_workers();
	cr_assert(has_drained(PATIENCE_MS));
	put(client, "st: h\r\n\r\n" ASK);
	endpoint_answers();
	want_message(client, "200 OK", "hi", NULL);
	endpoint_answers();
	want_message(client, "200 OK", "hi", NULL);
	cr_expect_eq(served(next), 2u);
}

Test(proxy_drain, a_request_under_way_ends_where_it_began)
{
	int fd;

	put(client, ASK ASK);
	fd = env_accept(e);
	cr_assert_not_null(get_head(fd));
	connect_workers();
	cr_expect_not(has_drained(100), "a request is under way");
	put(fd, ANSWER);
	close(fd);
	want_message(client, "200 OK", "hi", NULL);
	cr_assert(has_drained(PATIENCE_MS));
	cr_expect_eq(served(old), 1u);
	/* The second one came with the first. */
	endpoint_answers();
	want_message(client, "200 OK", "hi", NULL);
	cr_expect_eq(served(next), 1u);
}

Test(proxy_drain, without_a_successor_the_client_waits)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	close(ends[0]); /* it has died */
	cr_assert_eq(workers_drain(&old, 1, ends[1], 1, drained), 0);
	put(client, ASK);
	cr_expect_not(has_drained(100));
	cr_expect_eq(env_accept_maybe(e), -1, "no request begins");
	close(ends[1]);
	connect_workers();
	endpoint_answers();
	want_message(client, "200 OK", "hi", NULL);
	cr_assert(has_drained(PATIENCE_MS));
}

Test(proxy_drain, only_what_is_a_connection_is_taken_over)
{
	static const uint32_t none = 0, lie = 77;
	const int fds[] = { e->listener, drained, STDERR_FILENO };
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	cr_assert_eq(workers_succeed(&next, 1, ends[0]), 0);
	close(ends[0]);
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		union {
			struct cmsghdr align;
			char bytes[CMSG_SPACE(sizeof(int))];
		} space = { .align = { .cmsg_len = CMSG_LEN(sizeof(int)),
				       .cmsg_level = SOL_SOCKET,
				       .cmsg_type = SCM_RIGHTS } };
		struct iovec part = { (void *)&none, sizeof(none) };
		struct msghdr m = { .msg_iov = &part,
				    .msg_iovlen = 1,
				    .msg_control = &space,
				    .msg_controllen = sizeof(space) };

		*(int *)CMSG_DATA(&space.align) = fds[i];
		cr_assert_eq(sendmsg(ends[1], &m, 0), sizeof(none));
	}
	cr_assert_eq(send(ends[1], &lie, sizeof(lie), 0), sizeof(lie), "nothing comes with it");
	for (int i = 0; i < PATIENCE_MS && send(ends[1], &none, sizeof(none), MSG_NOSIGNAL) > 0;
	     i++)
		wait_ms(1);
	cr_expect_lt(send(ends[1], &none, sizeof(none), MSG_NOSIGNAL), 0,
		     "who lies is heard no more");
	cr_expect_eq(next->stats.connections, 0u);
	close(ends[1]);
}

/* It is not alone with its socket, and may still be the only one to accept from it. */
Test(proxy_drain, who_is_not_accepted_by_another_one_is_passed_on)
{
	int ends[2], late;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	cr_assert_eq(workers_succeed(&next, 1, ends[0]), 0);
	cr_assert_eq(workers_drain(&old, 1, ends[1], 0, drained), 0);
	close(ends[0]);
	close(ends[1]);
	late = env_client(e);
	put(late, ASK);
	endpoint_answers();
	want_message(late, "200 OK", "hi", NULL);
	cr_expect_eq(served(old), 0u);
	cr_expect_eq(served(next), 1u);
	close(late);
}
