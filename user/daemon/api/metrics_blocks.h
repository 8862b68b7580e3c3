/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_BLOCKS_H
#define WEFT_DAEMON_API_METRICS_BLOCKS_H
/*
 * What was packed of series the last time: most of them have counted nothing since, and are put
 * again as they are. 1 KiB a series of requests.
 */
#include "daemon/api/metrics_series.h"

struct metrics_block;

/* Zero-initialise. */
struct metrics_blocks {
	TABLE(struct metrics_block) of[METRICS_SERIES_FAMILIES]; /* by series */
};

/* As metrics_series_write(). */
int metrics_blocks_write(struct metrics_blocks *b, struct metrics_out *out, unsigned family,
			 const struct metrics_series *s, const struct metrics_numbers *n, size_t i);
/* Before metrics_series_drop(), which moves them; frees all of it. */
void metrics_blocks_forget(struct metrics_blocks *b);

#endif
