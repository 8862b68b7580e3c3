/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_LOG_PRINT_H
#define WEFT_CLI_LOG_PRINT_H
/*
 * An entry of `weft logs` as a line.
 */
#include <jansson.h>
#include <stdbool.h>

/* "06:20:01.234 default/sleep -> reviews.default (default/reviews-v1) 200 GET /reviews/0 12ms". A
 * new string, NULL when out of memory; `colour`: with a terminal's. */
char *log_print_compact(const json_t *entry, bool colour);
/* Istio's default format, as weftd's --access-log has it. */
char *log_print_text(const json_t *entry);

#endif
