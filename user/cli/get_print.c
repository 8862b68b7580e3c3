// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/age.h"
#include "cli/changes.h"
#include "cli/client.h"
#include "cli/get_print.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"

static const char jsonpath_prefix[] = "jsonpath=", columns_prefix[] = "custom-columns=";

static int bad_output(const char *output, const char *why)
{
	return cmd_wrong("get", "-o %.64s: %s", output, why);
}

/* "NAME:.metadata.name" */
static int add_column(struct get_printer *p, const char *spec, size_t len, const char *output)
{
	const char *colon = memchr(spec, ':', len);
	struct get_column *columns =
		reallocarray(p->columns, p->column_count + 1, sizeof(*columns));
	_cleanup_free_ char *path = NULL;
	struct get_column *column;
	char why[160];

	if (!columns)
		return cmd_failed("out of memory");
	p->columns = columns;
	if (!colon || colon + 1 == spec + len)
		return bad_output(output, "HEADING:PATH,... is expected");
	column = &columns[p->column_count++];
	*column = (struct get_column){ strndup(spec, colon - spec), NULL };
	path = strndup(colon + 1, spec + len - colon - 1);
	if (!column->heading || !path)
		return cmd_failed("out of memory");
	return jsonpath_parse_path(path, &column->path, why, sizeof(why)) ? bad_output(path, why)
									  : 0;
}

static int add_columns(struct get_printer *p, const char *output)
{
	int r = 0;

	for (const char *at = output + strlen(columns_prefix), *end; !r; at = end + 1) {
		end = strchrnul(at, ',');
		r = add_column(p, at, end - at, output);
		if (!*end)
			break;
	}
	return r;
}

int get_printer_init(struct get_printer *p, const char *output)
{
	static const struct {
		const char *name;
		enum get_form form;
	} forms[] = {
		{ "wide", GET_WIDE },
		{ "name", GET_NAME },
		{ "json", GET_JSON },
		{ "yaml", GET_YAML },
	};
	char why[160];

	for (size_t i = 0; output && i < sizeof(forms) / sizeof(*forms); i++)
		if (strcmp(output, forms[i].name) == 0)
			p->form = forms[i].form;
	if (output && strncmp(output, jsonpath_prefix, strlen(jsonpath_prefix)) == 0) {
		p->form = GET_JSONPATH;
		return jsonpath_parse(output + strlen(jsonpath_prefix), &p->template, why,
				      sizeof(why))
			       ? bad_output(output, why)
			       : 0;
	}
	if (output && strncmp(output, columns_prefix, strlen(columns_prefix)) == 0) {
		p->form = GET_COLUMNS;
		return add_columns(p, output);
	}
	return 0;
}

void get_printer_free(struct get_printer *p)
{
	jsonpath_free(p->template);
	for (size_t i = 0; i < p->column_count; i++) {
		free(p->columns[i].heading);
		jsonpath_free(p->columns[i].path);
	}
	free(p->columns);
	table_free(&p->table);
}

const char *get_printer_request(const struct get_printer *p)
{
	switch (p->form) {
	case GET_TABLE:
	case GET_NAME:
		return "table";
	case GET_WIDE:
		return "wide";
	case GET_YAML:
		return "yaml";
	default:
		return "json";
	}
}

static json_t *full_name(const json_t *item)
{
	return changes_name(json_get_text(item, "kind", ""), json_get_text(item, "name", ""));
}

static json_t *age_cell(const json_t *item)
{
	json_int_t since = json_get_int(item, "since", 0);
	char text[AGE_TEXT_MAX];

	return json_string(since ? age_text(time(NULL) - since, text) : "<unknown>");
}

static json_t *labels_cell(const json_t *item)
{
	const json_t *labels = json_object_get(item, "labels");
	_cleanup_free_ const char **keys = json_sorted_keys(labels);
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *f = keys ? open_memstream(&text, &size) : NULL;

	if (!f)
		return NULL;
	for (const char **key = keys; *key; key++)
		fprintf(f, "%s%s=%s", key == keys ? "" : ",", *key,
			json_get_text(labels, *key, ""));
	return fclose(f) ? NULL : json_text(*keys ? text : "<none>");
}

/* Their headings (0) or values (1). */
static void append_columns(json_t *row, const json_t *columns, size_t which)
{
	json_t *column;
	size_t i;

	json_array_foreach(columns, i, column)
		json_array_append(row, json_array_get(column, which));
}

/* What a wide table has more stands behind AGE, as with kubectl. */
static json_t *headings(const struct get_printer *p, const json_t *item)
{
	json_t *row = json_array();

	if (p->namespaces)
		json_array_append_new(row, json_string("NAMESPACE"));
	json_array_append_new(row, json_string("NAME"));
	append_columns(row, json_object_get(item, "columns"), 0);
	json_array_append_new(row, json_string("AGE"));
	append_columns(row, json_object_get(item, "wide_columns"), 0);
	if (p->labels)
		json_array_append_new(row, json_string("LABELS"));
	return row;
}

static json_t *row_of(const struct get_printer *p, const json_t *item)
{
	json_t *row = json_array();

	if (p->namespaces)
		json_array_append_new(row, json_text(json_get_text(item, "namespace", "")));
	json_array_append_new(row, p->kinds ? full_name(item)
					    : json_incref(json_object_get(item, "name")));
	append_columns(row, json_object_get(item, "columns"), 1);
	json_array_append_new(row, age_cell(item));
	append_columns(row, json_object_get(item, "wide_columns"), 1);
	if (p->labels)
		json_array_append_new(row, labels_cell(item));
	return row;
}

