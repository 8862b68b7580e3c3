/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PUBLISH_H
#define WEFT_PUBLISH_H
/*
 * Making a generation live.
 */
#include "compile.h"
#include "counters.h"
#include "loader.h"

/* The generation in force; 0 if none. */
__u64 publish_current(const struct loader *l);
/*
 * Makes missing counters, fills fresh inner maps in the next generation's slot, then writes the generation. When
 * something fails the generation in force is untouched. Returns 0 or -errno, and logs.
 */
int publish_tables(const struct loader *l, struct counters *c, const struct tables *t);
/* A table of the generation in force: its descriptor, to be closed by the caller, or -errno; -ENOENT if none. */
int publish_open_table(const struct loader *l, enum map_id outer);

#endif
