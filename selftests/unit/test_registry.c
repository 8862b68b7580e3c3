// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <errno.h>

#include "test_compile_util.h"
#include "weft/traffic.h"

static void registry_freep(struct registry **r)
{
	registry_free(*r);
}

#define _cleanup_registry_ _cleanup_(registry_freep)

Test(registry, a_name_keeps_its_id)
{
	_cleanup_registry_ struct registry *r = registry_new();
	__u32 a = registry_id(r, REG_CLUSTER, "a"), b = registry_id(r, REG_CLUSTER, "b");

	cr_expect_eq(a, 1);
	cr_expect_eq(b, 2);
	cr_expect_eq(registry_id(r, REG_CLUSTER, "a"), a);
	cr_expect_str_eq(registry_name(r, REG_CLUSTER, b), "b");
	cr_expect_null(registry_name(r, REG_CLUSTER, 3));
	cr_expect_null(registry_name(r, REG_CLUSTER, 0));
}

Test(registry, kinds_do_not_share_ids)
{
	_cleanup_registry_ struct registry *r = registry_new();

	registry_id(r, REG_CLUSTER, "a");
	cr_expect_eq(registry_id(r, REG_ROUTE, "b"), 1);
	cr_expect_null(registry_name(r, REG_ENDPOINT, 1));
}

Test(registry, adopted_ids_are_kept_and_never_given_again)
{
	_cleanup_registry_ struct registry *r = registry_new();

	cr_expect_eq(registry_adopt(r, REG_CLUSTER, "old", 7), 0);
	cr_expect_eq(registry_adopt(r, REG_CLUSTER, "old", 7), 0, "twice is harmless");
	cr_expect_eq(registry_adopt(r, REG_CLUSTER, "old", 8), -EEXIST);
	cr_expect_eq(registry_adopt(r, REG_CLUSTER, "new", 7), -EEXIST);
	cr_expect_eq(registry_adopt(r, REG_CLUSTER, "none", 0), -EINVAL);
	cr_expect_eq(registry_adopt(r, REG_CLUSTER, "far", 50000), 0);
	cr_expect_eq(registry_id(r, REG_CLUSTER, "old"), 7);
	cr_expect_eq(registry_id(r, REG_CLUSTER, "fresh"), 50001);
}

Test(registry, runs_out_of_ids_rather_than_repeating_one)
{
	_cleanup_registry_ struct registry *r = registry_new();

	cr_expect_eq(registry_adopt(r, REG_ROUTE, "last", 0xffffffffu), 0);
	cr_expect_eq(registry_id(r, REG_ROUTE, "one more"), 0);
	cr_expect_eq(registry_id(r, REG_ROUTE, "last"), 0xffffffffu);
}

Test(registry, ids_of_clusters_stay_indexes)
{
	_cleanup_registry_ struct registry *r = registry_new();

	cr_expect_eq(registry_adopt(r, REG_CLUSTER, "far", CLUSTER_IDS_MAX - 1), 0);
	cr_expect_eq(registry_adopt(r, REG_CLUSTER, "first", 1), 0);
	cr_expect_eq(registry_id(r, REG_CLUSTER, "one more"), 2);
	cr_expect_eq(registry_id(r, REG_CLUSTER, "and one"), 3);
}

Test(registry, many_names)
{
	_cleanup_registry_ struct registry *r = registry_new();
	char name[32];
	__u32 i;

	for (i = 1; i <= 20000; i++) {
		snprintf(name, sizeof(name), "name-%u", i);
		cr_assert_eq(registry_id(r, REG_ENDPOINT, name), i);
	}
	for (i = 1; i <= 20000; i++) {
		snprintf(name, sizeof(name), "name-%u", i);
		cr_assert_str_eq(registry_name(r, REG_ENDPOINT, i), name);
	}
}

Test(registry, a_service_has_the_same_id_after_a_restart)
{
	_cleanup_registry_ struct registry *before = registry_new(), *after = registry_new();
	__u32 echo = registry_id(before, REG_SERVICE, "default/echo:9000");
	__u32 other = registry_id(before, REG_SERVICE, "default/other:9000");

	cr_expect_neq(echo, 0);
	cr_expect_neq(echo, other);
	cr_expect_eq(registry_id(after, REG_SERVICE, "default/other:9000"), other);
	cr_expect_eq(registry_id(after, REG_SERVICE, "default/echo:9000"), echo);
	cr_expect_str_eq(registry_name(after, REG_SERVICE, echo), "default/echo:9000");
}

Test(registry, services_whose_names_collide_have_ids_of_their_own)
{
	_cleanup_registry_ struct registry *r = registry_new(), *other = registry_new();
	__u32 id = registry_id(other, REG_SERVICE, "default/echo:9000");

	cr_expect_eq(registry_adopt(r, REG_SERVICE, "in its place", id), 0);
	cr_expect_eq(registry_id(r, REG_SERVICE, "default/echo:9000"), id + 1);
}

/* ---- names that go ---- */

static bool is_odd(void *seen, __u32 id, __u64 *mark)
{
	++*(unsigned *)seen;
	++*mark;
	return id % 2;
}

Test(registry, a_forgotten_name_gets_another_id)
{
	_cleanup_registry_ struct registry *r = registry_new();
	unsigned seen = 0;

	for (const char *name = "abcdef"; *name; name++)
		registry_id(r, REG_PEER, (const char[]){ *name, 0 });
	cr_expect_eq(registry_review(r, REG_PEER, is_odd, &seen), 0);
	cr_expect_eq(seen, 5, "the highest is not asked for");
	cr_expect_eq(registry_count(r, REG_PEER), 4);
	cr_expect_null(registry_name(r, REG_PEER, 2));
	cr_expect_str_eq(registry_name(r, REG_PEER, 3), "c");
	cr_expect_str_eq(registry_name(r, REG_PEER, 6), "f");
	cr_expect_eq(registry_id(r, REG_PEER, "e"), 5);
	cr_expect_eq(registry_id(r, REG_PEER, "b"), 7);
	cr_expect_eq(registry_review(r, REG_CLUSTER, is_odd, &seen), -EINVAL, "they stay");
}

Test(registry, as_many_peers_as_there_is_room_for)
{
	_cleanup_registry_ struct registry *r = registry_new();
	unsigned seen = 0;
	char name[32];

	for (int i = 1; i < TRAFFIC_PEERS_MAX; i++) {
		snprintf(name, sizeof(name), "name-%d", i);
		cr_assert_eq(registry_id(r, REG_PEER, name), (__u32)i);
	}
	cr_expect_eq(registry_id(r, REG_PEER, "one more"), 0);
	cr_expect_eq(registry_review(r, REG_PEER, is_odd, &seen), 0);
	cr_expect_eq(registry_id(r, REG_PEER, "one more"), (__u32)TRAFFIC_PEERS_MAX);
}
