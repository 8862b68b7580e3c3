// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/changes.h"
#include "cli/cmd.h"
#include "lib/base/json_io.h"

int changes_print(const json_t *data)
{
	json_t *change;
	size_t i;

	json_array_foreach(json_object_get(data, "changes"), i, change)
	{
		const char *namespace = json_get_text(change, "namespace", "default");

		for (const char *at = json_get_text(change, "kind", ""); *at; at++)
			putchar(tolower((unsigned char)*at));
		printf("/%s %s", json_get_text(change, "name", ""),
		       json_get_text(change, "change", ""));
		if (strcmp(namespace, "default") != 0)
			printf(" (namespace %s)", namespace);
		putchar('\n');
	}
	return STATUS_DONE;
}
