/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MANIFEST_MANIFEST_H
#define WEFT_LIB_MANIFEST_MANIFEST_H
/*
 * All that a cluster is given to run weft, as YAML that people can read.
 */
#include <stdio.h>

#include "lib/manifest/values.h"

/* Every object of a manifest has this label: what has it and is in no manifest any more is weft's
 * to delete. */
#define MANIFEST_LABEL "app.kubernetes.io/managed-by"
#define MANIFEST_LABEL_VALUE "weft"
#define MANIFEST_NAMESPACE "weft-system"
#define MANIFEST_GATEWAY_NAMESPACE "istio-system"
#define MANIFEST_DAEMON_SET "weft"

/* Errors are those of `out`. */
void manifest_generate(const struct values *v, FILE *out);

#endif
