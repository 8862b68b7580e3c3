// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>

#include "daemon/engine/engine_warnings.h"

static const struct pos here = { 1, 1 };

Test(warnings, only_new_ones_and_those_about_the_files_in_the_call_are_told)
{
	static const struct store_input mine = { .name = "b.yaml", .bytes = "" };
	struct errors first = { 0 }, second = { 0 };
	json_t *known;

	errors_warn(&first, "a.yaml", here, "old");
	errors_warn(&first, "b.yaml", here, "old");
	known = warnings_set(&first);
	errors_warn(&second, "a.yaml", here, "old");
	errors_warn(&second, "b.yaml", here, "old");
	errors_warn(&second, "a.yaml", here, "new");
	errors_add(&second, "a.yaml", here, "old");
	warnings_filter(&second, known, &mine, 1);
	cr_assert_eq(second.count, 3);
	cr_expect_eq(second.warnings, 2);
	cr_expect_str_eq(second.items[0].text, "b.yaml:1:1: old");
	cr_expect_str_eq(second.items[1].text, "a.yaml:1:1: new");
	cr_expect_not(second.items[2].warning);
	errors_free(&first);
	errors_free(&second);
	json_decref(known);
}
