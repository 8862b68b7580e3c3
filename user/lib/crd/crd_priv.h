/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_CRD_CRD_PRIV_H
#define WEFT_LIB_CRD_CRD_PRIV_H
/*
 * The structural schema of a message, in YAML.
 */
#include <stdio.h>

#include "lib/schema/schema.h"

/* The lines below the key of what the message describes, by `indent` blanks. */
void crd_print_message(const struct message *m, int indent, FILE *out);

#endif
