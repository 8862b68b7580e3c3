// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/bytemap.h"

enum { KEYS = 1000 };

static char keys[KEYS][16];

static void fill(struct bytemap *m)
{
	for (uintptr_t i = 0; i < KEYS; i++) {
		void **at;

		snprintf(keys[i], sizeof(keys[i]), "key%s-%zu", i % 3 ? "" : "s", (size_t)i);
		at = bytemap_at(m, keys[i], strlen(keys[i]));
		cr_assert_not_null(at);
		cr_assert_null(*at);
		*at = (void *)(i + 1);
	}
}

static uintptr_t value(struct bytemap *m, const char *key)
{
	return (uintptr_t)bytemap_str(m, key);
}

Test(compile_map, in_the_order_of_their_coming)
{
	struct bytemap m = { 0 };

	fill(&m);
	for (int turn = 0; turn < 3; turn++)
		for (size_t i = 0; i < KEYS; i++)
			cr_assert_eq(value(&m, keys[i]), i + 1);
	bytemap_free(&m);
}

Test(compile_map, in_any_order_and_with_what_is_not_there)
{
	struct bytemap m = { 0 };

	fill(&m);
	srandom(1);
	for (int n = 0; n < 100000; n++) {
		size_t i = random() % KEYS;
		char absent[16];

		snprintf(absent, sizeof(absent), "key-%zu-", i);
		cr_assert_eq(value(&m, absent), 0);
		cr_assert_eq(value(&m, keys[i]), i + 1);
		if (i + 2 < KEYS) /* near the one that is tried first */
			cr_assert_eq(value(&m, keys[i + 2]), i + 3);
	}
	bytemap_free(&m);
}

Test(compile_map, what_is_added_between_is_found)
{
	struct bytemap m = { 0 };
	static char late[] = "late";

	cr_expect_eq(value(&m, "late"), 0);
	fill(&m);
	cr_expect_eq(value(&m, keys[KEYS - 1]), KEYS);
	cr_expect_eq(value(&m, late), 0);
	*bytemap_at(&m, late, 4) = late;
	cr_expect_eq((char *)bytemap_str(&m, "late"), late);
	cr_expect_eq(value(&m, keys[0]), 1);
	bytemap_free(&m);
}
