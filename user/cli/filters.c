// SPDX-License-Identifier: Apache-2.0
#include "cli/filters.h"

#include <string.h>

#include "lib/base/json_io.h"

/* "5xx,404" are two. */
static json_t *texts(const struct cmd_list *list)
{
	json_t *out = json_array();

	for (size_t i = 0; i < list->count; i++)
		for (const char *at = list->items[i], *end;; at = end + 1) {
			end = strchrnul(at, ',');
			json_array_append_new(out, json_textn(at, (size_t)(end - at)));
			if (!*end)
				break;
		}
	return out;
}

void filters_add(const struct cli *cli, const struct filters *f, json_t *request)
{
	const struct {
		const char *name;
		const struct cmd_list *list;
	} members[] = {
		{ "from", &f->from },	      { "to", &f->to },
		{ "status", &f->status },     { "verdict", &f->verdict },
		{ "protocol", &f->protocol },
	};

	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		if (members[i].list->count)
			json_object_set_new(request, members[i].name, texts(members[i].list));
	if (cli->namespace)
		json_object_set_new(request, "namespace", json_text(cli->namespace));
}

void filters_free(struct filters *f)
{
	cmd_list_free(&f->from);
	cmd_list_free(&f->to);
	cmd_list_free(&f->status);
	cmd_list_free(&f->verdict);
	cmd_list_free(&f->protocol);
}
