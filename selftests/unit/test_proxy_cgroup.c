/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where weft-proxy goes when weftd runs in a container: the hierarchies of cgroups that the node
 * has mounted, and what is not one of them.
 */
#include <criterion/criterion.h>
#include <unistd.h>

#include "daemon/supervisor/container.h"
#include "daemon/supervisor/proxy_cgroup.h"

static const struct {
	const char *line;
	const char *dir; /* NULL: it is none */
	int version;
} rows[] = {
	{ "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
	  "/sys/fs/cgroup", 2 },
	{ "41 40 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
	  "/sys/fs/cgroup/memory", 1 },
	{ "41 40 0:31 /../../.. /sys/fs/cgroup/cpu rw shared:1 master:2 - cgroup cgroup rw,cpu\n",
	  "/sys/fs/cgroup/cpu", 1 },
	/* what a container's runtime mounts of its own cgroup */
	{ "41 40 0:31 /kubepods/pod1/c1 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", NULL,
	  0 },
	{ "41 40 0:31 /../other /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", NULL, 0 },
	{ "41 40 0:31 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n", NULL, 0 },
	{ "41 40 0:31 / /with\\040space rw - cgroup2 cgroup2 rw\n", NULL, 0 },
	{ "41 40 0:31 / /sys/fs/cgroup rw\n", NULL, 0 },
	{ "\n", NULL, 0 },
	{ "", NULL, 0 },
};

Test(proxy_cgroup, hierarchies_are_told_by_their_mounts)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char dir[64] = "";
		int version = 0;
		bool is = proxy_cgroup_parse(rows[i].line, dir, sizeof(dir), &version);

		cr_expect_eq(is, rows[i].dir != NULL, "row %zu", i);
		if (!is || !rows[i].dir)
			continue;
		cr_expect_str_eq(dir, rows[i].dir, "row %zu", i);
		cr_expect_eq(version, rows[i].version, "row %zu", i);
	}
}

Test(proxy_cgroup, a_place_that_is_too_long_is_none)
{
	char dir[8];
	int version;

	cr_expect_not(proxy_cgroup_parse(rows[0].line, dir, sizeof(dir), &version));
}

static void count(void *arg, const char *what)
{
	(void)what;
	++*(int *)arg;
}

Test(proxy_cgroup, outside_a_container_nothing_is_lacking)
{
	int lines = 0;

	if (container_inside())
		cr_skip_test("these tests run in a container");
	container_each_lacking("/run/nosuch", "/", count, &lines);
	cr_expect_eq(lines, 0);
}
