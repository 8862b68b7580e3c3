// SPDX-License-Identifier: Apache-2.0
/*
 * Several weft-proxies at a time: one serves, the others drain.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/supervisor/proxy_link.h"
#include "daemon/supervisor/supervisor_priv.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"

static char dir[] = "/tmp/weft-drain.XXXXXX";
static struct supervisor s;
static int died[HTTP_PROXIES + 1], deaths;
static int serving; /* its end of the connection */

static void on_death(void *arg, int slot, int held)
{
	uint32_t n = 0;

	(void)arg;
	cr_expect(slot < 0 || pread(held, &n, sizeof(n), 0) == sizeof(n), "slot %d", slot);
	died[deaths++] = slot;
}

/* A process that does nothing, and its end of the connection in *end. */
static struct proxy_process process(int *end)
{
	struct proxy_process p = proxy_process_none;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	p.pid = fork();
	if (!p.pid)
		for (;;)
			pause();
	p.pidfd = (int)syscall(SYS_pidfd_open, p.pid, 0);
	cr_assert_geq(p.pidfd, 0);
	p.conn = ends[0];
	*end = ends[1];
	return p;
}

static void setup(void)
{
	log_set("test", LOG_LEVEL_ERROR);
	cr_assert_not_null(freopen("/dev/null", "w", stderr));
	cr_assert_not_null(mkdtemp(dir));
	s = (struct supervisor){ .begun = true,
				 .can = PROXY_CAN_DRAIN,
				 .proxy = process(&serving),
				 .slot = 7,
				 .options = { .run_dir = dir,
					      .access_log = -1,
					      .spans = -1,
					      .drain_ms = 4500,
					      .on_death = on_death } };
	cr_assert_eq(event_loop_open(&s.loop), 0);
	cr_assert_eq(event_timer_open(s.loop, &s.order_timer, orders_overdue, &s), 0);
}

static void teardown(void)
{
	drain_forget(&s, true);
	proxy_process_kill(&s.proxy);
	cr_expect(proxy_process_ended(&s.proxy, 5000));
	proxy_process_forget(&s.proxy);
	orders_free(&s);
	event_timer_close(&s.order_timer);
	event_loop_close(s.loop);
	close(serving);
	for (int slot = PROXY_SERVES; slot < HTTP_PROXIES; slot++)
		proxy_link_remove(dir, slot);
	cr_expect_eq(rmdir(dir), 0, "something is left in the run directory");
}

TestSuite(supervisor_drain, .init = setup, .fini = teardown, .timeout = 60);

/* One that drains in that slot; its end of the connection. */
static int drains(int slot, unsigned shared)
{
	struct proxy_process p;
	int end, held = proxy_link_held(dir, slot, false);

	cr_assert_geq(held, 0);
	close(held);
	p = process(&end);
	cr_assert_eq(drain_add(&s, &p, slot, shared), 0);
	cr_expect_eq(p.pidfd, -1, "it is taken over");
	return end;
}

/* The descriptor that came with the next order. */
static int take(int end, struct proxy_order *order)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} space;
	struct iovec part = { order, sizeof(*order) };
	struct msghdr m = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = &space,
			    .msg_controllen = sizeof(space) };
	int fd;

	cr_assert_eq(recvmsg(end, &m, MSG_DONTWAIT), sizeof(*order));
	cr_assert_not_null(CMSG_FIRSTHDR(&m));
	memcpy(&fd, CMSG_DATA(&space.align), sizeof(fd));
	return fd;
}

static void turn_until_deaths(int n)
{
	for (int i = 0; deaths < n && i < 50; i++)
		cr_assert_eq(event_loop_turn(s.loop, 100), 0);
	cr_assert_eq(deaths, n);
}

Test(supervisor_drain, each_is_connected_to_the_one_that_serves)
{
	int ends[2] = { drains(1, 2), drains(3, 0) };
	struct proxy_order order;
	char byte = 0;

	drain_all(&s);
	cr_expect(s.succeeds);
	cr_expect_eq(proxy_link_served(dir), 7);
	for (int i = 1; i >= 0; i--) { /* the youngest first */
		_cleanup_close_ int to = take(serving, &order), from = -1;

		cr_expect_eq(order.type, PROXY_SUCCEED);
		close(take(ends[i], &order));
		cr_expect_eq(order.type, PROXY_TICKETS);
		from = take(ends[i], &order);
		cr_expect_eq(order.type, PROXY_DRAIN);
		cr_expect_eq(order.drain.ms, 4500);
		cr_expect_eq(order.drain.shared, i ? 0 : 2);
		cr_assert_eq(send(from, "x", 1, MSG_DONTWAIT), 1);
		cr_assert_eq(recv(to, &byte, 1, MSG_DONTWAIT), 1, "they are two ends of one");
		close(from);
		from = -1;
		cr_expect_eq(recv(to, &byte, 1, MSG_DONTWAIT), 0, "weftd has no end of its own");
		close(ends[i]);
	}
}

