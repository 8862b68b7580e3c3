// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/text.h"

Test(text, numbers)
{
	char out[NUMBER_MAX];

	cr_expect_str_eq(text_number(out, 0), "0");
	cr_expect_str_eq(text_number(out, 65535), "65535");
	cr_expect_str_eq(text_number(out, UINT32_MAX), "4294967295");
}

Test(text, what_does_not_fit_is_cut)
{
	const char *const parts[] = { "one", "", "two", "three", NULL };
	char out[12 + 1];

	for (size_t size = 1; size < sizeof(out); size++) {
		memset(out, '#', sizeof(out));
		cr_expect_eq(text_join(out, size, parts), 11);
		cr_expect_eq(strlen(out), size - 1 < 11 ? size - 1 : 11);
		cr_expect(!strncmp(out, "onetwothree", strlen(out)));
		cr_expect_eq(out[size], '#');
	}
}
