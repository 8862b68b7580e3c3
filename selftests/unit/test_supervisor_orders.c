// SPDX-License-Identifier: Apache-2.0
/*
 * A proxy that takes its time, as weftd's end of the connection sees it.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/supervisor/supervisor_priv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

static struct supervisor s;
static int proxy; /* its end */
static int results[8], count;

static void setup(void)
{
	int fds[2];

	log_set("test", LOG_LEVEL_ERROR);
	cr_assert_not_null(freopen("/dev/null", "w", stderr));
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	proxy = fds[0];
	s = (struct supervisor){ .snapshot = -1, .begun = true, .proxy = proxy_process_none };
	s.proxy.conn = fds[1];
	cr_assert_eq(event_loop_open(&s.loop), 0);
	cr_assert_eq(event_timer_open(s.loop, &s.order_timer, orders_overdue, &s), 0);
}

static void teardown(void)
{
	orders_free(&s);
	event_timer_close(&s.order_timer);
	event_loop_close(s.loop);
	close(s.proxy.conn);
	close(proxy);
}

TestSuite(supervisor_orders, .init = setup, .fini = teardown);

static void note(struct supervisor *unused, struct order *o, const struct answer *a)
{
	(void)unused;
	(void)o;
	results[count++] = a->error;
}

static void give(enum proxy_order_type type, unsigned limit_ms)
{
	struct order *o = order_new(type, -1, note);

	cr_assert_not_null(o);
	order_give(&s, o, limit_ms);
}

/* The sequence of the next order that the proxy reads. */
static uint32_t take(void)
{
	struct proxy_order order;

	cr_assert_eq(recv(proxy, &order, sizeof(order), MSG_DONTWAIT), sizeof(order));
	return order.sequence;
}

static void answer(uint32_t sequence, int error)
{
	const struct proxy_reply reply = { PROXY_SNAPSHOT, sequence, error, 0 };

	cr_assert_eq(send(proxy, &reply, sizeof(reply), 0), sizeof(reply));
}

Test(supervisor_orders, a_late_answer_is_a_late_callback_and_finds_its_order)
{
	uint32_t first, second;

	give(PROXY_REQUESTS, 10000);
	give(PROXY_SNAPSHOT, 10000);
	first = take();
	second = take();
	cr_expect_eq(orders_read(&s), 0);
	cr_expect_eq(count, 0, "nothing is answered yet");
	answer(second, -EBADMSG);
	answer(77, 0); /* to nothing that was asked */
	answer(first, 0);
	cr_expect_eq(orders_read(&s), 0);
	cr_assert_eq(count, 2);
	cr_expect_eq(results[0], -EBADMSG);
	cr_expect_eq(results[1], 0);
	answer(first, 0);
	cr_expect_eq(orders_read(&s), 0);
	cr_expect_eq(count, 2, "no order is answered twice");
}

Test(supervisor_orders, an_order_whose_time_is_up_ends_and_the_others_wait_on)
{
	uint64_t begun = clock_ms();

	give(PROXY_REQUESTS, 10000);
	give(PROXY_REQUESTS, 50);
	while (!count)
		cr_assert_eq(event_loop_turn(s.loop, 1000), 0);
	cr_expect_geq(clock_ms(), begun + 49);
	cr_expect_eq(results[0], -ETIMEDOUT);
	answer(take(), 0);
	(void)take();
	cr_expect_eq(orders_read(&s), 0);
	cr_assert_eq(count, 2);
	cr_expect_eq(results[1], 0);
}

Test(supervisor_orders, only_a_snapshot_outlives_the_proxy_and_only_once)
{
	give(PROXY_REQUESTS, 10000);
	give(PROXY_SNAPSHOT, 10000);
	cr_expect(orders_must_repeat(&s));
	s.proxy.pidfd = 0; /* the next one runs already */
	orders_died(&s);
	cr_assert_eq(count, 1);
	cr_expect_eq(results[0], -ECONNRESET);
	cr_expect_not(orders_must_repeat(&s));
	orders_died(&s);
	cr_assert_eq(count, 2);
	cr_expect_eq(results[1], -ECONNRESET);
	s.proxy.pidfd = -1;
}

Test(supervisor_orders, a_proxy_that_says_nothing_any_more_is_told_apart_from_a_slow_one)
{
	give(PROXY_REQUESTS, 10000);
	cr_expect_eq(orders_read(&s), 0);
	shutdown(proxy, SHUT_RDWR);
	cr_expect_eq(orders_read(&s), -ECONNRESET);
	cr_expect_eq(count, 0, "its end is what ends orders");
}

/* A loop that fails at once: its descriptor is a socket. */
static struct event_loop *broken_loop(void)
{
	int next = dup(proxy); /* the number that the loop gets */
	struct event_loop *loop;

	close(next);
	cr_assert_eq(event_loop_open(&loop), 0);
	cr_assert_eq(dup2(proxy, next), next);
	return loop;
}

Test(supervisor_orders, no_order_outlives_a_start_that_fails)
{
	struct event_loop *loop = s.loop;
	int nothing[2], r;

	cr_assert_eq(pipe(nothing), 0);
	s.proxy.pidfd = nothing[0]; /* it runs */
	s.took_over = true;
	s.loop = broken_loop();
	r = supervisor_snapshot_first(&s, 1, "snapshot", 8);
	event_loop_close(s.loop);
	s.loop = loop;
	cr_expect_eq(r, -EINVAL);
	cr_expect_null(s.orders, "its callback would write to a stack that is gone");
	cr_expect(s.took_over, "the proxy is not to blame");
	answer(take(), 0);
	cr_expect_eq(orders_read(&s), 0);
	cr_expect_eq(s.snapshot, -1);
	s.proxy.pidfd = -1;
}
