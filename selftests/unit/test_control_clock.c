// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <time.h>

#include "daemon/api/control_conn.h"
#include "daemon/api/control_clock.h"

static void pass(unsigned ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000L }, NULL);
}

Test(control_clock, stands_still_while_weftd_works_and_goes_on_after_it)
{
	struct control_clock c = { 0 };
	uint64_t start = control_clock_ms(&c);

	pass(20);
	cr_expect_geq(control_clock_ms(&c), start + 19);
	for (int i = 0; i < 3; i++) {
		control_clock_stop(&c);
		start = control_clock_ms(&c);
		pass(300);
		cr_expect_eq(control_clock_ms(&c), start);
		control_clock_go(&c);
		cr_expect_lt(control_clock_ms(&c), start + 200);
	}
}
