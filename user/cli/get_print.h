/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_GET_PRINT_H
#define WEFT_CLI_GET_PRINT_H
/*
 * What weftd answers to get, printed in the form that -o asks for.
 */
#include <jansson.h>
#include <stdbool.h>

#include "cli/jsonpath.h"
#include "cli/table_text.h"

enum get_form { GET_TABLE, GET_WIDE, GET_NAME, GET_JSON, GET_YAML, GET_JSONPATH, GET_COLUMNS };

struct get_column {
	char *heading;
	struct jsonpath *path;
};

struct get_printer {
	enum get_form form;
	bool namespaces; /* a column NAMESPACE */
	bool kinds;	 /* kinds are told in front of the names */
	bool labels;	 /* a column LABELS */
	bool no_headings;
	bool single;		   /* one object was named: it is no List */
	struct jsonpath *template; /* of GET_JSONPATH */
	struct get_column *columns;
	size_t column_count;
	struct table table;
	bool begun; /* the headings are printed */
};

/* `output` is what -o says, NULL for a table. Zero-initialise; free with get_printer_free(). 0, or
 * STATUS_USAGE after a message. */
int get_printer_init(struct get_printer *p, const char *output);
void get_printer_free(struct get_printer *p);

/* The "form" to ask weftd for. */
const char *get_printer_request(const struct get_printer *p);

/* The items of one reply. Returns an exit status. */
int get_print(struct get_printer *p, const json_t *items);
/* The same for those that have changed since: each by itself, and headings only in front of the
 * very first. */
int get_print_more(struct get_printer *p, const json_t *items);

#endif
