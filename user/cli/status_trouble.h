/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_STATUS_TROUBLE_H
#define WEFT_CLI_STATUS_TROUBLE_H
/*
 * What in weftd's answer to `status` needs someone to look at it.
 */
#include <jansson.h>
#include <stdbool.h>

enum { TABLE_FULL_PERCENT = 90 };

/* A new list of sentences; empty: all is well. NULL when out of memory. */
json_t *status_trouble(const json_t *status);
/* How full a table is; 0 if it has no room at all. */
int status_percent(json_int_t entries, json_int_t room);
/* Whether it is well when one of `tables` is full: its oldest entries make room. */
bool status_table_evicts(const json_t *table);

#endif
