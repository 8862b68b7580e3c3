// SPDX-License-Identifier: Apache-2.0
/*
 * Four times the services must not take sixteen times as long: nothing is searched for.
 */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "test_compile_util.h"

enum { PODS_EACH = 5, SMALL = 200, LARGE = 4 * SMALL };

static void add_service(FILE *f, int i)
{
	fprintf(f,
		"apiVersion: v1\nkind: Service\nmetadata: {name: s%d, namespace: n%d}\n"
		"spec: {clusterIP: 10.96.%d.%d, selector: {app: s%d}, ports: [{name: tcp, port: "
		"80}]}\n---\n",
		i, i % 20, i / 250, i % 250, i);
	for (int k = 0; k < PODS_EACH; k++)
		fprintf(f,
			"apiVersion: v1\nkind: Pod\nmetadata: {name: p%d-%d, namespace: n%d, "
			"labels: {app: s%d, version: v%d}}\nspec: {}\nstatus: {podIP: "
			"10.%d.%d.%d}\n---\n",
			i, k, i % 20, i, k % 2, k, i / 250, i % 250);
	fprintf(f,
		"apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
		"metadata: {name: s%d, namespace: n%d}\nspec: {host: s%d, exportTo: [\".\", n%d], "
		"subsets: [{name: v0, labels: {version: v0}}, {name: v1, labels: {version: "
		"v1}}]}\n---\n",
		i, i % 20, i, (i + 1) % 20);
	fprintf(f,
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
		"metadata: {name: s%d, namespace: n%d}\nspec: {hosts: [s%d], tcp: ["
		"{match: [{sourceLabels: {app: s%d}}], route: [{destination: {host: s%d}}]}, "
		"{route: [{destination: {host: s%d, subset: v0}, weight: 1}, "
		"{destination: {host: s%d, subset: v1}, weight: 2}]}]}\n---\n",
		i, i % 20, i, i / 2, i, i, i);
}

static void load(struct compiled *c, int services)
{
	_cleanup_free_ char *yaml = NULL;
	size_t len;
	FILE *f = open_memstream(&yaml, &len);

	for (int i = 0; i < services; i++)
		add_service(f, i);
	fclose(f);
	c->registry = registry_new();
	cr_assert_eq(rules_parse("t.yaml", yaml, len, &c->objects, &c->errors, NULL), 0, "%s",
		     c->errors.count ? c->errors.items[0].text : "");
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* The best of three, in CPU time: the machine may be busy. */
static double compile_time(struct compiled *c)
{
	double best = 1e9;

	for (int i = 0; i < 3; i++) {
		double before = seconds(), took;

		tables_free(c->tables);
		c->tables = NULL;
		cr_assert_eq(compile(&c->objects, c->registry, COMPILE_HTTP_NEEDED, &c->tables,
				     &c->errors),
			     0);
		took = seconds() - before;
		best = took < best ? took : best;
	}
	return best;
}

Test(compile_scale, time_grows_with_the_number_of_services)
{
	_cleanup_compiled_ struct compiled small = { 0 };
	_cleanup_compiled_ struct compiled large = { 0 };
	double a, b;

	load(&small, SMALL);
	load(&large, LARGE);
	a = compile_time(&small);
	b = compile_time(&large);
	cr_expect_gt(large.tables->services.count, LARGE, "some for namespaces of their own");
	cr_expect_eq(large.tables->sources.count, LARGE * PODS_EACH);
	cr_expect_eq(large.tables->selectors.count, LARGE / 2);
	cr_expect_lt(b, 10 * a, "%d services in %.1f ms, %d in %.1f ms", SMALL, a * 1e3, LARGE,
		     b * 1e3);
	cr_log_info("%d services in %.1f ms, %d in %.1f ms", SMALL, a * 1e3, LARGE, b * 1e3);
}

/* One host, and a namespace for each of its rules: half speak of HTTP, half of TCP. */
static void load_private(struct compiled *c, int rules)
{
	_cleanup_free_ char *yaml = NULL;
	size_t len;
	FILE *f = open_memstream(&yaml, &len);

	fputs("apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: n}\n"
	      "spec: {clusterIP: 10.96.0.1, ports: [{name: tcp, port: 80}, {name: http, port: "
	      "81}]}\n---\n",
	      f);
	for (int i = 0; i < rules; i++)
		fprintf(f,
			"apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
			"metadata: {name: v, namespace: n%d}\nspec: {hosts: "
			"[s.n.svc.cluster.local], exportTo: [\".\"], %s: [{route: [{destination: "
			"{host: s.n.svc.cluster.local}}]}]}\n---\n",
			i, i % 2 ? "tcp" : "http");
	fclose(f);
	c->registry = registry_new();
	cr_assert_eq(rules_parse("t.yaml", yaml, len, &c->objects, &c->errors, NULL), 0);
}

Test(compile_scale, time_grows_with_the_number_of_rules_that_others_do_not_see)
{
	enum { FEW = 2000, MANY = 4 * FEW };
	_cleanup_compiled_ struct compiled small = { 0 };
	_cleanup_compiled_ struct compiled large = { 0 };
	double a, b;

	load_private(&small, FEW);
	load_private(&large, MANY);
	a = compile_time(&small);
	b = compile_time(&large);
	cr_expect_eq(large.tables->services.count, MANY / 2 + 2);
	cr_expect_lt(b, 8 * a, "%d rules in %.1f ms, %d in %.1f ms", FEW, a * 1e3, MANY, b * 1e3);
	cr_log_info("%d rules in %.1f ms, %d in %.1f ms", FEW, a * 1e3, MANY, b * 1e3);
}