Test(supervisor_drain, what_opens_tickets_is_passed_on)
{
	int end = drains(1, 0);
	struct proxy_order order;
	struct proxy_reply yes = { .type = PROXY_TICKETS };
	char keys[8] = "";
	int file;

	drain_all(&s);
	close(take(serving, &order));
	file = take(end, &order);
	cr_assert_eq(order.type, PROXY_TICKETS);
	cr_assert_eq(write(file, "keys", 4), 4);
	close(file);
	yes.sequence = order.sequence;
	cr_assert_eq(send(end, &yes, sizeof(yes), 0), sizeof(yes));
	cr_assert_eq(event_loop_turn(s.loop, 100), 0);
	file = take(serving, &order);
	cr_expect_eq(order.type, PROXY_TAKE_TICKETS);
	cr_expect_eq(pread(file, keys, sizeof(keys) - 1, 0), 4);
	cr_expect_str_eq(keys, "keys");
	close(file);
	close(end);
}

/* Who has written them can't change them any more: they are mapped. */
Test(supervisor_drain, what_identities_have_is_passed_on)
{
	int end = drains(1, 0);
	struct proxy_order order;
	struct proxy_reply yes = { .type = PROXY_IDENTITIES };
	char keys[8] = "";
	int file, theirs;

	orders_pass_identities(&s);
	file = take(end, &order);
	cr_assert_eq(order.type, PROXY_IDENTITIES);
	cr_assert_eq(write(file, "keys", 4), 4);
	yes.sequence = order.sequence;
	cr_assert_eq(send(end, &yes, sizeof(yes), 0), sizeof(yes));
	cr_assert_eq(event_loop_turn(s.loop, 100), 0);
	theirs = take(serving, &order);
	cr_expect_eq(order.type, PROXY_TAKE_IDENTITIES);
	cr_expect_eq(pread(theirs, keys, sizeof(keys) - 1, 0), 4);
	cr_expect_str_eq(keys, "keys");
	cr_expect_eq(write(file, "more", 4), -1);
	cr_expect_eq(ftruncate(file, 0), -1);
	close(file);
	close(theirs);
	close(end);
}

Test(supervisor_drain, one_that_knows_of_no_tickets_drains_all_the_same)
{
	int end = drains(1, 0);
	struct proxy_order order;
	struct proxy_reply no = { .type = PROXY_TICKETS, .error = -EOPNOTSUPP };

	drain_all(&s);
	close(take(serving, &order));
	close(take(end, &order));
	no.sequence = order.sequence;
	cr_assert_eq(send(end, &no, sizeof(no), 0), sizeof(no));
	cr_assert_eq(event_loop_turn(s.loop, 100), 0);
	cr_expect_eq(recv(serving, &order, sizeof(order), MSG_DONTWAIT), -1, "nothing to take");
	close(take(end, &order));
	cr_expect_eq(order.type, PROXY_DRAIN);
	close(end);
}

Test(supervisor_drain, what_one_held_is_given_back_when_it_ends)
{
	int end = drains(1, 0), other = drains(2, 0);

	kill(s.draining->next->proxy.pid, SIGKILL);
	turn_until_deaths(1);
	cr_expect_eq(died[0], 1);
	cr_expect_eq(proxy_link_held(dir, 1, true), -ENOENT);
	cr_assert_not_null(s.draining);
	cr_expect_eq(s.draining->slot, 2);
	cr_expect_null(s.draining->next);
	close(end);
	close(other);
}

Test(supervisor_drain, one_that_cannot_is_killed)
{
	const struct proxy_reply no = { PROXY_DRAIN, 1, -ETIMEDOUT, 0 },
				 yes = { PROXY_DRAIN, 1, 0, 0 }, other = { PROXY_LOG, 1, -EIO, 0 };
	int end = drains(1, 0);

	cr_assert_eq(send(end, &yes, sizeof(yes), 0), sizeof(yes));
	cr_assert_eq(send(end, &other, sizeof(other), 0), sizeof(other));
	cr_assert_eq(event_loop_turn(s.loop, 100), 0);
	cr_expect_not(proxy_process_ended(&s.draining->proxy, 100));
	cr_assert_eq(send(end, &no, sizeof(no), 0), sizeof(no));
	turn_until_deaths(1);
	cr_expect_null(s.draining);
	close(end);
}

Test(supervisor_drain, where_too_many_drain_the_oldest_ends)
{
	int ends[HTTP_PROXIES], oldest;

	for (int i = 0; i < HTTP_PROXIES - 1; i++) {
		cr_expect_eq(drain_free_slot(&s), i);
		ends[i] = drains(i, 0);
	}
	ends[HTTP_PROXIES - 1] = drains(HTTP_PROXIES - 1, 0);
	oldest = drain_free_slot(&s);
	cr_expect_eq(oldest, 0);
	cr_assert_eq(deaths, 1);
	cr_expect_eq(died[0], 0);
	for (int i = 0; i < HTTP_PROXIES; i++)
		close(ends[i]);
}

Test(supervisor_drain, one_that_serves_no_more_is_one_of_them)
{
	struct supervisor_status status;
	pid_t pid = s.proxy.pid;
	int held = proxy_link_held(dir, 7, false);

	close(held);
	s.shared = 4;
	cr_assert_eq(drain_current(&s), 0);
	cr_expect_eq(s.proxy.pidfd, -1);
	cr_expect(supervisor_drains(&s));
	cr_expect(supervisor_took_over(&s), "its connections live on");
	cr_expect_eq(s.draining->shared, 4);
	supervisor_status(&s, &status);
	cr_expect_eq(status.draining, 1);
	cr_expect_eq(status.draining_pids[0], pid);
	cr_expect_eq(drain_free_slot(&s), 0);
	s.proxy = process(&held); /* for teardown() */
	close(held);
}
