/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_COUNTERS_H
#define WEFT_DAEMON_DATAPATH_COUNTERS_H
/*
 * The counter maps: entries are made here and nowhere else, so a set in memory knows which there
 * are, and a small change of rules costs a few system calls even with 100,000 entries.
 */
#include <stdbool.h>

#include "lib/tables/tables.h"
#include "lib/route/snapshot.h"
#include "lib/base/id_set.h"
#include "daemon/bpf/loader.h"

/* The entries of one map. */
struct counter_ids {
	struct ids known;    /* those that there are */
	struct ids vanished; /* those among them that no rule named at the last check */
	/* A snapshot of `vanished` that is being worked off from its end. What has left `vanished`
	 * meanwhile is in use again. */
	uint64_t *due;
	size_t due_count;
};

enum counter_kind { COUNT_DESTS, COUNT_ROUTES, COUNT_CLUSTERS, COUNT_ENDPOINTS, COUNT_KINDS };

/* Which entries exist. Zero-initialise; free with counters_free(). */
struct counters {
	struct counter_ids ids[COUNT_KINDS];
	enum counter_kind forgetting; /* counters_forget() goes from one to the next ... */
	bool listed;		      /* ... and has made the list of this one */
};

/* How many rows the HTTP part of `t` has of one of its tables, whose names and ids live as long as
 * those of the kernel's. */
static inline __u32 http_rows(const struct tables *t, enum hs_table table)
{
	return t->http ? hs_count(t->http, table) : 0;
}

int counters_open(struct counters *c, const struct loader *l);
void counters_free(struct counters *c);
/* Makes the entries that `t` needs and that are missing, each with its name. `http`: those of its
 * HTTP part, too; else they are there, but for endpoints of t->touched. Safe to call in parallel
 * with each other. */
int counters_add_clusters(struct counters *c, const struct loader *l, const struct tables *t,
			  bool http);
int counters_add_endpoints(struct counters *c, const struct loader *l, const struct tables *t,
			   bool http);
/* Those of t->touched; the others' are there. */
int counters_add_touched(struct counters *c, const struct loader *l, const struct tables *t);
/* Those from row `l4` of t->routes, and from row `http` of HS_ACTIONS on; the others' are there. */
int counters_add_routes(struct counters *c, const struct loader *l, const struct tables *t,
			size_t l4, __u32 http);
int counters_add_dests(struct counters *c, const struct loader *l, const struct tables *t);
/* A destination's number in `dests` of struct counters. */
uint64_t counters_dest_id(const struct dest_key *k);
/*
 * Deletes what `t` didn't name the last time either, unless it still counts open connections. Stops
 * after some 20 ms. See kernel_forget() for what it returns.
 */
int counters_forget(struct counters *c, struct loader *l, const struct tables *t);

#endif
