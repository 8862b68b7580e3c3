/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes -> parse -> validate -> print -> compile: nothing but errors may come of them. What
 * loads must be printable, and load again in the same number of objects.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/compile/compile.h"
#include "lib/schema/parse.h"
#include "lib/yaml/print.h"

static size_t read_back(const struct object *o, bool json)
{
	struct objects again = { 0 };
	struct errors errors = { 0 };
	char *text = NULL;
	size_t len = 0, count;
	FILE *f = open_memstream(&text, &len);

	if (!f || node_print(o->tree, o->meta.namespace, json, f))
		abort();
	fclose(f);
	if (rules_parse("again.yaml", text, len, &again, &errors, NULL))
		abort();
	count = again.count;
	objects_free(&again);
	errors_free(&errors);
	free(text);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct objects objects = { 0 };
	struct errors errors = { 0 };
	struct tables *tables = NULL;
	int r;

	r = rules_parse("fuzz.yaml", (const char *)data, size, &objects, &errors, NULL);
	if (!r != !errors_fatal(&errors))
		abort();
	for (size_t i = 0; i < objects.count; i++)
		if (read_back(objects.items[i], i & 1) != 1)
			abort();
	if (!r) {
		struct registry *registry = registry_new();

		if (!registry)
			abort();
		if (!compile(&objects, registry, COMPILE_HTTP_NEEDED, &tables, &errors))
			tables_free(tables);
		registry_free(registry);
	}
	objects_free(&objects);
	errors_free(&errors);
	return 0;
}
