// SPDX-License-Identifier: Apache-2.0
/*
 * What is the same for every client is made once, however many namespaces have rules for it.
 */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <string.h>

#include "test_compile_util.h"

enum { SERVICES = 40, NAMESPACES = 30, SHADOWED = 200 };

static void add_services(FILE *f)
{
	for (int i = 0; i < SERVICES; i++)
		fprintf(f,
			"apiVersion: v1\nkind: Service\nmetadata: {name: s%d}\n"
			"spec: {clusterIP: 10.96.0.%d, ports: [{name: tcp, port: 80}]}\n---\n",
			i, i + 1);
}

static void add_rules(FILE *f, const char *host, const char *spec)
{
	for (int i = 0; i < NAMESPACES; i++)
		fprintf(f,
			"apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
			"metadata: {name: r, namespace: n%d}\nspec: {host: \"%s\", %s}\n---\n",
			i, host, spec);
}

static void load(struct compiled *c, const char *host, const char *spec)
{
	_cleanup_free_ char *yaml = NULL;
	size_t len;
	FILE *f = open_memstream(&yaml, &len);

	add_services(f);
	add_rules(f, host, spec);
	fclose(f);
	compiled_text(c, yaml);
	cr_assert_not_null(c->tables, "%s", c->errors.count ? c->errors.items[0].text : "");
}

Test(compile_share, rules_that_change_nothing_cost_nothing)
{
	_cleanup_compiled_ struct compiled subsets = { 0 }, defaults = { 0 };

	load(&subsets, "*.local", "subsets: [{name: v1, labels: {version: v1}}]");
	cr_expect_eq(subsets.tables->services.count, SERVICES);
	cr_expect_eq(subsets.tables->clusters.count, SERVICES);
	load(&defaults, "*.local", "trafficPolicy: {connectionPool: {tcp: {connectTimeout: 10s}}}");
	cr_expect_eq(defaults.tables->services.count, SERVICES);
	cr_expect_eq(defaults.tables->clusters.count, SERVICES);
}

Test(compile_share, rules_that_agree_share_a_cluster)
{
	_cleanup_compiled_ struct compiled c = { 0 };

	load(&c, "s0.default.svc.cluster.local",
	     "trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}");
	cr_expect_eq(c.tables->services.count, SERVICES + NAMESPACES);
	cr_expect_eq(c.tables->clusters.count, SERVICES + 1);
}

Test(compile_share, why_a_rule_is_not_in_force_is_written_once)
{
	_cleanup_compiled_ struct compiled c = { 0 };
	_cleanup_free_ char *yaml = NULL;
	const struct service_origin *first;
	size_t len;
	FILE *f = open_memstream(&yaml, &len);

	add_services(f);
	for (int i = 0; i < SHADOWED; i++)
		fprintf(f,
			"apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
			"metadata: {name: v%d}\nspec: {hosts: [\"*.local\"], tcp: [{route: "
			"[{destination: {host: s0}}]}]}\n---\n",
			i);
	fclose(f);
	compiled_text(&c, yaml);
	cr_assert_not_null(c.tables);
	first = &c.tables->service_origins.items[0];
	cr_assert_eq(first->skipped_count, SHADOWED - 1);
	cr_expect_str_eq(first->skipped[0].why,
			 "hosts: virtualservice default/v0 is older or more specific");
	for (size_t i = 0; i < c.tables->service_origins.count; i++)
		cr_expect_eq(c.tables->service_origins.items[i].skipped[1].why,
			     first->skipped[0].why);
}
