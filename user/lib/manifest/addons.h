/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MANIFEST_ADDONS_H
#define WEFT_LIB_MANIFEST_ADDONS_H
/*
 * What a cluster is given to watch weft by, as far as the values ask for it: a Prometheus, a
 * Grafana with weft's dashboards, and alert rules for the Prometheus operator.
 */
#include <stdio.h>

#include "lib/manifest/values.h"

/* Errors are those of `out`. */
void addons_print(const struct values *v, FILE *out);

#endif
