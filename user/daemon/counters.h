/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COUNTERS_H
#define WEFT_COUNTERS_H
/*
 * The counter maps: entries are made here and nowhere else, so a set in memory knows which there
 * are, and a small change of rules costs a few system calls even with 100,000 entries.
 */
#include "compile.h"
#include "kernel_ids.h"
#include "loader.h"

/* Which entries exist. Zero-initialise; free with counters_free(). */
struct counters {
	struct ids clusters, endpoints, routes, dests;
};

int counters_open(struct counters *c, const struct loader *l);
void counters_free(struct counters *c);
/* Makes the entries that `t` needs and that are missing, each with its name. Safe to call in
 * parallel with each other. */
int counters_add_clusters(struct counters *c, const struct loader *l, const struct tables *t);
int counters_add_endpoints(struct counters *c, const struct loader *l, const struct tables *t);
int counters_add_routes(struct counters *c, const struct loader *l, const struct tables *t);
int counters_add_dests(struct counters *c, const struct loader *l, const struct tables *t);
/* A destination's number in `dests` of struct counters. */
uint64_t counters_dest_id(const struct dest_key *k);
/* Deletes what `t` doesn't name, unless it still counts open connections. */
int counters_forget(struct counters *c, const struct loader *l, const struct tables *t);

#endif
