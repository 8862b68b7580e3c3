/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the text of an object: what is taken is JSON, says the same as to the YAML parser as
 * far as that takes it (it minds where lines break), and can be had again either way.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/yaml/json_text.h"
#include "lib/yaml/print.h"

static char *printed(const struct node *root)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f || node_print(root, NULL, true, f))
		abort();
	fclose(f);
	return text;
}

static void compare(const struct node *root, const char *bytes, size_t size)
{
	struct documents docs = { 0 };
	struct errors errors = { 0 };
	char *ours = printed(root), *theirs;
	int r = yaml_parse_placeless("t", bytes, size, &docs, &errors);

	json_t *json = json_loadb(bytes, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);

	if (!json || (!r && docs.count != 1))
		abort();
	theirs = r ? NULL : printed(docs.items[0].root);
	if (theirs && strcmp(ours, theirs) != 0)
		abort();
	json_decref(json);
	documents_free(&docs);
	errors_free(&errors);
	free(ours);
	free(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new();
	char *text = malloc(size + 1);
	const struct node *root;

	if (!arena || !text)
		abort();
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (!json_text_parse(text, size, arena, arena, &root)) {
		/* Only objects and lists are taken for JSON by the other. */
		if (root->type == NODE_MAP || root->type == NODE_LIST)
			compare(root, (const char *)data, size);
		json_text_restore(text, size);
	}
	if (size && memcmp(text, data, size) != 0)
		abort();
	free(text);
	arena_unref(arena);
	return 0;
}
