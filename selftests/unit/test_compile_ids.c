// SPDX-License-Identifier: Apache-2.0
/*
 * A thing keeps its id, and with it its counters, whatever else comes and goes.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "test_compile_util.h"

#define POD(name, ip)                                                                              \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: " name ", labels: {app: echo, version: " name \
	"}}\nspec: {}\n"                                                                           \
	"status: {podIP: " ip "}\n---\n"
#define SERVICE(name, ip)                                                                  \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: {clusterIP: " ip \
	", selector: {app: echo},"                                                         \
	" ports: [{name: tcp, port: 9000}]}\n---\n"
#define RULES                                                                                      \
	"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: echo}\n"      \
	"spec: {host: echo, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: "      \
	"{version: v2}}]}\n---\n"                                                                  \
	"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: echo}\nspec: " \
	"{hosts: [echo], tcp:"                                                                     \
	" [{route: [{destination: {host: echo, subset: v1}, weight: 1}, {destination: {host: "     \
	"echo, subset: v2},"                                                                       \
	" weight: 1}]}]}\n---\n"

static __u32 cluster_id(const struct tables *t, const char *name)
{
	size_t i;

	for (i = 0; i < t->clusters.count; i++)
		if (!strcmp(t->cluster_names.items[i], name))
			return t->clusters.items[i].id;
	return 0;
}

static __u32 endpoint_id(const struct tables *t, const char *name)
{
	size_t i;

	for (i = 0; i < t->endpoints.count; i++)
		if (!strcmp(t->endpoint_names.items[i], name))
			return t->endpoints.items[i].id;
	return 0;
}

static __u32 route_id(const struct tables *t, const char *name)
{
	size_t i;

	for (i = 0; i < t->routes.count; i++)
		if (!strcmp(t->route_names.items[i], name))
			return t->routes.items[i].id;
	return 0;
}

static __u32 service_id(const struct tables *t, const char *name)
{
	size_t i;

	for (i = 0; i < t->services.count; i++)
		if (!strcmp(t->service_origins.items[i].name, name))
			return t->services.items[i].value.id;
	return 0;
}

Test(compile_ids, survive_reloads)
{
	_cleanup_compiled_ struct compiled before = { 0 }, after = { 0 };
	struct tables *b, *a;

	compiled_text(&before, SERVICE("echo", "10.96.0.1") POD("v1", "10.0.0.1")
				       POD("v2", "10.0.0.2") RULES);
	b = before.tables;
	cr_assert_not_null(b);
	compiled_again(&after, &before,
		       SERVICE("another", "10.96.0.2") POD("v3", "10.0.0.3") POD("v2", "10.0.0.2")
			       SERVICE("echo", "10.96.0.1") RULES);
	a = after.tables;
	cr_assert_not_null(a);
	cr_expect_neq(service_id(b, "echo"), 0);
	cr_expect_eq(service_id(b, "echo"), service_id(a, "echo"));
	cr_expect_neq(service_id(a, "another"), service_id(a, "echo"));
	cr_expect_neq(cluster_id(b, "outbound|9000|v2|echo.default.svc.cluster.local"), 0);
	cr_expect_eq(cluster_id(b, "outbound|9000|v2|echo.default.svc.cluster.local"),
		     cluster_id(a, "outbound|9000|v2|echo.default.svc.cluster.local"));
	cr_expect_neq(endpoint_id(b, "10.0.0.2:9000"), 0);
	cr_expect_eq(endpoint_id(b, "10.0.0.2:9000"), endpoint_id(a, "10.0.0.2:9000"));
	cr_expect_neq(endpoint_id(a, "10.0.0.3:9000"), endpoint_id(b, "10.0.0.1:9000"));
	cr_expect_neq(route_id(b, "default/echo/tcp[0]"), 0);
	cr_expect_eq(route_id(b, "default/echo/tcp[0]"), route_id(a, "default/echo/tcp[0]"));
}

Test(compile_ids, the_same_objects_give_the_same_tables)
{
	static const char yaml[] = SERVICE("echo", "10.96.0.1") POD("v1", "10.0.0.1")
		POD("v2", "10.0.0.2") RULES;
	_cleanup_compiled_ struct compiled one = { 0 }, two = { 0 };
	_cleanup_free_ char *first = NULL, *second = NULL;

	compiled_text(&one, yaml);
	cr_assert_not_null(one.tables);
	first = tables_text(one.tables);
	compiled_again(&two, &one, yaml);
	cr_assert_not_null(two.tables);
	second = tables_text(two.tables);
	cr_expect_str_eq(first, second);
	cr_expect_eq(one.tables->clusters.count, two.tables->clusters.count);
	cr_expect_arr_eq(one.tables->clusters.items, two.tables->clusters.items,
			 one.tables->clusters.count * sizeof(struct cluster));
}
