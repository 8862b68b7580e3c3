/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_PUBLISH_H
#define WEFT_DAEMON_DATAPATH_PUBLISH_H
/*
 * Making a generation live.
 */
#include "lib/tables/tables.h"
#include "daemon/datapath/counters.h"
#include "daemon/bpf/loader.h"
#include "daemon/datapath/publish_rows.h"

/* The tables last written: one that has not changed serves the next generation as well. */
struct published {
	struct {
		int fd; /* -1: none */
		struct rows rows;
	} table[MAP_MAX];
	__u64 written_ms; /* when, CLOCK_MONOTONIC */
	bool untidy;	  /* older generations are still in memory */
};

void published_init(struct published *p);
void published_free(struct published *p);

/* The generation in force; 0 if none. */
__u64 publish_current(const struct loader *l);
/*
 * Makes missing counters, fills fresh inner maps in the next generation's slot, then writes the
 * generation. When something fails the generation in force is untouched. Returns 0 or -errno, and
 * logs.
 */
int publish_tables(struct published *p, const struct loader *l, struct counters *c,
		   const struct tables *t);
/* Frees the generations before the one in force, once it has been there long enough that no program
 * uses them. */
void publish_tidy(struct published *p, const struct loader *l);
/* A table of the generation in force: its descriptor, to be closed by the caller, or -errno;
 * -ENOENT if none. */
int publish_open_table(const struct loader *l, enum map_id outer);

#endif
