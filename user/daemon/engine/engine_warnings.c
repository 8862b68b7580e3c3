// SPDX-License-Identifier: Apache-2.0
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

struct filter {
	const json_t *known;
	const struct store_input *files;
	size_t count;
};

static bool about(const char *text, const struct filter *f)
{
	for (size_t i = 0; i < f->count; i++) {
		size_t len = strlen(f->files[i].name);

		if (strncmp(text, f->files[i].name, len) == 0 && text[len] == ':')
			return true;
	}
	return false;
}

static bool is_told(const struct error *e, void *arg)
{
	const struct filter *f = arg;

	return !e->warning || !e->text || !json_object_get(f->known, e->text) || about(e->text, f);
}

void warnings_filter(struct errors *errors, const json_t *known, const struct store_input *files,
		     size_t count)
{
	struct filter f = { known, files, count };

	errors_keep(errors, is_told, &f);
}
