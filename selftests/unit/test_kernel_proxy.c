// SPDX-License-Identifier: Apache-2.0
/*
 * What a weft-proxy that has ended had, beside another one that goes on.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/datapath/datapath_priv.h"
#include "lib/base/http_stat_fields.h"
#include "lib/wire/proxy_orders.h"

enum { ONE = 5, OTHER = CLUSTER_IDS_MAX - 1, LIAR = 77 };

static struct kernel *k;
static struct http_cluster_stat *rows;
static struct cluster_limit *limits;
static int held;

static void hold(off_t cluster, uint32_t n)
{
	cr_assert_eq(pwrite(held, &n, sizeof(n), cluster * (off_t)sizeof(n)), sizeof(n));
}

/* In place of a map of the kernel's: it can be mapped, too. */
static void *map_new(enum map_id id, size_t size)
{
	int fd = memfd_create("map", MFD_CLOEXEC);
	void *at;

	cr_assert_eq(ftruncate(fd, (off_t)size), 0);
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq(at, MAP_FAILED);
	k->loader.map[id] = fd;
	return at;
}

static void setup(void)
{
	k = calloc(1, sizeof(*k));
	cr_assert_not_null(k);
	rows = map_new(MAP_HTTP_CLUSTERS, HTTP_STAT_ROWS * sizeof(*rows));
	limits = map_new(MAP_LIMITS, CLUSTER_IDS_MAX * sizeof(*limits));
	held = memfd_create("held", MFD_CLOEXEC);
	cr_assert_eq(ftruncate(held, sizeof(struct proxy_held)), 0);
	for (int i = 1; i < 3; i++) {
		strcpy(rows[i].name, "name");
		rows[i].upstream_rq_total = 9;
		rows[i].upstream_rq_active[2] = 3;
		rows[i].upstream_rq_active[4] = 1;
		rows[i].ejections_active[2] = 1;
		rows[i].ejected[0] = (struct http_ejection){ 1, 1000, 2, 0 };
		rows[i].ejected[1] = (struct http_ejection){ 2, 1000, 4, 0 };
	}
	limits[ONE] = (struct cluster_limit){ .steered = 1, .proxied = 5 };
	limits[OTHER] = (struct cluster_limit){ .proxied = 2 };
	limits[LIAR] = (struct cluster_limit){ .proxied = 2 };
}

static void teardown(void)
{
	munmap(rows, HTTP_STAT_ROWS * sizeof(*rows));
	close(k->loader.map[MAP_HTTP_CLUSTERS]);
	close(held);
	munmap(limits, CLUSTER_IDS_MAX * sizeof(*limits));
	close(k->loader.map[MAP_LIMITS]);
	free(k);
}

TestSuite(kernel_proxy, .init = setup, .fini = teardown);

Test(kernel_proxy, what_it_held_is_given_back_and_nothing_else)
{
	hold(ONE, 3);
	hold(OTHER, 2);
	hold(LIAR, 1000);
	for (int again = 0; again < 2; again++) {
		kernel_proxy_died(k, 2, held);
		cr_expect_eq(limits[ONE].proxied, 2u);
		cr_expect_eq(limits[ONE].steered, 1u);
		cr_expect_eq(limits[OTHER].proxied, 0u);
		cr_expect_eq(limits[LIAR].proxied, 0u, "others keep at least nothing");
	}
}

Test(kernel_proxy, a_file_that_was_cut_gives_nothing_back)
{
	hold(ONE, 3);
	cr_assert_eq(ftruncate(held, 64), 0);
	kernel_proxy_died(k, 2, held);
	cr_expect_eq(limits[ONE].proxied, 5u);
	kernel_proxy_died(k, 2, -1);
	cr_expect_eq(limits[ONE].proxied, 5u);
}

Test(kernel_proxy, gauges_are_without_it_and_counters_stay)
{
	kernel_proxy_died(k, 2, held);
	for (int i = 1; i < 3; i++) {
		cr_expect_eq(gauge_sum(rows[i].upstream_rq_active), 1u);
		cr_expect_eq(gauge_sum(rows[i].ejections_active), 0u);
		cr_expect_eq(rows[i].ejected[0].back_ds, 0u);
		cr_expect_eq(rows[i].ejected[1].back_ds, 1000u);
		cr_expect_eq(rows[i].upstream_rq_total, 9u);
	}
}

Test(kernel_proxy, where_none_runs_nothing_is_held)
{
	kernel_proxy_died(k, -1, -1);
	cr_expect_eq(limits[ONE].proxied, 0u);
	cr_expect_eq(limits[ONE].steered, 1u);
	for (int i = 1; i < 3; i++) {
		cr_expect_eq(gauge_sum(rows[i].upstream_rq_active), 0u);
		cr_expect_eq(rows[i].ejected[1].back_ds, 0u);
		cr_expect_eq(rows[i].upstream_rq_total, 9u);
	}
}
