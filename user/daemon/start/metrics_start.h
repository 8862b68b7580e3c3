/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_START_METRICS_START_H
#define WEFT_DAEMON_START_METRICS_START_H
/*
 * --metrics: its port is taken before anything is attached, so that a weftd that does not get it
 * ends without having disturbed anything. One of a cluster (--source kubernetes) goes on without
 * it, and tries again every 10 s.
 */
#include "daemon/api/metrics.h"
#include "daemon/start/options.h"

struct metrics_start;

/* Listens, where it is told to; *out stays NULL where not. The options and the loop are borrowed.
 * 0 or -errno after having logged. */
int metrics_start_open(const struct options *o, struct event_loop *loop,
		       struct metrics_start **out);
/* Answers from now on, by what `d` has, which is borrowed. Accepts NULL. 0 or -errno after having
 * logged. */
int metrics_start_serve(struct metrics_start *m, struct weftd *d);
void metrics_start_close(struct metrics_start *m); /* accepts NULL */

#endif
