/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/netlink/addr_set.h"
#include "lib/base/id_set.h"

static struct addr v4(unsigned n)
{
	return (struct addr){ .b = { [10] = 0xff, [11] = 0xff, n >> 24, n >> 16, n >> 8, n } };
}

Test(kernel_ids, empty_set_has_nothing)
{
	struct ids s = {};

	cr_expect_not(ids_has(&s, 1));
	ids_remove(&s, 1);
	ids_free(&s);
}

/* Against an array of flags, with numbers that collide, are removed and come back. */
Test(kernel_ids, what_was_added_and_not_removed_is_there)
{
	static bool there[500];
	struct ids s = {};

	srandom(1);
	for (int i = 0; i < 200000; i++) {
		uint64_t id = 1 + (uint64_t)random() % 499;
		uint64_t key = id << (id % 3 * 20);

		if (random() % 2) {
			cr_assert_eq(ids_add(&s, key), !there[id]);
			there[id] = true;
		} else {
			ids_remove(&s, key);
			there[id] = false;
		}
	}
	for (uint64_t id = 1; id < 500; id++)
		cr_expect_eq(ids_has(&s, id << (id % 3 * 20)), there[id], "%d", (int)id);
	ids_free(&s);
}

Test(kernel_addrs, a_set_of_neighbours)
{
	struct addr_set s = {};

	for (unsigned i = 0; i < 100000; i++) {
		struct addr a = v4(0x0a000000 + i);

		cr_assert_eq(addr_set_add(&s, &a), 0);
		cr_assert_eq(addr_set_add(&s, &a), 0);
	}
	cr_expect_eq(s.count, 100000);
	for (unsigned i = 0; i < 200000; i++) {
		struct addr a = v4(0x0a000000 + i);

		cr_assert_eq(addr_set_has(&s, &a), i < 100000);
	}
	addr_set_free(&s);
}

Test(kernel_addrs, what_was_added_and_not_removed_is_there)
{
	static bool there[500];
	struct addr_set s = {};
	size_t count = 0;

	srandom(1);
	for (int i = 0; i < 200000; i++) {
		unsigned n = (unsigned)random() % 500;
		struct addr a = v4(n << (n % 3 * 8));

		if (random() % 2) {
			cr_assert_eq(addr_set_add(&s, &a), 0);
			there[n] = true;
		} else {
			addr_set_remove(&s, &a);
			there[n] = false;
		}
	}
	for (unsigned n = 1; n < 500; n++) {
		struct addr a = v4(n << (n % 3 * 8));

		cr_expect_eq(addr_set_has(&s, &a), there[n], "%u", n);
		count += there[n];
	}
	cr_expect_eq(s.count, count + there[0]);
	addr_set_free(&s);
}

Test(kernel_addrs, the_unset_address_is_in_no_set)
{
	struct addr_set s = {};
	struct addr unset = {}, other = v4(1);

	cr_expect_not(addr_set_has(&s, &unset));
	cr_expect_eq(addr_set_add(&s, &unset), 0);
	cr_expect_eq(addr_set_add(&s, &other), 0);
	cr_expect_not(addr_set_has(&s, &unset));
	cr_expect_eq(s.count, 1);
	addr_set_free(&s);
}

Test(kernel_addrs, lists_are_equal_in_order)
{
	struct addr_list a = {}, b = {};
	struct addr one = v4(1), two = v4(2);

	cr_expect(addr_list_equal(&a, &b));
	addr_list_add(&a, &one);
	addr_list_add(&a, &two);
	addr_list_add(&b, &two);
	cr_expect_not(addr_list_equal(&a, &b));
	cr_expect(addr_list_has(&a, &two));
	cr_expect_not(addr_list_has(&b, &one));
	addr_list_free(&a);
	addr_list_free(&b);
}

Test(kernel_addrs, removing_keeps_the_order)
{
	struct addr_list l = {};
	struct addr a[] = { v4(1), v4(2), v4(3) };

	for (size_t i = 0; i < 3; i++)
		addr_list_add(&l, &a[i]);
	cr_expect(addr_list_remove(&l, &a[1]));
	cr_expect_not(addr_list_remove(&l, &a[1]));
	cr_expect_eq(l.count, 2);
	cr_expect(addr_equal(&l.items[0], &a[0]));
	cr_expect(addr_equal(&l.items[1], &a[2]));
	addr_list_free(&l);
}
