/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_STATS_H
#define WEFT_DAEMON_DATAPATH_STATS_H
/*
 * All statistics, one by one. What both the kernel and the proxy count under one name is one
 * statistic with the sum. Names and meanings are Envoy's.
 */
#include <stdbool.h>
#include <stddef.h>

#include "daemon/datapath/datapath.h"

struct statistic {
	const char *of;	     /* "cluster", "endpoint", "route", "weft.reason", "weft.guard", ... */
	const char *owner;   /* which one */
	const char *cluster; /* of a route: the destination that it is about; or NULL */
	const char *name;    /* "upstream_cx_total"; NULL: a reason has no more than its own */
	bool gauge;
	__u64 value;
	const struct histogram *histogram; /* in place of `value`, unless NULL */
};

enum {
	/* Room for a route's and a cluster's name and what is around them. */
	STATISTIC_NAME_MAX = ROUTE_NAME_MAX + CLUSTER_NAME_MAX + 64,
};

/* Calls each() for every one; `tables` may be NULL. Its non-zero answer ends the walk and is
 * returned; -errno. */
int stats_each(struct kernel *k, const struct tables *tables,
	       int (*each)(void *arg, const struct statistic *s), void *arg);

/* "cluster.outbound|9000|v1|tcp-echo.default.svc.cluster.local.upstream_cx_total" */
void statistic_name(const struct statistic *s, char out[STATISTIC_NAME_MAX]);

#endif
