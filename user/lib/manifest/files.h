/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MANIFEST_FILES_H
#define WEFT_LIB_MANIFEST_FILES_H
/*
 * The files of share/weft that a manifest has, too, as they are: dashboards of Grafana (JSON, one
 * line each) and rules of Prometheus.
 */
#include <stddef.h>

struct manifest_file {
	const char *name; /* "weft-mesh.json" */
	const char *text;
};

extern const struct manifest_file manifest_dashboards[];
extern const size_t manifest_dashboard_count;

/* `groups:` and what is below it; begins with a comment. */
extern const char manifest_rules_file[];

#endif
