/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_PUBLISH_INNER_H
#define WEFT_DAEMON_DATAPATH_PUBLISH_INNER_H
/*
 * One table of a generation: an inner map.
 */
#include "daemon/bpf/loader.h"
#include "daemon/datapath/publish_rows.h"

struct inner {
	int fd;	      /* -1: none */
	size_t room;  /* entries that the map can have */
	__u64 serial; /* which one it is, of all that this weftd has made */
	char *at;     /* an array that is changed in place: its memory, shared; else NULL */
	size_t mapped;
};

/* What a map is to be. */
struct inner_wanted {
	struct rows rows;
	size_t room;   /* entries, at least one */
	bool in_place; /* it will be changed: an array stays mapped, if it can be */
};
void inner_wanted_free(struct inner_wanted *w);

void inner_init(struct inner *i);
void inner_free(struct inner *i);
/* Makes the map, fills it, and puts it into a slot as inner_put() does. An outer map of an earlier
 * version of weft may want one of another kind: then it is made again, and l->inner says how. 0 or
 * -errno after having logged. */
int inner_make(struct inner *i, struct loader *l, enum map_id map, __u32 slot,
	       const struct inner_wanted *wanted);
/* Puts it into a slot of its outer map, and waits until no program uses what it replaces. 0 or
 * -errno after having logged. */
int inner_put(const struct inner *i, const struct loader *l, enum map_id map, __u32 slot);
/* Of a map that is mapped. Rows that no program reads yet. */
void inner_write(struct inner *i, const struct inner_layout *in, size_t first, const void *values,
		 size_t count);
/* The aligned word at that place of a row, after all that was written before. */
void inner_store(struct inner *i, const struct inner_layout *in, size_t row, size_t offset,
		 __u64 word);

#endif
