// SPDX-License-Identifier: Apache-2.0
/*
 * A worker and its service, without connections.
 */
#include <criterion/criterion.h>

#include "proxy/io/worker.h"

struct counted {
	struct worker_task task;
	struct worker *worker;
	struct counted *other; /* is taken out when this one runs */
	bool again;	       /* wants another turn, once */
	unsigned runs;
	unsigned place; /* when it ran last, among all */
};

static unsigned turns, closed, places;
static bool busy;

static int on_accept(struct worker *w, int fd, const struct addr *client, uint16_t client_port,
		     const struct addr *called, uint16_t called_port)
{
	(void)w, (void)client, (void)client_port, (void)called, (void)called_port;
	return fd;
}

static bool between_events(struct worker *w)
{
	(void)w;
	turns++;
	return busy;
}

static void on_close(struct worker *w)
{
	(void)w;
	closed++;
}

static const struct worker_service service = { on_accept, between_events, on_close };
static struct worker w;

static void setup(void)
{
	turns = closed = places = 0;
	busy = false;
	cr_assert_eq(worker_open(&w, -1, &service), 0);
}

static void teardown(void)
{
	worker_close(&w);
	cr_expect_eq(closed, 1u);
}

TestSuite(proxy_worker, .init = setup, .fini = teardown, .timeout = 10);

static void run(struct worker_task *t)
{
	struct counted *c = (struct counted *)t;

	c->runs++;
	c->place = ++places;
	if (c->other)
		worker_not_later(c->worker, &c->other->task);
	if (c->again)
		worker_later(c->worker, t);
	c->again = false;
}

Test(proxy_worker, a_task_runs_once_and_again_only_at_the_next_turn)
{
	struct counted a = { .task = { .run = run }, .worker = &w, .again = true };

	worker_later(&w, &a.task);
	worker_later(&w, &a.task);
	cr_assert_eq(worker_once(&w, -1), 0);
	cr_expect_eq(a.runs, 1u);
	cr_assert_eq(worker_once(&w, -1), 0);
	cr_expect_eq(a.runs, 2u);
	cr_assert_eq(worker_once(&w, 0), 0);
	cr_expect_eq(a.runs, 2u);
}

Test(proxy_worker, the_task_that_was_queued_first_runs_first)
{
	struct counted tasks[3];

	for (unsigned i = 0; i < 3; i++) {
		tasks[i] = (struct counted){ .task = { .run = run }, .worker = &w };
		worker_later(&w, &tasks[i].task);
	}
	cr_assert_eq(worker_once(&w, -1), 0);
	for (unsigned i = 0; i < 3; i++)
		cr_expect_eq(tasks[i].place, i + 1);
}

/* Whose owner is freed meanwhile. */
Test(proxy_worker, a_task_that_another_takes_out_runs_no_more)
{
	struct counted a = { .task = { .run = run }, .worker = &w };
	struct counted b = a;

	a.other = &b;
	b.other = &a;
	worker_later(&w, &a.task);
	worker_later(&w, &b.task);
	worker_not_later(&w, &a.task);
	worker_later(&w, &a.task);
	cr_assert_eq(worker_once(&w, -1), 0);
	cr_expect_eq(a.runs + b.runs, 1u);
}

Test(proxy_worker, a_service_that_has_more_to_do_is_not_kept_waiting)
{
	busy = true;
	cr_assert_eq(worker_once(&w, 0), 0);
	cr_assert_eq(worker_once(&w, -1), 0);
	cr_expect_eq(turns, 2u);
}
