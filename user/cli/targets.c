// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/targets.h"
#include "lib/base/json_io.h"
#include "lib/model/kinds.h"

static int add(struct targets *t, const char *kind, size_t len, const char *name)
{
	json_t *target = json_pack("{s:s%}", "kind", kind, len);

	if (name)
		json_object_set_new(target, "name", json_text(name));
	return json_array_append_new(t->list, target) ? cmd_failed("out of memory") : 0;
}

/* vs/a dr/b */
static int take_pairs(int argc, char **argv, struct targets *t)
{
	int r = 0;

	for (int i = 1; !r && i < argc; i++) {
		const char *slash = strchr(argv[i], '/');

		if (!slash || slash == argv[i] || !slash[1] || strchr(slash + 1, '/'))
			return cmd_wrong(argv[0], "KIND/NAME is expected, not \"%s\"", argv[i]);
		r = add(t, argv[i], slash - argv[i], slash + 1);
	}
	t->named = true;
	t->kinds = argc > 2;
	return r;
}

/* vs,dr a b */
static int take_kinds(int argc, char **argv, struct targets *t)
{
	int r = 0;

	t->named = argc > 2;
	t->kinds = strchr(argv[1], ',') || strcmp(argv[1], "all") == 0;
	for (const char *at = argv[1], *end; !r; at = end + 1) {
		end = strchrnul(at, ',');
		if (end == at)
			return cmd_wrong(argv[0], "a KIND is expected in \"%s\"", argv[1]);
		if (!t->named)
			r = add(t, at, end - at, NULL);
		for (int i = 2; !r && i < argc; i++)
			r = add(t, at, end - at, argv[i]);
		if (!*end)
			break;
	}
	return r;
}

int targets_parse(int argc, char **argv, struct targets *out)
{
	if (argc < 2)
		return cmd_wrong(argv[0], "a KIND is expected");
	out->list = json_array();
	if (!out->list)
		return cmd_failed("out of memory");
	if (strchr(argv[1], '/'))
		return take_pairs(argc, argv, out);
	for (int i = 2; i < argc; i++)
		if (strchr(argv[i], '/'))
			return cmd_wrong(argv[0], "there is no KIND in front of KIND/NAME: \"%s\"",
					 argv[i]);
	return take_kinds(argc, argv, out);
}

/* Kinds that are in no namespace. */
static bool only_cluster_wide(const struct targets *t)
{
	json_t *target;
	size_t i;

	json_array_foreach(t->list, i, target)
	{
		int kind = kind_parse(json_get_text(target, "kind", ""));

		if (kind < 0 || !kind_infos[kind].cluster_wide)
			return false;
	}
	return true;
}

void targets_none(const struct targets *t, const char *namespace)
{
	if (!namespace || only_cluster_wide(t))
		fputs("No resources found\n", stderr);
	else
		fprintf(stderr, "No resources found in %s namespace.\n", namespace);
}

int targets_missing(const json_t *data)
{
	json_t *text;
	size_t i;

	json_array_foreach(json_object_get(data, "missing"), i, text)
		cmd_failed("%s", json_string_value(text));
	return i ? STATUS_FAILED : STATUS_DONE;
}

void targets_free(struct targets *t)
{
	json_decref(t->list);
	t->list = NULL;
}
