/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_PUBLISH_H
#define WEFT_DAEMON_DATAPATH_PUBLISH_H
/*
 * Making a generation live.
 *
 * A table that is as it was serves the next generation, too: its inner map stays in the slots that
 * it is in. Who calls (gen_sources, gen_selected) is no part of a generation, as what their ids
 * mean never changes: while the selectors of the rules are the same, one map of each serves all
 * generations and is changed in place, row by row. Nor is which endpoints a cluster has: where the
 * tables only add to those last written (TABLES_ENDPOINTS), their rows are added to gen_endpoints
 * and the clusters' ranges are changed in place. A row is never used again while its map is.
 */
#include "lib/tables/tables.h"
#include "daemon/datapath/callers.h"
#include "daemon/datapath/counters.h"
#include "daemon/datapath/publish_inner.h"
#include "daemon/bpf/loader.h"

/* The tables last written. */
struct published {
	struct tables *tables; /* NULL: none by this weftd. Objects they point to may be gone. */
	struct inner table[MAP_MAX];
	struct callers callers;
	bool identified; /* the node has been told of them, not only of an earlier weftd's */
	/* The serial of the map that is in a slot; 0: unknown. */
	__u64 held[GENERATION_SLOTS][MAP_MAX];
	__u64 serial;	  /* of the map that was made last */
	__u64 waited;	  /* the generation in force when programs were last waited for */
	__u64 written_ms; /* when, CLOCK_MONOTONIC */
	__u64 freed_ms;	  /* when rows were last taken out of a map in place */
	bool untidy;	  /* older generations are still in memory */
	__u64 anywhere[ANYWHERE_WORDS]; /* what is in that map, once `tables` are there */
};

void published_init(struct published *p);
void published_free(struct published *p);

/* The generation in force; 0 if none. */
__u64 publish_current(const struct loader *l);
/*
 * Makes missing counters, fills fresh inner maps in the next generation's slot where tables have
 * changed, brings the callers up to date, then writes the generation: a new one, unless only
 * callers and endpoints have changed and weft-proxy was told of neither. Then endpoints change.
 * When something fails the generation in force is untouched. `change`: from p->callers to those of
 * `t`, or nothing where both have the same sources; the caller brings p->callers up to date.
 * Returns 0 or -errno, and logs.
 */
int publish_tables(struct published *p, struct loader *l, struct counters *c, struct tables *t,
		   const struct callers_change *change);
/* Frees the tables of the generations before the one in force, once that has been there long enough
 * that no program uses them. */
void publish_tidy(struct published *p, struct loader *l);
/* A table of the generation in force: its descriptor, to be closed by the caller, or -errno;
 * -ENOENT if none. */
int publish_open_table(const struct loader *l, enum map_id outer);

#endif
