/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_TCP_LEDGER_H
#define WEFT_DAEMON_DATAPATH_TCP_LEDGER_H
/*
 * What connections have counted, by who they were of. A row of `tcp_traffic` is of addresses, which
 * go from one pod to another, and is gone some time after its pod: what it has counted since it was
 * looked at last is put down to the workloads that have its addresses now, and stays there.
 */
#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytemap.h"
#include "weft/traffic.h"

/* Names are borrowed for as long as the ledger lives: equal ones are one pointer. */
struct tcp_names {
	const char *source, *destination; /* peers (lib/mesh/peer.h); NULL: not known */
	const char *cluster;		  /* NULL: not known */
};

struct tcp_sum {
	struct tcp_names names;
	/* Bits of enum traffic_reporters; of equal names they may differ. */
	uint64_t reporters;
	struct tcp_traffic count;
};

struct ledger_row;

/* Zero-initialise. */
struct tcp_ledger {
	struct bytemap rows;	 /* struct tcp_traffic_key -> struct ledger_row */
	struct bytemap by_names; /* what leads a struct tcp_sum -> its index + 1 */
	struct tcp_sum **sums;
	size_t count, room;
	struct tcp_sum *listed; /* all of them in one piece, as tcp_ledger_list() gives them */
	uint64_t round;		/* of updates */
	size_t gone;		/* rows that were not there in the last one */
};

/* Who a row is of: fills in *names, and returns the reporters. */
typedef uint64_t (*tcp_name_fn)(void *arg, const struct tcp_traffic_key *key,
				struct tcp_names *names);

void tcp_ledger_begin(struct tcp_ledger *l);
/* A row as it is now. name() is only asked where it has counted anything since, and either it is
 * new or `version` is not the one of last time. 0 or -ENOMEM. */
int tcp_ledger_take(struct tcp_ledger *l, const struct tcp_traffic_key *key,
		    const struct tcp_traffic *now, uint64_t version, tcp_name_fn name, void *arg);
/* All rows that there are have been taken: one of a key that was not among them begins at 0. 0 or
 * -ENOMEM. */
int tcp_ledger_end(struct tcp_ledger *l);
/* Rows of the last round. */
size_t tcp_ledger_rows(const struct tcp_ledger *l);
/* What has been put down, in the order in which it came up. Valid until the next round. */
const struct tcp_sum *tcp_ledger_list(const struct tcp_ledger *l, size_t *count);
void tcp_ledger_free(struct tcp_ledger *l);

#endif
