// SPDX-License-Identifier: Apache-2.0
/* What weft-proxy keeps of its requests while nothing follows, and tells while something does. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "proxy/log/access_tail.h"

static const struct access_entry entry = { .status = 200, .flags = "-", .service_ms = -1 };
static int ends[2];

static void write_at(struct access_tail *t, uint64_t ms)
{
	if (access_tail_wants(t, ms))
		access_tail_write(t, &entry);
}

static size_t lines(const char *bytes, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += bytes[i] == '\n';
	return count;
}

static void open_pipe(void)
{
	cr_assert_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
}

static void close_pipe(void)
{
	close(ends[0]);
	close(ends[1]);
}

static char bytes[4 * LINE_PIPE_SIZE];

/* Everything that is in the pipe. */
static size_t read_all(void)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(ends[0], bytes + len, sizeof(bytes) - len - 1)) > 0)
		len += (size_t)n;
	bytes[len] = '\0';
	return len;
}

Test(access_tail, some_of_each_second_are_kept)
{
	_cleanup_free_ struct access_tail *t = access_tail_new();

	for (int i = 0; i < 100; i++)
		write_at(t, 5000 + (uint64_t)i);
	cr_expect_eq(lines(t->pipe.bytes, t->pipe.len), ACCESS_TAIL_PER_S);
	for (int i = 0; i < 100; i++)
		write_at(t, 7000);
	cr_expect_eq(lines(t->pipe.bytes, t->pipe.len), 2 * ACCESS_TAIL_PER_S);
	cr_expect(access_tail_flush(t), "nothing is to be written");
	cr_expect_eq(lines(t->pipe.bytes, t->pipe.len), 2 * ACCESS_TAIL_PER_S);
}

Test(access_tail, the_latest_are_kept_in_whole_lines)
{
	_cleanup_free_ struct access_tail *t = access_tail_new();

	for (int i = 0; i < 5000; i++)
		write_at(t, (uint64_t)i * 100);
	cr_expect_leq(t->pipe.len, LINE_PIPE_SIZE);
	cr_expect_gt(t->pipe.len, LINE_PIPE_SIZE / 2);
	cr_expect_eq(t->pipe.bytes[0], '{');
	cr_expect_eq(t->pipe.bytes[t->pipe.len - 1], '\n');
}

Test(access_tail, all_are_told_while_something_follows, .init = open_pipe, .fini = close_pipe)
{
	_cleanup_free_ struct access_tail *t = access_tail_new();

	write_at(t, 1000);
	access_tail_switch(t, ends[1]);
	for (int i = 0; i < 50; i++)
		write_at(t, 1000);
	cr_expect(access_tail_flush(t));
	cr_expect_eq(lines(bytes, read_all()), 51, "what was kept is told first");
}

Test(access_tail, what_is_lost_is_counted, .init = open_pipe, .fini = close_pipe)
{
	_cleanup_free_ struct access_tail *t = access_tail_new();
	size_t told;

	cr_assert_geq(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
	access_tail_switch(t, ends[1]);
	for (int i = 0; i < 1000; i++)
		write_at(t, 1000);
	cr_expect_gt(t->pipe.lost, 0);
	cr_expect_not(access_tail_flush(t), "the pipe takes no more");
	told = lines(bytes, read_all());
	while (!access_tail_flush(t))
		told += lines(bytes, read_all());
	told += lines(bytes, read_all());
	cr_expect_eq(told + t->pipe.lost, 1000);
	write_at(t, 1000);
	cr_expect(access_tail_flush(t));
	read_all();
	cr_expect_eq(strncmp(bytes, "{\"lost\":", 8), 0, "%s", bytes);
	cr_expect_eq(t->pipe.lost, 0);
}

Test(access_tail, one_that_goes_is_left, .init = open_pipe)
{
	_cleanup_free_ struct access_tail *t = access_tail_new();

	access_tail_switch(t, ends[1]);
	close(ends[0]);
	write_at(t, 1000);
	signal(SIGPIPE, SIG_IGN);
	cr_expect(access_tail_flush(t));
	cr_expect_eq(t->pipe.fd, -1);
	cr_expect_eq(lines(t->pipe.bytes, t->pipe.len), 1, "it is kept for the next one");
	close(ends[1]);
}
