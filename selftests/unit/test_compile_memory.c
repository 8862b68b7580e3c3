// SPDX-License-Identifier: Apache-2.0
/*
 * What a change of a pod leaves behind while the index is kept.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "test_compile_util.h"

enum { MANY_PODS = 2000, BEGIN = 10, CHANGES = 300 };

/* Of the sanitizer: bytes that are allocated and not freed. */
size_t __sanitizer_get_current_allocated_bytes(void);

static void print_pod(FILE *f, unsigned i, bool ready)
{
	fprintf(f,
		"---\napiVersion: v1\nkind: Pod\nmetadata: {name: p%u, labels: {app: s, version: "
		"v%u}}\nspec: {containers: [{name: c}]}\nstatus: {phase: Running, podIP: "
		"10.1.%u.%u, conditions: [{type: Ready, status: '%s'}]}\n",
		i, i % 100, i / 250, 1 + i % 250, ready ? "True" : "False");
}

static struct objects parsed(const char *text)
{
	struct objects objects = { 0 };
	struct errors errors = { 0 };

	cr_assert_eq(rules_parse("pods", text, strlen(text), &objects, &errors, NULL), 0);
	errors_free(&errors);
	return objects;
}

/* A service that finds its pods itself: it has no slices. */
static struct objects many_pods(void)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fputs("apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {clusterIP: 10.96.0.1, "
	      "selector: {app: s}, ports: [{port: 80}]}\n",
	      f);
	for (unsigned i = 0; i < MANY_PODS; i++)
		print_pod(f, i, true);
	fclose(f);
	return parsed(text);
}

/* The first one, which has changed. */
static struct object *another_pod(bool ready)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct objects objects;
	struct object *o;

	print_pod(f, 0, ready);
	fclose(f);
	objects = parsed(text);
	cr_assert_eq(objects.count, 1u);
	o = TAKE_PTR(objects.items[0]);
	objects.count = 0;
	objects_free(&objects);
	return o;
}

Test(compile_memory, a_change_of_a_pod_leaves_nothing_behind)
{
	struct objects known = many_pods();
	struct registry *registry = registry_new();
	struct errors errors = { 0 };
	struct compile_index *index;
	struct tables *tables, *next;
	size_t begin = 0, end;

	cr_assert_eq(compile_keeping(&known, registry, COMPILE_HTTP_NEEDED, &tables, &index,
				     &errors),
		     0);
	for (unsigned i = 0; i < CHANGES; i++) {
		struct object_change change = { known.items[1], another_pod(i % 2) };

		if (i == BEGIN)
			begin = __sanitizer_get_current_allocated_bytes();
		cr_assert_eq(compile_patch(&index, &change, 1, COMPILE_HTTP_NEEDED, tables, &next),
			     0);
		cr_assert_eq(next->clusters.items[0].ep_count, MANY_PODS - 1 + i % 2);
		tables_free(tables);
		tables = next;
		object_free(known.items[1]);
		known.items[1] = (struct object *)change.new;
	}
	end = __sanitizer_get_current_allocated_bytes();
	/* A few bytes of each, until the next compilation. */
	cr_expect_lt(end, begin + (1u << 18), "%zu bytes, then %zu", begin, end);
	compile_index_free(index);
	tables_free(tables);
	registry_free(registry);
	errors_free(&errors);
	objects_free(&known);
}
