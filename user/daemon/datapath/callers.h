/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_CALLERS_H
#define WEFT_DAEMON_DATAPATH_CALLERS_H
/*
 * The pods that rules know as callers, as the kernel has them, and what the next tables change of
 * them. Pure. Functions return 0 or -ENOMEM.
 */
#include "daemon/netlink/addr_set.h"
#include "lib/base/table.h"
#include "lib/tables/tables.h"

struct caller {
	struct addr addr;
	struct source value;
	__u32 member; /* 1: of the mesh */
};

/* In the order of the tables' sources. Zero-initialise. */
struct callers {
	TABLE(struct caller) rows;
};

/* Zero-initialise. */
struct callers_change {
	size_t same;		       /* rows at the beginning that stay as they are */
	TABLE(struct caller) fresh;    /* at addresses that had none: `came` */
	TABLE(struct caller) replaced; /* at addresses that had another ... */
	TABLE(struct caller) before;   /* ... which was this. Parallel. */
	struct addr_list came, gone;
	struct addr_list joined, left; /* the mesh; of all the above, too */
};

/* `all`: membership is not looked at, every pod is in the mesh. */
int callers_compare(const struct callers *old, const struct tables *t, bool all,
		    struct callers_change *out);
/* Makes room for callers_take(). */
int callers_reserve(struct callers *c, const struct tables *t);
/* Gives back the room that its rows do not need. 0 or -ENOMEM. */
int callers_shrink(struct callers *c);
/* `change` is from `c` to `t`. */
void callers_take(struct callers *c, const struct tables *t, bool all,
		  const struct callers_change *change);
void callers_free(struct callers *c);
void callers_change_free(struct callers_change *c);

#endif
