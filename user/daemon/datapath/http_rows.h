/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_HTTP_ROWS_H
#define WEFT_DAEMON_DATAPATH_HTTP_ROWS_H
/*
 * The rows of `http_traffic` (weft/traffic.h), which weft-proxies take: those in which nothing has
 * been counted for long are made free again.
 */
#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/id_set.h"
#include "weft/traffic.h"

/* Rows of one caller, from which on those that are idle make room: before weft-proxy has to tell
 * codes apart by class. */
enum { HTTP_ROWS_OF_CALLER = TRAFFIC_CALLER_ROWS / 16 * 15 };

/* What a row was like. */
struct http_row_seen {
	uint64_t counted;  /* all that it has ever counted */
	uint64_t since_ms; /* it has not changed; 0: it was not looked at yet */
	__u32 epoch;
	bool leaving; /* it was so the last time, or was made so then */
};

/* Zero-initialise; free with http_rows_free(). */
struct http_rows {
	struct http_row_seen *seen; /* TRAFFIC_HTTP_ROWS of them, or NULL */
};

void http_rows_free(struct http_rows *h);
/*
 * A round, to be called some times in IDLE_SHORT_MS: `count` rows from the first one on, row 0
 * among them, as they are in memory. What was TRAFFIC_LEAVING in the last round is made free. Then
 * those leave that have been idle for IDLE_GONE_MS, whose caller or endpoint is gone, and of which
 * no connection is open; and where there are too many, or too many of one caller, those that have
 * been idle for longest, IDLE_SHORT_MS at least. How many rows were made free, or -ENOMEM.
 */
int http_rows_round(struct http_rows *h, struct http_traffic *rows, __u32 count, uint64_t now_ms,
		    bool (*is_gone)(void *arg, __u32 peer), void *arg);
/* Adds the peers of rows that are, or may be, told of. 0 or -ENOMEM. */
int http_rows_peers(const struct http_traffic *rows, __u32 count, struct ids *out);

#endif
