/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_STATS_GAUGES_H
#define WEFT_DAEMON_API_STATS_GAUGES_H
/*
 * What follows from other statistics of a cluster and from its limits, under Envoy's names.
 */
#include <jansson.h>

#include "lib/compile/compile.h"

/*
 * Adds membership_healthy and circuit_breakers.default.{cx,rq,rq_pending}_open (1: the limit is
 * reached, nothing more is let in) to {NAME: value}. `t` may be NULL. 0 or -ENOMEM.
 */
int stats_add_gauges(json_t *stats, const struct tables *t);

#endif
