// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/loop/event.h"
#include "lib/base/clock.h"

static struct event_loop *loop;
static struct event one, two;
static int called;

static void setup(void)
{
	cr_assert_eq(event_loop_open(&loop), 0);
}

static void teardown(void)
{
	event_close(&one);
	event_close(&two);
	event_loop_close(loop);
}

TestSuite(event, .init = setup, .fini = teardown);

static void forget_other(void *other, uint32_t events)
{
	(void)events;
	called++;
	event_close(other);
}

static void watch(struct event *e, struct event *other)
{
	*e = (struct event){ .fd = eventfd(1, EFD_CLOEXEC), .ready = forget_other, .arg = other };
	cr_assert_eq(event_watch(loop, e, EPOLLIN), 0);
}

Test(event, what_is_forgotten_is_not_called_even_if_it_is_ready)
{
	watch(&one, &two);
	watch(&two, &one);
	cr_assert_eq(event_loop_turn(loop, 1000), 0);
	cr_expect_eq(called, 1);
}

static void fired(void *count)
{
	++*(int *)count;
}

Test(event, a_timer_fires_once_and_not_when_it_is_stopped_or_put_off)
{
	struct event_timer t = { 0 }, stopped = { 0 };
	uint64_t begun = clock_ms();
	int count = 0, never = 0;

	one.fd = two.fd = -1;
	event_timer_close(&t); /* harmless */
	cr_assert_eq(event_timer_open(loop, &t, fired, &count), 0);
	cr_assert_eq(event_timer_open(loop, &stopped, fired, &never), 0);
	event_timer_set(&stopped, 0);
	event_timer_stop(&stopped);
	event_timer_set(&t, 0);
	event_timer_set(&t, 50);
	while (!count)
		cr_assert_eq(event_loop_turn(loop, 1000), 0);
	cr_expect_geq(clock_ms(), begun + 49);
	cr_assert_eq(event_loop_turn(loop, 50), 0);
	cr_expect_eq(count, 1);
	cr_expect_eq(never, 0);
	event_timer_close(&t);
	event_timer_close(&stopped);
}

Test(event, a_timer_that_is_set_is_not_put_off_by_what_sets_it_sooner)
{
	struct event_timer t = { 0 };
	uint64_t begun = clock_ms();
	int count = 0;

	one.fd = two.fd = -1;
	cr_assert_eq(event_timer_open(loop, &t, fired, &count), 0);
	event_timer_set_sooner(&t, 60000);
	event_timer_set_sooner(&t, 50);
	event_timer_set_sooner(&t, 60000);
	cr_assert_eq(event_loop_turn(loop, 10000), 0);
	cr_expect_eq(count, 1);
	cr_expect_geq(clock_ms(), begun + 49);
	event_timer_set_sooner(&t, 0); /* It has fired: any time is sooner. */
	cr_assert_eq(event_loop_turn(loop, 10000), 0);
	cr_expect_eq(count, 2);
	event_timer_close(&t);
}
