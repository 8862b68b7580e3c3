// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/changes.h"
#include "cli/cmd.h"
#include "lib/base/json_io.h"
#include "lib/model/kinds.h"
#include "lib/model/model.h"

int changes_check_dry_run(const char *verb, const char *dry_run)
{
	if (!dry_run || strcmp(dry_run, "none") == 0 || changes_are_dry(dry_run))
		return 0;
	return cmd_wrong(verb, "--dry-run: none, client or server is expected, not \"%s\"",
			 dry_run);
}

bool changes_are_dry(const char *dry_run)
{
	return dry_run && (strcmp(dry_run, "client") == 0 || strcmp(dry_run, "server") == 0);
}

static json_t *name_in(const char *kind, const char *group, const char *name)
{
	_cleanup_free_ char *lower = strdup(kind);

	for (char *at = lower; at && *at; at++)
		*at = (char)tolower((unsigned char)*at);
	return lower ? json_textf("%s%s%s/%s", lower, *group ? "." : "", group, name) : NULL;
}

json_t *changes_name(const char *kind, const char *name)
{
	int known = kind_parse(kind);

	return name_in(kind, known < 0 ? "" : kind_group(known), name);
}

int changes_print(const json_t *data, const char *dry_run, const char *output)
{
	const char *dry = !changes_are_dry(dry_run)	   ? ""
			  : strcmp(dry_run, "server") == 0 ? " (server dry run)"
							   : " (dry run)";
	json_t *change;
	size_t i;

	json_array_foreach(json_object_get(data, "changes"), i, change)
	{
		const char *namespace = json_get_text(change, "namespace", "default");
		bool elsewhere = !output && strcmp(namespace, "default") != 0;
		const char *kind = json_get_text(change, "kind", "");
		const char *own = json_get_text(change, "name", "");
		_cleanup_json_ json_t *name = output ? changes_name(kind, own)
						     : name_in(kind, "", own);

		if (!name)
			return cmd_failed("out of memory");
		fputs(json_string_value(name), stdout);
		if (!output)
			printf(" %s", json_get_text(change, "change", ""));
		if (elsewhere)
			printf(" (namespace %s)", namespace);
		printf("%s\n", output ? "" : dry);
	}
	return STATUS_DONE;
}
