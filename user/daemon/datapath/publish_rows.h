/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_PUBLISH_ROWS_H
#define WEFT_DAEMON_DATAPATH_PUBLISH_ROWS_H
/*
 * A compiled table as the two arrays that a batch update of a BPF map takes. Pure.
 */
#include "lib/tables/tables.h"
#include "daemon/bpf/loader.h"

/* Zero-initialise; free with rows_free(). Borrows from the tables. */
struct rows {
	const void *keys; /* NULL: of an array, where they are indexes */
	const void *values;
	size_t count;
	void *own_keys, *own_values;
};

/* `map` is one of MAP_GEN_*. 0 or -ENOMEM. */
int rows_open(struct rows *r, const struct tables *t, enum map_id map);
void rows_free(struct rows *r);
/* Whether a map of the one serves the other; false for those of callers. */
bool rows_same(const struct tables *a, const struct tables *b, enum map_id map);

#endif
