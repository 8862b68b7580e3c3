/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PRINT_H
#define WEFT_PRINT_H
/*
 * Objects as text again: as they were given, without comments, in the order of the original, no
 * default invented. What is printed loads again as the same object.
 */
#include <stdio.h>

#include "tree.h"

/* One YAML document without "---". 0, -ENOMEM, -EIO. */
int print_yaml(const struct node *node, FILE *out);
/* Indented by two. `depth` is 0 for a document of its own, which ends in a line feed. 0 or -EIO. */
int print_json(const struct node *node, int depth, FILE *out);
/* The object as a whole, in one or the other. 0, -ENOMEM, -EIO. */
int object_print(const struct object *o, bool json, FILE *out);

#endif
