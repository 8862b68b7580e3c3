/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_BLOCKS_H
#define WEFT_DAEMON_API_METRICS_BLOCKS_H
/*
 * Series of requests as they were packed the last time: most have counted nothing since, and are
 * put again as they are. Once it was packed, one takes 3 KiB for that.
 */
#include "daemon/api/metrics_series.h"
#include "lib/base/table.h"

struct metrics_block;

/* Zero-initialise; free with metrics_blocks_free(). */
struct metrics_blocks {
	TABLE(struct metrics_block) of[METRICS_SERIES_FAMILIES]; /* by series */
	uint64_t drops; /* the series' when these were made: they have others' labels since */
};

/* As metrics_series_write(). */
int metrics_blocks_write(struct metrics_blocks *b, struct metrics_out *out, unsigned family,
			 const struct metrics_series *s, const struct metrics_numbers *n, size_t i);
void metrics_blocks_free(struct metrics_blocks *b);

#endif
