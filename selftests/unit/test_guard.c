/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "daemon/datapath/guard.h"

Test(guard, who_takes_things_away_again_and_again_is_not_fought)
{
	unsigned pause = 0, sum = 0;

	for (int i = 0; i < 12; i++) {
		unsigned next = guard_pause_ms(pause, pause);

		cr_expect_geq(next, pause);
		cr_expect_leq(next, 8000); /* what is gone is back within 10 s in any case */
		sum += next;
		pause = next;
	}
	cr_expect_eq(pause, 8000);
	cr_expect_gt(sum, 60000);
	cr_expect_lt(guard_pause_ms(pause, 60000), 1000, "that was another cause");
}
