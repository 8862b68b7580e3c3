// SPDX-License-Identifier: Apache-2.0
/*
 * The access log on its way from weft-proxy to weftd's output, one weftd after the other.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/loop/event.h"
#include "daemon/supervisor/access_pipe.h"
#include "lib/base/log.h"

static char dir[] = "/tmp/weft-access.XXXXXX", fifo[64];
static struct event_loop *loop;
static int output[2], proxy = -1;

static void setup(void)
{
	log_set("test", LOG_LEVEL_ERROR);
	cr_assert_not_null(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/access-log", dir);
	cr_assert_eq(event_loop_open(&loop), 0);
	cr_assert_eq(pipe2(output, O_NONBLOCK), 0);
}

static void teardown(void)
{
	event_loop_close(loop);
	close(output[0]);
	close(output[1]);
	if (proxy >= 0)
		close(proxy);
	unlink(fifo);
	cr_expect_eq(rmdir(dir), 0);
}

TestSuite(access_pipe, .init = setup, .fini = teardown, .timeout = 60);

static struct access_pipe *begin(void)
{
	struct access_pipe *p = NULL;
	int before = proxy; /* which keeps the lines */

	cr_assert_eq(access_pipe_open(dir, loop, output[1], &proxy, &p), 0);
	if (before >= 0)
		close(before);
	return p;
}

static void say(const char *text)
{
	cr_assert_eq(write(proxy, text, strlen(text)), (ssize_t)strlen(text));
}

static void want(const char *text)
{
	char got[256] = "";
	ssize_t n = 0;

	for (int i = 0; i < 50 && n < (ssize_t)strlen(text); i++) {
		ssize_t more = read(output[0], got + n, sizeof(got) - 1 - (size_t)n);

		n += more > 0 ? more : 0;
		if (n < (ssize_t)strlen(text))
			cr_assert_eq(event_loop_turn(loop, 100), 0);
	}
	cr_assert_str_eq(got, text);
}

Test(access_pipe, lines_come_out_and_are_text)
{
	struct access_pipe *p = begin();

	say("one\n");
	say("\033[1m\303\244\x7f\n");
	want("one\n?[1m\303\244?\n");
	access_pipe_close(p);
}

Test(access_pipe, what_is_said_while_no_weftd_runs_is_kept)
{
	struct access_pipe *p = begin();

	access_pipe_close(p);
	say("meanwhile\n");
	p = begin();
	want("meanwhile\n");
	say("last\n");
	access_pipe_close(p); /* writes what is there */
	want("last\n");
}

Test(access_pipe, a_reader_that_is_too_slow_costs_weftd_no_time)
{
	struct access_pipe *p = begin();
	static char lines[4096], got[1 << 16];
	size_t sent = 0, taken = 0;
	ssize_t n;

	memset(lines, 'x', sizeof(lines) - 1);
	lines[sizeof(lines) - 1] = '\n';
	while (sent < 3 * sizeof(got) && write(proxy, lines, sizeof(lines)) > 0)
		sent += sizeof(lines);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(event_loop_turn(loop, 10), 0);
	for (int i = 0; i < 500 && taken < sent; i++) {
		while ((n = read(output[0], got, sizeof(got))) > 0)
			taken += (size_t)n;
		cr_assert_eq(event_loop_turn(loop, 10), 0);
	}
	cr_expect_eq(taken, sent);
	access_pipe_close(p);
}

/* It is not trusted. */
Test(access_pipe, a_proxy_that_makes_its_end_block_does_not_block_weftd)
{
	struct access_pipe *p = begin();
	int flags = fcntl(proxy, F_GETFL);

	cr_assert_eq(fcntl(proxy, F_SETFL, flags & ~O_NONBLOCK), 0);
	say("one\n");
	want("one\n");
	access_pipe_close(p);
}

Test(access_pipe, nothing_else_under_its_name_is_written_to)
{
	struct access_pipe *p = NULL;
	int fd = open(fifo, O_CREAT | O_WRONLY, 0600);

	close(fd);
	freopen("/dev/null", "w", stderr);
	cr_expect_eq(access_pipe_open(dir, loop, output[1], &proxy, &p), -EEXIST);
	cr_expect_null(p);
}
