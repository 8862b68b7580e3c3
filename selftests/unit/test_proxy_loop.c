// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/io/loop.h"
#include "proxy/io/loop_timers.h"

Test(proxy_loop, timers_fire_when_due_whatever_was_set_and_cleared)
{
	enum { N = 500 };
	static struct loop_timer t[N];
	struct loop_timers h = { 0 };
	size_t set = 0, fired = 0;

	srandom(1);
	for (int round = 0; round < 20; round++)
		for (size_t i = 0; i < N; i++) {
			t[i].due = (uint64_t)random() % 10000;
			if (random() % 4)
				cr_assert_eq(loop_timers_add(&h, &t[i]), 0);
			else
				loop_timers_remove(&h, &t[i]);
		}
	for (size_t i = 0; i < N; i++)
		set += t[i].slot > 0;
	for (uint64_t now = 0; now < 10000; now++)
		for (struct loop_timer *due; (due = loop_timers_due(&h, now)); fired++) {
			cr_assert_eq(due->due, now);
			cr_assert_eq(due->slot, 0u);
		}
	cr_assert_eq(fired, set);
	cr_assert_eq(loop_timers_first(&h), LOOP_NEVER);
	free(h.heap);
}

struct pair {
	struct loop_io io; /* first */
	struct loop *loop;
	struct loop_io *other;
	int told;
};

static void take_out_the_other(struct loop_io *io, unsigned events)
{
	struct pair *p = (struct pair *)io;

	cr_assert(events & LOOP_READ);
	p->told++;
	loop_unwatch(p->loop, p->other);
}

Test(proxy_loop, who_is_taken_out_is_told_nothing_any_more)
{
	struct loop *l = loop_new();
	struct pair a = { .loop = l }, b = { .loop = l };
	int x[2], y[2];

	cr_assert(l);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, x), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, y), 0);
	a.io = (struct loop_io){ x[0], take_out_the_other };
	b.io = (struct loop_io){ y[0], take_out_the_other };
	a.other = &b.io;
	b.other = &a.io;
	cr_assert_eq(loop_watch(l, &a.io, false), 0);
	cr_assert_eq(loop_watch(l, &b.io, false), 0);
	cr_assert_eq(write(x[1], "x", 1), 1);
	cr_assert_eq(write(y[1], "y", 1), 1);
	cr_assert_eq(loop_once(l, 1000), 0);
	cr_assert_eq(a.told + b.told, 1);
	loop_free(l);
	close(x[0]);
	close(x[1]);
	close(y[0]);
	close(y[1]);
}

struct clock {
	struct loop_timer timer; /* first */
	struct loop *loop;
	unsigned left;
	uint64_t again; /* ms */
};

static void tick(struct loop_timer *t)
{
	struct clock *c = (struct clock *)t;

	cr_assert_geq(loop_now(c->loop), t->due);
	if (--c->left)
		loop_timer_set(c->loop, t, c->again);
}

Test(proxy_loop, timers_wake_it, .timeout = 20)
{
	struct loop *l = loop_new();
	struct clock often = { { .fire = tick }, l, 50, 2 }, late = { { .fire = tick }, l, 1, 0 },
		     never = { { .fire = tick }, l, 1, 0 };

	cr_assert(l);
	loop_timer_set(l, &late.timer, 1000000);
	loop_timer_set(l, &often.timer, 0);
	while (often.left)
		cr_assert_eq(loop_once(l, -1), 0);
	loop_timer_set(l, &never.timer, 300);
	cr_assert_eq(loop_once(l, 0), 0);
	loop_timer_set(l, &never.timer, 1000000); /* put off */
	loop_timer_set(l, &late.timer, 400);	  /* sooner than it was */
	while (late.left)
		cr_assert_eq(loop_once(l, -1), 0);
	loop_timer_set(l, &late.timer, 3);
	late.left = 1;
	loop_timer_clear(l, &never.timer);
	while (late.left)
		cr_assert_eq(loop_once(l, -1), 0);
	cr_assert_eq(never.left, 1);
	loop_free(l);
}

/* What its callback can know of the turn. */
struct seen {
	struct loop_io io; /* first */
	struct loop *loop;
	struct loop_timer *due, *later;
	unsigned told, more;
};

static void look(struct loop_io *io, unsigned events)
{
	struct seen *s = (struct seen *)io;

	(void)events;
	s->told++;
	s->more += loop_has_more(s->loop);
	if (s->due) {
		cr_expect(loop_timer_is_due(s->loop, s->due));
		cr_expect_not(loop_timer_is_due(s->loop, s->later));
	}
}

static void watch_one(struct seen *s, struct loop *l)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	s->io = (struct loop_io){ fds[0], look };
	s->loop = l;
	cr_assert_eq(loop_watch(l, &s->io, false), 0);
	cr_assert_eq(write(fds[1], "x", 1), 1);
}

Test(proxy_loop, a_callback_can_know_that_the_turn_has_more, .timeout = 20)
{
	struct loop *l = loop_new();
	struct seen s[2] = { 0 };

	cr_assert_not_null(l);
	cr_expect_not(loop_has_more(l));
	watch_one(&s[0], l);
	watch_one(&s[1], l);
	cr_assert_eq(loop_once(l, 1000), 0);
	cr_expect_eq(s[0].told + s[1].told, 2u);
	cr_expect_eq(s[0].more + s[1].more, 1u, "the first of both");
	cr_expect_not(loop_has_more(l));
	loop_free(l);
}

static void fire_nothing(struct loop_timer *t)
{
	(void)t;
}

Test(proxy_loop, a_callback_can_know_that_a_timer_is_due, .timeout = 20)
{
	struct loop_timer due = { .fire = fire_nothing }, later = due, unset = due;
	struct seen s = { .due = &due, .later = &later };
	struct loop *l = loop_new();

	cr_assert_not_null(l);
	loop_timer_set(l, &due, 1);
	loop_timer_set(l, &later, 60000);
	cr_expect_not(loop_timer_is_due(l, &unset));
	watch_one(&s, l);
	usleep(10000);
	cr_assert_eq(loop_once(l, 1000), 0);
	cr_expect_eq(s.told, 1u);
	cr_expect_not(loop_timer_is_due(l, &due), "it has fired");
	loop_free(l);
}
