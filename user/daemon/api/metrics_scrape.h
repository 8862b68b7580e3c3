/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_SCRAPE_H
#define WEFT_DAEMON_API_METRICS_SCRAPE_H
/*
 * One answer of /metrics: numbers that were read at one time, and the text that is made of them as
 * it is sent, so that no more of it is in memory than is being sent. In the thread of /metrics
 * alone.
 */
#include <sys/types.h>

#include "daemon/api/metrics_exchange.h"
#include "daemon/api/metrics_series.h"

/* What all answers have in common. */
struct metrics_source;

/* `kernel` and the exchange are borrowed. NULL: no memory. */
struct metrics_source *metrics_source_new(struct kernel *kernel, struct metrics_exchange *x,
					  size_t series_max);
void metrics_source_free(struct metrics_source *s); /* accepts NULL */

struct metrics_scrape;

/* Reads the numbers. 0 or -ENOMEM. */
int metrics_scrape_new(struct metrics_source *s, enum metrics_format format, bool gzip,
		       struct metrics_scrape **out);
/* The next bytes, at most so many: how many; 0: that was all; -ENOMEM. */
ssize_t metrics_scrape_read(struct metrics_scrape *s, char *out, size_t max);
void metrics_scrape_free(struct metrics_scrape *s); /* accepts NULL */

#endif
