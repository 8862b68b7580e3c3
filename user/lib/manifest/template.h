/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MANIFEST_TEMPLATE_H
#define WEFT_LIB_MANIFEST_TEMPLATE_H
/*
 * Text with values in it: ${PATH} stands for a value, ${version} for weft's, ${labels} for
 * manifest_labels. Errors are those of `out`.
 */
#include <stdio.h>

#include "lib/manifest/values.h"

void template_print(const struct values *v, const char *text, FILE *out);

/* Lines as they are, with nothing put in, each behind `indent` blanks; an empty one has none. */
void template_print_lines(const char *text, int indent, FILE *out);

#endif
