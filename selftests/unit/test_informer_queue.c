// SPDX-License-Identifier: Apache-2.0
/* What the informer has to tell waits in its queue for as long as it may, and no longer. */
#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>

#include "daemon/source/informer_queue.h"
#include "lib/base/clock.h"

static struct informer_queue q;

static void setup(void)
{
	cr_assert_eq(informer_queue_open(&q), 0);
}

static void teardown(void)
{
	informer_queue_close(&q);
}

TestSuite(informer_queue, .init = setup, .fini = teardown, .timeout = 60);

static void put(enum informer_message_kind kind, size_t size, unsigned ms)
{
	struct informer_message *m = informer_message_new(kind);

	cr_assert(m);
	cr_assert_eq(buffer_reserve(&m->bytes, size), 0);
	memset(m->bytes.bytes, 0, size);
	m->bytes.size = size;
	informer_queue_put(&q, m, ms);
}

/* Whether it becomes readable in so long, at the latest. */
static bool rings(int ms)
{
	struct pollfd p = { .fd = q.fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static size_t take(void)
{
	struct informer_message *m = informer_queue_take(&q);
	size_t n = 0;

	while (m) {
		struct informer_message *next = m->next;

		informer_message_free(m);
		m = next;
		n++;
	}
	return n;
}

Test(informer_queue, what_need_not_wait_is_told_at_once)
{
	put(MESSAGE_STATUS, 1, 0);
	cr_expect(rings(1000));
	cr_expect_eq(take(), 1);
	cr_expect_not(rings(20));
}

Test(informer_queue, what_may_wait_is_told_with_what_comes_meanwhile)
{
	uint64_t begun = clock_ms();

	put(MESSAGE_EVENTS, 1, 200);
	cr_expect_not(rings(50));
	put(MESSAGE_EVENTS, 1, 200);
	cr_expect(rings(2000));
	cr_expect_geq(clock_ms() - begun, 200);
	cr_expect_eq(take(), 2);
	cr_expect_not(rings(300), "the second had time of its own");
}

Test(informer_queue, what_may_wait_goes_with_what_may_not)
{
	put(MESSAGE_EVENTS, 1, 60000);
	put(MESSAGE_REPLY, 1, 0);
	cr_expect(rings(1000));
	cr_expect_eq(take(), 2);
	put(MESSAGE_EVENTS, 1, 100);
	cr_expect(rings(2000), "the time of those before does not count");
	cr_expect_eq(take(), 1);
}

Test(informer_queue, what_fills_it_is_told_at_once)
{
	put(MESSAGE_EVENTS, 3 << 20, 60000);
	cr_expect_not(rings(20));
	put(MESSAGE_EVENTS, 3 << 20, 60000);
	cr_expect(rings(1000));
	cr_expect_eq(take(), 2);
}
