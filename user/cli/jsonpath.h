/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_JSONPATH_H
#define WEFT_CLI_JSONPATH_H
/*
 * The everyday part of kubectl's JSONPath: fields (.a.b, ['a'], .a\.b), elements ([*], [0], [-1]),
 * filters ([?(@.a=="b")], !=, [?(@.a)]), {range PATH} ... {end}, {"text"} and text outside of
 * braces. The rest (.., slices, unions, <, >, &&) is refused.
 */
#include <jansson.h>
#include <stdio.h>

struct jsonpath;

/* A template as -o jsonpath= takes it. 0; -EINVAL with what is wrong in `why`; -ENOMEM. */
int jsonpath_parse(const char *text, struct jsonpath **out, char *why, size_t size);
/* A bare path as -o custom-columns= takes it: "{.a.b}", ".a.b" or "a.b". */
int jsonpath_parse_path(const char *text, struct jsonpath **out, char *why, size_t size);
void jsonpath_free(struct jsonpath *p); /* accepts NULL */

/* Prints the template for `root`; a field that is not there prints nothing. 0; -ERANGE for an
 * element behind the end of a list; -ENOMEM. */
int jsonpath_print(const struct jsonpath *p, const json_t *root, FILE *out);
/* The values of a bare path with commas between, or "<none>": a new string, NULL when out of
 * memory. */
json_t *jsonpath_cell(const struct jsonpath *p, const json_t *root);

#endif
