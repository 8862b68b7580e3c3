// SPDX-License-Identifier: Apache-2.0
/*
 * --metrics where another process has the port.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/loop/event.h"
#include "daemon/start/metrics_start.h"
#include "lib/base/cleanup.h"

DEFINE_CLEANUP(struct event_loop *, event_loop_close);
DEFINE_CLEANUP(struct metrics_start *, metrics_start_close);

/* One of the machine's, for as long as the descriptor is open. */
static int take_port(char *address, size_t size)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert(fd >= 0 && !bind(fd, (struct sockaddr *)&at, len) && !listen(fd, 1));
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	snprintf(address, size, "127.0.0.1:%u", ntohs(at.sin_port));
	return fd;
}

static int open_with(const char *address, bool kubernetes)
{
	const struct options o = { .metrics = address, .kubernetes = kubernetes };
	_cleanup_(event_loop_closep) struct event_loop *loop = NULL;
	_cleanup_(metrics_start_closep) struct metrics_start *m = NULL;
	int r;

	cr_assert_eq(event_loop_open(&loop), 0);
	r = metrics_start_open(&o, loop, &m);
	cr_expect_eq(m != NULL, !r && address[0] != 'o');
	return r;
}

Test(metrics_start, a_port_that_is_taken_is_an_error_but_in_a_cluster, .init = cr_redirect_stderr)
{
	char address[32];
	int fd = take_port(address, sizeof(address));

	cr_expect_eq(open_with(address, false), -EADDRINUSE);
	cr_expect_eq(open_with(address, true), 0);
	close(fd);
	cr_expect_eq(open_with(address, false), 0);
	cr_expect_eq(open_with(address, false), 0, "it was not let go");
	cr_expect_eq(open_with("off", false), 0);
	cr_expect_eq(metrics_start_serve(NULL, NULL), 0);
}
