/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_TCP_LEDGER_H
#define WEFT_DAEMON_DATAPATH_TCP_LEDGER_H
/*
 * What connections have counted, by who they were of. A row of `tcp_traffic` is of addresses, which
 * go from one pod to another, and is gone some time after its pod: what it has counted since it was
 * looked at last is put down to the workloads that have its addresses now, and stays there. An
 * address that nobody has any more is still that of the pod that had it, and connections that were
 * open when another pod got it end as those of the one before.
 *
 * Who a row that is found at the start was of is not known: it counts from then on, and as opened
 * the connections that are open then.
 */
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytemap.h"
#include "lib/base/id_set.h"
#include "weft/traffic.h"

enum { TCP_SUMS_MAX = 16384 }; /* the one for what found no sum aside */

/* It is a hash key without holes. */
struct tcp_who {
	__u32 source, destination; /* peers; 0: not known */
	__u32 cluster;		   /* 0: not known */
	__u32 reporters;	   /* bits of enum traffic_reporters */
};

struct tcp_sum {
	struct tcp_who who;
	uint64_t serial;     /* above that of all sums before: one that goes never comes back */
	uint64_t changed_ms; /* when anything was put down last, of clock_ms() */
	struct tcp_traffic count;
};

struct ledger_row;

/* Zero-initialise. */
struct tcp_ledger {
	struct bytemap rows;	/* struct tcp_traffic_key -> struct ledger_row */
	struct bytemap by_who;	/* struct tcp_who -> struct tcp_sum */
	struct tcp_sum *listed; /* all of them in one piece, as tcp_ledger_list() gives them */
	size_t room;		/* of that */
	size_t listed_count;
	uint64_t serial; /* of the sum that came last */
	uint64_t round;	 /* of updates */
	uint64_t now_ms; /* of that round */
	size_t gone;	 /* rows that were not there in the last one */
};

/* Who a row is of. */
typedef struct tcp_who (*tcp_name_fn)(void *arg, const struct tcp_traffic_key *key);

/* A row that is there at the start: what is open is as if it opened then, and nothing else was. 0
 * or -ENOMEM. */
int tcp_ledger_found(struct tcp_ledger *l, const struct tcp_traffic_key *key,
		     const struct tcp_traffic *now);
void tcp_ledger_begin(struct tcp_ledger *l, uint64_t now_ms);
/* A row as it is now. name() is only asked where it has counted anything since, and either it is
 * new or `version` is not the one of last time. 0 or -ENOMEM. */
int tcp_ledger_take(struct tcp_ledger *l, const struct tcp_traffic_key *key,
		    const struct tcp_traffic *now, uint64_t version, tcp_name_fn name, void *arg);
/* All rows that there are have been taken: one of a key that was not among them begins at 0. 0 or
 * -ENOMEM. */
int tcp_ledger_end(struct tcp_ledger *l);
/* Rows of the last round. */
size_t tcp_ledger_rows(const struct tcp_ledger *l);
/* What has been put down, in the order of serials. Valid until the next call of another function
 * than this one. */
const struct tcp_sum *tcp_ledger_list(const struct tcp_ledger *l, size_t *count);
/*
 * Forgets sums: those to which nothing has been put down for IDLE_GONE_MS (idle.h), of which no
 * connection is open and one of whose peers is gone; and where there are too many those that have
 * been idle for longest, IDLE_SHORT_MS at least. 0 or -ENOMEM.
 */
int tcp_ledger_forget(struct tcp_ledger *l, uint64_t now_ms, bool (*is_gone)(void *arg, __u32 peer),
		      void *arg);
/* Adds the peers of all sums. 0 or -ENOMEM. */
int tcp_ledger_peers(const struct tcp_ledger *l, struct ids *out);
void tcp_ledger_free(struct tcp_ledger *l);

#endif
