// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/engine_warnings.h"

json_t *warnings_set(const struct errors *errors)
{
	json_t *set = json_object();

	for (size_t i = 0; set && i < errors->count; i++)
		if (errors->items[i].warning && errors->items[i].text)
			json_object_set_new_nocheck(set, errors->items[i].text, json_true());
	return set;
}

static bool about(const char *text, const struct store_input *files, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(files[i].name);

		if (strncmp(text, files[i].name, len) == 0 && text[len] == ':')
			return true;
	}
	return false;
}

void warnings_filter(struct errors *errors, const json_t *known, const struct store_input *files,
		     size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < errors->count; i++) {
		struct error *e = &errors->items[i];

		if (!e->warning || !e->text || !json_object_get(known, e->text) ||
		    about(e->text, files, count)) {
			errors->items[kept++] = *e;
			continue;
		}
		free(e->text);
		errors->warnings--;
	}
	errors->count = kept;
}
