/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_TABLE_TEXT_H
#define WEFT_CLI_TABLE_TEXT_H
/*
 * Columns on stdout, each as wide as its widest cell.
 */
#include <jansson.h>

/* `rows` are lists of texts of equal length, the headings first. Returns an exit status. */
int table_print(const json_t *rows);

#endif
