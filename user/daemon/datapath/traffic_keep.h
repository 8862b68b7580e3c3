/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_TRAFFIC_KEEP_H
#define WEFT_DAEMON_DATAPATH_TRAFFIC_KEEP_H
/*
 * What is kept of who talks to whom does not grow with the workloads that there have ever been:
 * rows of `http_traffic`, what tcp_ledger.h has put down, and then names of peers that neither
 * those nor the rules in force have any more are given back, some time after they were of use.
 */
#include "daemon/datapath/http_rows.h"

struct kernel;

/* Zero-initialise. */
struct traffic_keep {
	uint64_t due_ms; /* of clock_ms() */
	struct http_rows rows;
};

/* Puts what `tcp_traffic` has at the start into the ledger. 0, or -errno after having logged. */
int traffic_keep_open(struct kernel *k);
void traffic_keep_free(struct traffic_keep *t);
/* To be called every second or so: does what is due. Logs. */
void traffic_keep(struct kernel *k);

#endif
