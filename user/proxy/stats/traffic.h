/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_STATS_TRAFFIC_H
#define WEFT_PROXY_STATS_TRAFFIC_H
/*
 * The rows of `http_traffic` (weft/traffic.h), in a map that outlives the process, or in its own
 * memory; and what a worker has counted of them since it wrote there last. Counting takes no lock,
 * allocates nothing and touches no memory of others: a worker adds its counts to the rows up to
 * 20 times a second. Weft-proxies that drain take rows at the same time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/types.h>

#include "weft/traffic.h"

struct traffic_rows;   /* of all workers */
struct traffic_counts; /* one worker's */

enum { TRAFFIC_WRITE_MS = 50 }; /* counts are to be written after so long */

/* The map's descriptor stays the caller's; -1: memory. 0 or -errno. */
int traffic_rows_open(int fd, struct traffic_rows **out);
void traffic_rows_close(struct traffic_rows *r); /* accepts NULL; no worker has counts of them */
/* The row of that key, and where the key has no cluster of that host; taken if need be. Of a caller
 * that has very many it is that of the code's class (200, 500), without a status of gRPC. The
 * shared row when all are taken, or too many by that caller. *epoch, which may be NULL: in which it
 * is that key's; weftd may take it back. Takes a lock. */
struct http_traffic *traffic_row(struct traffic_rows *r, const struct http_traffic_key *key,
				 const char *host, size_t len, uint32_t *epoch);

/* NULL: no memory. */
struct traffic_counts *traffic_counts_new(struct traffic_rows *r);
/* Writes what there is. Accepts NULL. */
void traffic_counts_free(struct traffic_counts *c);

/* What is to be counted; `host` counts where the key has no cluster, and is cut to its room. */
struct traffic_sample {
	struct http_traffic_key key;
	const char *host;
	size_t host_len;
	uint64_t requests, closed;		/* connections: opened */
	uint64_t duration_us;			/* of a request */
	uint64_t request_bytes, response_bytes; /* of its bodies, or of a connection */
};

/* One request, whatever `requests` says, or what is new of a connection (key.is_tcp), which is not
 * counted where there is no row left for it. */
void traffic_count(struct traffic_counts *c, const struct traffic_sample *s);
/* Whether something has been counted that is not written yet. */
bool traffic_counts_wait(const struct traffic_counts *c);
void traffic_counts_write(struct traffic_counts *c);
/* Makes room for other kinds of requests when there is little left: from time to time, and not
 * while something waits to be written. `now_ms`: of a clock that does not go back, not 0. */
void traffic_counts_tidy(struct traffic_counts *c, uint64_t now_ms);

#endif
