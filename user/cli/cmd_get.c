// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "cli/client.h"
#include "lib/base/json_io.h"
#include "cli/table_text.h"

struct query {
	const char *kind, *name, *namespace;
	bool all;
};

static void add_headings(json_t *rows, const json_t *item, bool namespaces)
{
	json_t *row = json_array(), *column;
	size_t i;

	if (namespaces)
		json_array_append_new(row, json_string("NAMESPACE"));
	json_array_append_new(row, json_string("NAME"));
	json_array_foreach(json_object_get(item, "columns"), i, column)
		json_array_append(row, json_array_get(column, 0));
	json_array_append_new(rows, row);
}

static void add_row(json_t *rows, const json_t *item, bool namespaces)
{
	json_t *row = json_array(), *column;
	size_t i;

	if (namespaces)
		json_array_append_new(row, json_text(json_get_text(item, "namespace", "")));
	json_array_append(row, json_object_get(item, "name"));
	json_array_foreach(json_object_get(item, "columns"), i, column)
		json_array_append(row, json_array_get(column, 1));
	json_array_append_new(rows, row);
}

static int print_table(const json_t *items, const struct query *q)
{
	_cleanup_(json_decrefp) json_t *rows = json_array();
	json_t *item;
	size_t i;

	if (!json_array_size(items)) {
		if (q->all)
			fprintf(stderr, "no %s found\n", q->kind);
		else
			fprintf(stderr, "no %s found in namespace %s\n", q->kind, q->namespace);
		return STATUS_DONE;
	}
	add_headings(rows, json_array_get(items, 0), q->all);
	json_array_foreach(items, i, item) add_row(rows, item, q->all);
	return table_print(rows);
}

/* One object by name is that object; otherwise a List, which can be applied again. */
static int print_json(json_t *items, const struct query *q)
{
	_cleanup_(json_decrefp) json_t *list = NULL;

	if (q->name && json_array_size(items) == 1)
		return client_print_json(json_array_get(items, 0));
	list = json_pack("{s:s, s:s, s:O}", "apiVersion", "v1", "kind", "List", "items", items);
	return client_print_json(list);
}

static int print_yaml(const json_t *items)
{
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
		printf("%s%s", i ? "---\n" : "", json_string_value(item));
	return STATUS_DONE;
}

static int show(const struct cli *cli, const struct query *q)
{
	const char *form = cli->output ?: "table";
	_cleanup_(json_decrefp) json_t *data = NULL;
	json_t *request = client_request("get");
	json_t *items;
	int r;

	json_object_set_new(request, "kind", json_text(q->kind));
	json_object_set_new(request, "form", json_text(form));
	if (q->name)
		json_object_set_new(request, "name", json_text(q->name));
	if (!q->all)
		json_object_set_new(request, "namespace", json_text(q->namespace));
	r = client_ask(cli, request, NULL, &data);
	if (r)
		return r;
	items = json_object_get(data, "items");
	if (strcmp(form, "json") == 0)
		return print_json(items, q);
	return strcmp(form, "yaml") == 0 ? print_yaml(items) : print_table(items, q);
}

int cmd_get(struct cli *cli, int argc, char **argv)
{
	struct query q = { .namespace = "default" };
	const struct cmd_option options[] = {
		{ 'n', "namespace", .value = &q.namespace },
		{ 'A', "all-namespaces", .flag = &q.all },
		{ 0 },
	};
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	r = cmd_kind_name(argc, argv, &q.kind, &q.name);
	if (r)
		return r;
	return show(cli, &q);
}
