/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_YAML_PRINT_H
#define WEFT_LIB_YAML_PRINT_H
/*
 * Objects as text again: as they were given, without comments, in the order of the original, no
 * default invented; a namespace that was said beside the document (-n) is added. What is printed
 * loads again as the same object.
 */
#include <stdio.h>

#include "lib/yaml/tree.h"

/* The node as one document: YAML without a "---" in front, JSON indented by two. `namespace`: of
 * the object that it is; NULL: of none. 0, -ENOMEM or -EIO. */
int node_print(const struct node *node, const char *namespace, bool json, FILE *out);

#endif
