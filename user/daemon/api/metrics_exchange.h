/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_EXCHANGE_H
#define WEFT_DAEMON_API_METRICS_EXCHANGE_H
/*
 * What the thread of /metrics has of the event loop's: it asks, and goes on without an answer that
 * does not come soon. Neither waits for the other to format or read anything.
 */
#include "daemon/api/metrics_own.h"
#include "daemon/datapath/traffic.h"

enum { METRICS_ASK_MAX = 8192 }; /* ids in one question: more are asked for the next time */

struct metrics_exchange;

/* Ids whose names are wanted, and those names: the registry's, for good; NULL: there is none. */
struct metrics_ids {
	__u32 ids[METRICS_ASK_MAX];
	const char *names[METRICS_ASK_MAX];
	size_t count;
};

/* What is asked, and what was told last: the thread's, but between metrics_ask() and its answer. */
struct metrics_told {
	struct metrics_ids peers, clusters;
	struct metrics_samples samples;
	struct tcp_sum *sums; /* as traffic_tcp() has them; owned */
	size_t sum_count;
	pid_t proxy;
};

/* In the event loop, by what `d` has, which is borrowed like the loop. 0 or -errno. */
int metrics_exchange_open(struct event_loop *loop, struct weftd *d, struct metrics_exchange **out);
/* Once the thread has ended. Accepts NULL. */
void metrics_exchange_close(struct metrics_exchange *x);

/* In the thread. Asks for the names of `peers` and `clusters`, and for all that is told each time.
 * True: *told is the answer, valid until the next call. False: there was none in time; *told is
 * what was told the last time, and ids that it has names of were asked for then. */
bool metrics_ask(struct metrics_exchange *x, const struct metrics_ids *peers,
		 const struct metrics_ids *clusters, const struct metrics_told **told);

#endif
