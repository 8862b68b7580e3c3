// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "cli/cmd.h"
#include "cli/table_text.h"

enum { GAP = 3 };

/* Characters, not bytes: continuation bytes of UTF-8 take no place. */
static int width(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

static const char *cell(const json_t *row, size_t column)
{
	const char *text = json_string_value(json_array_get(row, column));

	return text ? text : "";
}

static void print_row(const json_t *row, const int *widths, size_t columns)
{
	for (size_t c = 0; c < columns; c++) {
		fputs(cell(row, c), stdout);
		if (c + 1 < columns)
			printf("%*s", widths[c] - width(cell(row, c)) + GAP, "");
	}
	putchar('\n');
}

static int make_columns(struct table *t, size_t columns)
{
	int *widths;

	if (t->widths && columns <= t->columns)
		return 0;
	widths = reallocarray(t->widths, columns + 1, sizeof(*widths));
	if (!widths)
		return -ENOMEM;
	memset(widths + t->columns, 0, (columns - t->columns) * sizeof(*widths));
	t->widths = widths;
	t->columns = columns;
	return 0;
}

int table_print_more(struct table *t, const json_t *rows)
{
	size_t columns = json_array_size(json_array_get(rows, 0)), i;
	json_t *row;

	if (make_columns(t, columns))
		return cmd_failed("out of memory");
	json_array_foreach(rows, i, row) for (size_t c = 0; c < columns;
					      c++) if (width(cell(row, c)) > t->widths[c])
		t->widths[c] = width(cell(row, c));
	json_array_foreach(rows, i, row) print_row(row, t->widths, columns);
	return STATUS_DONE;
}

void table_free(struct table *t)
{
	free(t->widths);
	*t = (struct table){ 0 };
}

int table_print(const json_t *rows)
{
	_cleanup_(table_free) struct table t = { 0 };

	return table_print_more(&t, rows);
}
