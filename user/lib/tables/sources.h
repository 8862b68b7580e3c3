/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_TABLES_SOURCES_H
#define WEFT_LIB_TABLES_SOURCES_H
/*
 * What rules ask about the pods that call: their sourceLabels are selectors, and a workload stands
 * for all pods that the same selectors hold for, so that a pod which changes is one row of
 * `sources`. What an id means never changes.
 */
#include "lib/tables/registry.h"
#include "lib/tables/tables.h"

/* The workload of what all those selectors hold for, and no other: 0 if there are none. Puts them
 * in order. 0 or -ENOMEM. */
int workload_of(struct registry *r, __u32 *selectors, size_t count, __u32 *workload);
/* That of a pod with those labels, by the selectors of `t`. 0 or -ENOMEM. */
int workload_of_labels(struct registry *r, const struct tables *t, const struct kvs *labels,
		       __u32 *workload);
/* Makes t->selected anew, for the workloads of t->sources. Ordered. 0 or -ENOMEM. */
int selected_write(struct registry *r, struct tables *t);

#endif
