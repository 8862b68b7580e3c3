// SPDX-License-Identifier: Apache-2.0
#include "cli/checklist.h"

#include <stdio.h>

#include "cli/client.h"
#include "lib/base/json_io.h"

void checklist_add(struct checklist *l, bool ok, const char *what, json_t *detail)
{
	json_array_append_new(l->items, json_pack("{s:s, s:b, s:o}", "check", what, "ok", ok,
						  "detail", detail));
	l->failed |= !ok;
}

void checklist_note(struct checklist *l, const char *what, json_t *detail)
{
	json_array_append_new(l->items, json_pack("{s:s, s:b, s:b, s:o}", "check", what, "ok", 1,
						  "note", 1, "detail", detail));
}

static int print_lines(const struct checklist *l)
{
	json_t *item;
	size_t i;

	json_array_foreach(l->items, i, item)
		printf("%-6s %s (%s)\n",
		       json_is_true(json_object_get(item, "note")) ? "note"
		       : json_is_true(json_object_get(item, "ok")) ? "ok"
								   : "FAILED",
		       json_get_text(item, "check", ""), json_get_text(item, "detail", ""));
	return STATUS_DONE;
}

int checklist_print(const struct checklist *l, bool json)
{
	_cleanup_json_ json_t *whole =
		json_pack("{s:b, s:O}", "ok", !l->failed, "checks", l->items);
	int r = json ? client_print_json(whole) : print_lines(l);

	return r ? r : l->failed ? STATUS_FAILED : STATUS_DONE;
}