static bool same_kind(const json_t *a, const json_t *b)
{
	return strcmp(json_get_text(a, "kind", ""), json_get_text(b, "kind", "")) == 0;
}

/* A table for each kind, with an empty line between. */
static int print_tables(struct get_printer *p, const json_t *items, bool with_headings)
{
	size_t count = json_array_size(items), i = 0;
	int r = STATUS_DONE;

	p->begun = true;
	while (!r && i < count) {
		const json_t *first = json_array_get(items, i);
		_cleanup_json_ json_t *rows = json_array();

		if (with_headings && i) {
			putchar('\n');
			table_free(&p->table);
		}
		if (with_headings && !p->no_headings)
			json_array_append_new(rows, headings(p, first));
		for (; i < count && same_kind(json_array_get(items, i), first); i++)
			json_array_append_new(rows, row_of(p, json_array_get(items, i)));
		r = table_print_more(&p->table, rows);
	}
	return r;
}

static int print_columns(struct get_printer *p, const json_t *items, bool with_headings)
{
	_cleanup_json_ json_t *rows = json_array();
	json_t *row, *item;
	size_t i;

	p->begun = true;
	if (with_headings && !p->no_headings) {
		row = json_array();
		for (size_t c = 0; c < p->column_count; c++)
			json_array_append_new(row, json_text(p->columns[c].heading));
		json_array_append_new(rows, row);
	}
	json_array_foreach(items, i, item)
	{
		row = json_array();
		for (size_t c = 0; c < p->column_count; c++)
			json_array_append_new(row, jsonpath_cell(p->columns[c].path,
								 json_object_get(item, "object")));
		json_array_append_new(rows, row);
	}
	return json_array_size(rows) ? table_print_more(&p->table, rows) : STATUS_DONE;
}

static int print_names(const json_t *items)
{
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		_cleanup_json_ json_t *name = full_name(item);

		puts(json_string_value(name) ?: "");
	}
	return STATUS_DONE;
}

/* One object that was named is that object; otherwise a List, which can be applied again. */
static json_t *whole(const json_t *items, bool single)
{
	json_t *list, *item;
	size_t i;

	if (single && json_array_size(items) == 1)
		return json_incref(json_object_get(json_array_get(items, 0), "object"));
	list = json_array();
	json_array_foreach(items, i, item) json_array_append(list, json_object_get(item, "object"));
	return json_pack("{s:s, s:o, s:s}", "apiVersion", "v1", "items", list, "kind", "List");
}

static int print_template(const struct get_printer *p, const json_t *root)
{
	int r = jsonpath_print(p->template, root, stdout);

	if (r == -ERANGE)
		return cmd_failed("-o jsonpath: there are not so many elements");
	return r ? cmd_failed("%s", strerror(-r)) : STATUS_DONE;
}

static int print_whole(const struct get_printer *p, const json_t *items, bool single)
{
	_cleanup_json_ json_t *root = whole(items, single);

	if (!root)
		return cmd_failed("out of memory");
	return p->form == GET_JSON ? client_print_json(root) : print_template(p, root);
}

/* An object as an element of "items:", its lines indented. */
static void print_element(const char *yaml)
{
	for (const char *line = yaml; *line;) {
		int len = (int)strcspn(line, "\n");

		if (len)
			printf("%s%.*s", line == yaml ? "- " : "  ", len, line);
		putchar('\n');
		line += len + (line[len] == '\n');
	}
}

static int print_yaml(const json_t *items, bool single)
{
	json_t *item;
	size_t i;

	if (single && json_array_size(items) == 1) {
		fputs(json_get_text(json_array_get(items, 0), "yaml", ""), stdout);
		return STATUS_DONE;
	}
	printf("apiVersion: v1\nitems:%s\n", json_array_size(items) ? "" : " []");
	json_array_foreach(items, i, item) print_element(json_get_text(item, "yaml", ""));
	puts("kind: List");
	return STATUS_DONE;
}

int get_print(struct get_printer *p, const json_t *items)
{
	switch (p->form) {
	case GET_TABLE:
	case GET_WIDE:
		return print_tables(p, items, true);
	case GET_COLUMNS:
		return print_columns(p, items, true);
	case GET_NAME:
		return print_names(items);
	case GET_YAML:
		return print_yaml(items, p->single);
	default:
		return print_whole(p, items, p->single);
	}
}

static int print_one_more(struct get_printer *p, const json_t *item)
{
	_cleanup_json_ json_t *items = json_pack("[O]", item);

	switch (p->form) {
	case GET_TABLE:
	case GET_WIDE:
		return print_tables(p, items, !p->begun);
	case GET_COLUMNS:
		return print_columns(p, items, !p->begun);
	case GET_NAME:
		return print_names(items);
	case GET_YAML:
		puts("---");
		return print_yaml(items, true);
	default:
		return print_whole(p, items, true);
	}
}

int get_print_more(struct get_printer *p, const json_t *items)
{
	int r = STATUS_DONE;
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item) if (!r) r = print_one_more(p, item);
	return r;
}
