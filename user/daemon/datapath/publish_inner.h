/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_PUBLISH_INNER_H
#define WEFT_DAEMON_DATAPATH_PUBLISH_INNER_H
/*
 * One table of a generation: an inner map and what it holds.
 */
#include "daemon/bpf/loader.h"
#include "daemon/datapath/publish_rows.h"

struct inner {
	int fd; /* -1: none */
	struct rows rows;
	size_t room;  /* entries that the map can have */
	__u64 serial; /* which one it is, of all that this weftd has made */
};

void inner_init(struct inner *i);
void inner_free(struct inner *i);
/* Makes a map with room for `room` entries (at least one), and fills it with i->rows. 0 or -errno
 * after having logged. */
int inner_make(struct inner *i, const struct loader *l, enum map_id map, size_t room);
/* Puts it into a slot of its outer map, and waits until no program uses what it replaces. 0 or
 * -errno, without logging. An outer map of an earlier version of weft may want one of another kind:
 * then it is made again, and l->inner says how. */
int inner_put(struct inner *i, struct loader *l, enum map_id map, __u32 slot);

#endif
