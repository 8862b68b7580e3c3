/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <limits.h>

#include "daemon/datapath/sweep.h"

Test(kernel_sweep, a_run_is_followed_by_a_rest)
{
	static const struct {
		unsigned period, took, wait;
	} rows[] = {
		{ 50, 0, 50 },	     { 50, 1, 50 },	      { 50, 5, 50 },
		{ 50, 146, 1460 },   { 1000, 100, 1000 },     { 1000, 101, 1010 },
		{ 50, 5000, 10000 }, { 50, UINT_MAX, 10000 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(sweep_wait_ms(rows[i].period, rows[i].took), rows[i].wait, "%u, %u",
			     rows[i].period, rows[i].took);
}
