/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_TABLE_TEXT_H
#define WEFT_CLI_TABLE_TEXT_H
/*
 * Columns on stdout, each as wide as its widest cell.
 */
#include <jansson.h>
#include <stddef.h>

/* `rows` are lists of texts of equal length, the headings first. Returns an exit status. */
int table_print(const json_t *rows);

/* A table that goes on: its columns never become narrower. Zero-initialise; free with
 * table_free(). */
struct table {
	int *widths;
	size_t columns;
};

int table_print_more(struct table *t, const json_t *rows);
void table_free(struct table *t);

#endif
