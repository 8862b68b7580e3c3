// SPDX-License-Identifier: Apache-2.0
/*
 * Who calls, as rules ask: ids of namespaces, selectors and workloads that mean the same in every
 * generation, whatever comes and goes.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "lib/tables/sources.h"
#include "test_compile_util.h"

#define POD(ns, name, ip, labels)                                              \
	"apiVersion: v1\nkind: Pod\nmetadata: {namespace: " ns ", name: " name \
	", labels: {" labels "}}\nspec: {}\nstatus: {podIP: " ip "}\n---\n"
#define SERVICE                                                                               \
	"apiVersion: v1\nkind: Service\nmetadata: {name: echo}\nspec: {clusterIP: 10.96.0.1," \
	" ports: [{name: tcp, port: 9000}]}\n---\n"
#define ROUTE(labels)                                      \
	"{match: [{sourceLabels: {" labels "}}], route: [" \
	"{destination: {host: echo}}]}, "
#define RULES(routes)                                                                        \
	"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: echo}\n" \
	"spec: {hosts: [echo], tcp: [" routes "{route: [{destination: {host: echo}}]}]}\n---\n"

static const struct source *source_at(const struct tables *t, const char *ip)
{
	struct addr addr;

	cr_assert_eq(addr_parse(ip, &addr), 0);
	for (size_t i = 0; i < t->sources.count; i++)
		if (!memcmp(&t->sources.items[i].addr, &addr, sizeof(addr)))
			return &t->sources.items[i].value;
	cr_assert_fail("%s is no source", ip);
	return NULL;
}

static bool is_selected(const struct tables *t, const char *ip, __u32 selector)
{
	const struct selected_key want = { source_at(t, ip)->workload, selector };

	for (size_t i = 0; i < t->selected.count; i++)
		if (!memcmp(&t->selected.items[i], &want, sizeof(want)))
			return true;
	return false;
}

Test(sources, a_pod_that_no_rule_asks_for_has_no_workload)
{
	_cleanup_compiled_ struct compiled c = { 0 };

	compiled_text(&c, SERVICE POD("default", "a", "10.0.0.1", "app: sleep")
				  POD("default", "b", "10.0.0.2", "app: curl")
					  RULES(ROUTE("app: sleep")));
	cr_assert_eq(c.r, 0);
	cr_expect_neq(source_at(c.tables, "10.0.0.1")->workload, 0);
	cr_expect_eq(source_at(c.tables, "10.0.0.2")->workload, 0);
	cr_expect_eq(c.tables->selected.count, 1);
}

Test(sources, pods_that_the_same_selectors_hold_for_are_one_workload)
{
	_cleanup_compiled_ struct compiled c = { 0 };
	const struct tables *t;

	compiled_text(&c, SERVICE POD("default", "a", "10.0.0.1", "app: x, version: v1")
				  POD("other", "b", "10.0.0.2", "app: x, version: v1, more: z")
					  POD("default", "c", "10.0.0.3", "app: x")
						  RULES(ROUTE("version: v1") ROUTE("app: x")));
	cr_assert_eq(c.r, 0);
	t = c.tables;
	cr_assert_eq(t->selectors.count, 2);
	cr_expect_eq(source_at(t, "10.0.0.1")->workload, source_at(t, "10.0.0.2")->workload);
	cr_expect_neq(source_at(t, "10.0.0.1")->workload, source_at(t, "10.0.0.3")->workload);
	for (int i = 0; i < 2; i++) {
		const struct source_selector *s = &t->selectors.items[i];

		cr_expect(is_selected(t, "10.0.0.1", s->id));
		cr_expect_eq(is_selected(t, "10.0.0.3", s->id),
			     s->labels.count == 1 && !strcmp(s->labels.items[0].key, "app"));
	}
}

Test(sources, ids_mean_the_same_in_the_next_tables)
{
	_cleanup_compiled_ struct compiled c = { 0 }, again = { 0 };
	struct source before, after;

	compiled_text(&c, SERVICE POD("first", "a", "10.0.0.1", "app: x")
				  POD("default", "b", "10.0.0.2", "version: v1")
					  RULES(ROUTE("app: x") ROUTE("version: v1")));
	cr_assert_eq(c.r, 0);
	before = *source_at(c.tables, "10.0.0.2");
	compiled_again(&again, &c,
		       SERVICE POD("default", "b", "10.0.0.2", "version: v1")
			       RULES(ROUTE("version: v1")));
	cr_assert_eq(again.r, 0);
	after = *source_at(again.tables, "10.0.0.2");
	cr_expect_eq(before.ns, after.ns);
	cr_expect_eq(before.workload, after.workload);
	cr_expect_str_eq(tables_namespace(again.tables, after.ns), "default");
	cr_expect_eq(tables_namespace_id(again.tables, "default"), after.ns);
	cr_expect_eq(tables_namespace_id(again.tables, "first"), 0);
}

Test(sources, a_pod_by_itself_is_what_it_is_among_all)
{
	_cleanup_compiled_ struct compiled c = { 0 };
	__u32 workload = 0;

	compiled_text(&c,
		      SERVICE POD("default", "a", "10.0.0.1", "app: x, version: v1")
			      POD("default", "b", "10.0.0.2", "app: x")
				      RULES(ROUTE("version: v1") ROUTE("app: x") ROUTE("app: y")));
	cr_assert_eq(c.r, 0);
	for (size_t i = 0; i < c.tables->sources.count; i++) {
		const struct source_entry *s = &c.tables->sources.items[i];

		cr_assert_eq(workload_of_labels(c.registry, c.tables, &s->pod->meta.labels,
						&workload),
			     0);
		cr_expect_eq(workload, s->value.workload);
	}
}

Test(sources, rows_of_workloads_that_have_no_pod_any_more_go)
{
	_cleanup_compiled_ struct compiled c = { 0 };

	compiled_text(&c, SERVICE POD("default", "a", "10.0.0.1", "app: x, version: v1")
				  POD("default", "b", "10.0.0.2", "app: x")
					  RULES(ROUTE("version: v1") ROUTE("app: x")));
	cr_assert_eq(c.r, 0);
	cr_assert_eq(c.tables->selected.count, 3);
	c.tables->sources.items[0].value.workload = c.tables->sources.items[1].value.workload;
	cr_assert_eq(selected_write(c.registry, c.tables), 0);
	cr_expect_eq(c.tables->selected.count, 1);
	c.tables->sources.count = 0;
	cr_assert_eq(selected_write(c.registry, c.tables), 0);
	cr_expect_eq(c.tables->selected.count, 0);
}
