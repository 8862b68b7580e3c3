/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_YAML_PRINT_H
#define WEFT_LIB_YAML_PRINT_H
/*
 * Objects as text again: as they were given, without comments, in the order of the original, no
 * default invented; a namespace that was said beside the document (-n) is added. What is printed
 * loads again as the same object.
 */
#include <stdio.h>

#include "lib/model/model.h"

/* The object as one document: YAML without a "---" in front, JSON indented by two. 0, -ENOMEM or
 * -EIO. */
int object_print(const struct object *o, bool json, FILE *out);

#endif
