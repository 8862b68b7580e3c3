/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_CRD_CRD_H
#define WEFT_LIB_CRD_CRD_H
/*
 * What the API server has to know of Istio's kinds and of weft's own: the CustomResourceDefinition
 * that follows from the kind's field table (lib/schema). It refuses a typo at `kubectl apply`; what
 * it has no words for is left to weft.
 */
#include <stdio.h>

#include "lib/model/kinds.h"

/* The kinds that have one, in the order of a manifest. */
extern const enum kind crd_kinds[];
extern const size_t crd_kind_count;

/* The CustomResourceDefinition as a YAML document, without "---". `labels`: lines of
 * metadata.labels, each with its four blanks and its newline. Errors are those of `out`. */
void crd_print(enum kind kind, const char *labels, FILE *out);

#endif
