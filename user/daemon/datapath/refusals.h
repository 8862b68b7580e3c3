/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_REFUSALS_H
#define WEFT_DAEMON_DATAPATH_REFUSALS_H
/*
 * Connections that the programs have refused, one by one (weft/event.h). What is not taken stays
 * until there is no room any more: then nothing is written, until it is taken.
 */
#include "daemon/datapath/datapath.h"
#include "weft/event.h"

struct refusals;

/* Calls each() for every one that is taken. 0 or -errno. */
int refusals_open(struct kernel *k, void (*each)(void *arg, const struct refusal_event *e),
		  void *arg, struct refusals **out);
/* Takes those that are there: as many as there is room for, but no more, even if they keep coming.
 */
void refusals_take(struct refusals *r);
/* Takes them likewise, and tells of none. */
void refusals_drop(struct refusals *r);
void refusals_close(struct refusals *r); /* accepts NULL */

#endif
