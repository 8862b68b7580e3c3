// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/errors.h"
#include "lib/compile/compile.h"
#include "lib/schema/parse.h"

Test(errors, a_place_is_told_where_there_is_one)
{
	char buf[16];

	cr_expect_str_eq(place_text(buf, sizeof(buf), "f.yaml", (struct pos){ 12, 3 }),
			 "f.yaml:12:3");
	cr_expect_str_eq(place_text(buf, sizeof(buf), "pod/x/y", (struct pos){ 1, 0 }), "pod/x/y");
	cr_expect_str_eq(place_text(buf, sizeof(buf), "f.yaml", (struct pos){ 0 }), "f.yaml");
	cr_expect_str_eq(place_text(buf, 5, "f.yaml", (struct pos){ 1, 1 }), "f.ya");
}

Test(errors, a_copy_is_about_the_same_place)
{
	struct errors from = { 0 }, to = { 0 };

	errors_add(&from, "pod/x/y", (struct pos){ 1, 0 }, "spec: wrong");
	errors_warn(&from, "f.yaml", (struct pos){ 2, 3 }, "odd");
	cr_assert_eq(errors_copy(&to, &from.items[0], "x"), 0);
	cr_assert_eq(errors_copy(&to, &from.items[1], NULL), 0);
	errors_free(&from);
	cr_expect_str_eq(to.items[0].text, "pod/x/y: spec: wrong");
	cr_expect_eq(to.items[0].place, strlen("pod/x/y"));
	cr_expect_str_eq(to.items[0].namespace, "x");
	cr_expect_str_eq(to.items[1].text, "f.yaml:2:3: odd");
	cr_expect_eq(to.count, 2);
	cr_expect_eq(to.warnings, 1);
	errors_free(&to);
}

/* Objects of the Kubernetes API are decoded as any, but without lines. */
Test(errors, objects_without_a_file_are_told_of_by_name)
{
	static const char json[] =
		"{\"apiVersion\": \"networking.istio.io/v1\", \"kind\": \"DestinationRule\",\n"
		" \"metadata\": {\"name\": \"a\", \"namespace\": \"x\"},\n"
		" \"spec\": {\"host\": \"a\", \"trafficPolicy\": {\"connectionPool\": {\"tcp\": "
		"{\"maxConnections\": \"many\"}}}}}";
	static const char want[] = "destinationrule/x/a: spec.trafficPolicy.connectionPool.tcp."
				   "maxConnections: expected";
	const struct parse_options how = { .placeless = true };
	struct objects objects = { 0 };
	struct errors errors = { 0 };

	cr_expect_eq(rules_parse_with(&how, "destinationrule/x/a", json, strlen(json), &objects,
				      &errors, NULL),
		     -EINVAL);
	cr_assert_eq(errors.count, 1);
	cr_expect(!strncmp(errors.items[0].text, want, strlen(want)), "%s", errors.items[0].text);
	errors_free(&errors);
	objects_free(&objects);
}

static struct tables *compiled(const char *yaml, struct registry *registry, struct objects *objects)
{
	struct errors errors = { 0 };
	struct tables *t = NULL;

	cr_assert_eq(rules_parse("f.yaml", yaml, strlen(yaml), objects, &errors, NULL), 0);
	cr_assert_eq(compile(objects, registry, COMPILE_HTTP_NEEDED, &t, &errors), 0);
	errors_free(&errors);
	return t;
}

static void expect_same(const char *more, bool same)
{
	static const char service[] =
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {clusterIP: 10.96.0.1, "
		"ports: [{port: 1, name: tcp}]}\n---\n";
	struct registry *registry = registry_new();
	struct objects before = { 0 }, after = { 0 };
	struct tables *a = compiled(service, registry, &before), *b;
	char yaml[1024];

	snprintf(yaml, sizeof(yaml), "%s%s", service, more);
	b = compiled(yaml, registry, &after);
	cr_expect_eq(tables_same(a, b), same, "%s", more);
	tables_free(a);
	tables_free(b);
	objects_free(&before);
	objects_free(&after);
	registry_free(registry);
}

Test(tables, what_makes_no_difference_makes_the_same_tables)
{
	expect_same("", true);
	expect_same("{apiVersion: v1, kind: Namespace, metadata: {name: x}}", true);
	expect_same("{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: []}}",
		    true);
	expect_same("{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: []}, "
		    "status: {podIP: 10.244.0.1, phase: Running}}",
		    false);
	expect_same("{apiVersion: v1, kind: Service, metadata: {name: b}, spec: {clusterIP: "
		    "10.96.0.2, ports: [{port: 1}]}}",
		    false);
	expect_same("{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: "
		    "a}, spec: {host: a, trafficPolicy: {connectionPool: {tcp: {maxConnections: "
		    "7}}}}}",
		    false);
}
