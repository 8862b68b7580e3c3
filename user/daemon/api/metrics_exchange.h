/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_EXCHANGE_H
#define WEFT_DAEMON_API_METRICS_EXCHANGE_H
/*
 * What the thread of /metrics has of the event loop's: it asks, and goes on without an answer that
 * does not come soon. Neither waits for the other to format or read anything.
 */
#include "daemon/api/metrics_own.h"
#include "daemon/datapath/traffic.h"
#include "lib/base/bytemap.h"
#include "lib/base/table.h"

enum { METRICS_ASK_MAX = 8192 }; /* names in one answer: more are asked for the next time */

struct metrics_exchange;

/* Zero-initialise. */
struct metrics_ids {
	TABLE(__u32) list;
};

/* Zero-initialise; free with metrics_names_free(). */
struct metrics_names {
	struct bytemap by_id; /* -> the name; NULL: there is none. It and the id are owned. */
};
void metrics_names_free(struct metrics_names *n);
/* Whether it was asked for; *name as before. Id 0 has none. */
bool metrics_name(struct metrics_names *n, __u32 id, const char **name);

/* Whose names are wanted. */
struct metrics_question {
	struct metrics_ids peers, clusters;
	uint64_t sums_known; /* serial of the last sum that needs no names any more */
};

/* What was told last: the thread's, but between metrics_ask() and its answer. */
struct metrics_told {
	struct metrics_names peers, clusters; /* that were asked for, and those of sums */
	struct metrics_samples samples;
	struct tcp_sum *sums; /* as traffic_tcp() has them; owned */
	size_t sum_count;
	bool has_sums; /* false: there was no memory for them */
	pid_t proxy;
	__u32 last_cluster; /* the highest id of one */
};

/* In the event loop, by what `d` has, which is borrowed like the loop. 0 or -errno. */
int metrics_exchange_open(struct event_loop *loop, struct weftd *d, struct metrics_exchange **out);
/* Once the thread has ended. Accepts NULL. */
void metrics_exchange_close(struct metrics_exchange *x);

/* In the thread. Asks what `q` says, and for all that is told each time. True: *told is the answer,
 * valid until the next call. False: there was none in time; *told is what was told the last time.
 */
bool metrics_ask(struct metrics_exchange *x, const struct metrics_question *q,
		 struct metrics_told **told);

#endif
