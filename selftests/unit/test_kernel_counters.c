// SPDX-License-Identifier: Apache-2.0
/*
 * Which counters are looked for, and which vanish. There are no maps: to make one is an error.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "daemon/datapath/counters.h"
#include "lib/base/log.h"
#include "test_compile_util.h"

static struct loader loader;
static struct counters counters;
static struct compiled compiled;

static void setup(void)
{
	log_set("test", -1);
	memset(loader.map, 0xff, sizeof(loader.map));
	compiled_text(
		&compiled,
		"apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {clusterIP: 10.96.0.1, "
		"selector: {app: s}, ports: [{name: http, port: 80}]}\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: s}}\n"
		"spec: {containers: [{name: c}]}\nstatus: {phase: Running, podIP: 10.0.0.1, "
		"conditions: [{type: Ready, status: 'True'}]}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\n"
		"spec: {hosts: [s], http: [{route: [{destination: {host: s}}]}]}\n");
	cr_assert_eq(compiled.r, 0);
	cr_assert_not_null(compiled.tables->http);
}

static void teardown(void)
{
	counters_free(&counters);
	compiled_free(&compiled);
}

TestSuite(kernel_counters, .init = setup, .fini = teardown);

static void know(enum counter_kind kind, __u32 id)
{
	cr_assert_geq(ids_add(&counters.ids[kind].known, id), 0);
}

/* All that the kernel's rows name is there, and nothing of HTTP's alone. */
static void know_kernel_rows(const struct tables *t)
{
	for (size_t i = 0; i < t->clusters.count; i++)
		know(COUNT_CLUSTERS, t->clusters.items[i].id);
	for (size_t i = 0; i < t->endpoints.count; i++)
		know(COUNT_ENDPOINTS, t->endpoints.items[i].id);
	for (size_t i = 0; i < t->routes.count; i++)
		know(COUNT_ROUTES, t->routes.items[i].id);
}

Test(kernel_counters, only_a_new_snapshot_is_looked_through)
{
	struct tables *t = compiled.tables;

	know_kernel_rows(t);
	cr_expect_eq(counters_add_routes(&counters, &loader, t, 0, http_rows(t, HS_ACTIONS)), 0);
	cr_expect_lt(counters_add_routes(&counters, &loader, t, 0, 0), 0);
	cr_expect_eq(counters_add_clusters(&counters, &loader, t, false), 0);
	cr_expect_lt(counters_add_clusters(&counters, &loader, t, true), 0);
	cr_expect_eq(counters_add_endpoints(&counters, &loader, t, false), 0);
	cr_expect_lt(counters_add_endpoints(&counters, &loader, t, true), 0);
}

Test(kernel_counters, of_a_patched_snapshot_what_is_touched_is_looked_for)
{
	struct tables *t = compiled.tables;
	struct named_endpoint *e = table_push(&t->touched);

	cr_assert_not_null(e);
	*e = (struct named_endpoint){ 77, "10.0.0.7:80" };
	know_kernel_rows(t);
	cr_expect_lt(counters_add_endpoints(&counters, &loader, t, false), 0);
	cr_expect_lt(counters_add_touched(&counters, &loader, t), 0);
	know(COUNT_ENDPOINTS, 77);
	cr_expect_eq(counters_add_endpoints(&counters, &loader, t, false), 0);
	cr_expect_eq(counters_add_touched(&counters, &loader, t), 0);
}

static bool vanished(__u32 cluster)
{
	return ids_has(&counters.ids[COUNT_CLUSTERS].vanished, cluster);
}

/* A round: nothing has vanished before, so that nothing is deleted. */
static void look_once(void)
{
	do
		cr_assert_geq(counters_forget(&counters, &loader, compiled.tables), 0);
	while (counters.forgetting || counters.listed);
}

Test(kernel_counters, a_cluster_with_a_row_of_traffic_is_in_use)
{
	static struct http_traffic rows[] = {
		[1] = { .taken = TRAFFIC_TAKEN, .key.cluster = 900 },
		[2] = { .taken = TRAFFIC_BEING_TAKEN, .key.cluster = 901 },
		[3] = { .taken = TRAFFIC_TAKEN, .key.cluster = CLUSTER_IDS_MAX + 5 },
		[4] = { .taken = 77, .key.cluster = 902 },
		[5] = { .taken = TRAFFIC_TAKEN, .key.cluster = 903 },
		[6] = { .taken = TRAFFIC_FREE, .key.cluster = 904 },
		[7] = { .taken = TRAFFIC_TAKEN, .key.cluster = 905 },
	};

	know_kernel_rows(compiled.tables);
	for (__u32 id = 900; id <= 905; id++)
		know(COUNT_CLUSTERS, id);
	know(COUNT_CLUSTERS, CLUSTER_IDS_MAX + 5);
	loader.http_traffic = (struct row_map){ .bytes = (char *)rows,
						.fd = -1,
						.row_size = sizeof(rows[0]),
						.rows = sizeof(rows) / sizeof(rows[0]) };
	look_once();
	cr_expect_not(vanished(900));
	cr_expect(vanished(901));
	cr_expect(vanished(CLUSTER_IDS_MAX + 5));
	cr_expect(vanished(902));
	cr_expect_not(vanished(903), "rows behind the first are read, which is free");
	cr_expect(vanished(904));
	cr_expect(vanished(905), "nothing is behind a free one");
	for (size_t i = 0; i < compiled.tables->clusters.count; i++)
		cr_expect_not(vanished(compiled.tables->clusters.items[i].id));
}

Test(kernel_counters, there_may_be_no_rows_of_traffic)
{
	know(COUNT_CLUSTERS, 900);
	look_once();
	cr_expect(vanished(900));
}
