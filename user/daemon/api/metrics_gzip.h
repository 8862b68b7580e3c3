/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_GZIP_H
#define WEFT_DAEMON_API_METRICS_GZIP_H
/*
 * gzip (RFC 1952, 1951) of lines that are much like the one before: a line of /metrics has 800
 * bytes of labels, of which its neighbour has all. Only that one is looked at, which takes a tenth
 * of zlib's time and makes nearly as little of it; and labels that both are told to have are not
 * looked at again.
 */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/api/metrics_text.h"

enum { GZIP_SYMBOLS = 288 };

/* A line, or the one before: what stands in front of its labels, and behind them. Borrowed. */
struct metrics_gzip_line {
	const char *before, *after;
	size_t before_len, after_len;
	struct metrics_labels labels; /* len 0: none */
};

/* What lines begin with, labels and all, one after another. */
struct metrics_gzip_head {
	bool is;	       /* the last line's */
	uint32_t crc;	       /* of it */
	uint32_t shift[8][16]; /* what it does to a CRC before it, by each four bits of that */
};

/* Zero-initialise; free with metrics_gzip_free(). */
struct metrics_gzip {
	struct buffer out; /* what has been packed: the caller's to take and to empty */
	struct metrics_gzip_line last;
	struct buffer kept; /* a copy of it but for its labels, between two calls */
	uint64_t bits;	    /* that do not make a byte yet, the first one lowest */
	unsigned bit_count;
	uint32_t crc, size; /* of what was packed */
	uint16_t codes[GZIP_SYMBOLS];
	uint8_t code_bits[GZIP_SYMBOLS];
	struct metrics_gzip_head head;
	uint32_t crc_tables[4][256];
};

/* All return 0 or -ENOMEM. */
int metrics_gzip_begin(struct metrics_gzip *g);
/* Lines are whole ones. `labels` are packed for the METRICS_MARK of each, of which it has one at
 * most; their text stays as it is until a line was given with others. NULL: there are no marks. */
int metrics_gzip_add(struct metrics_gzip *g, const char *lines, size_t size,
		     const struct metrics_labels *labels);
int metrics_gzip_end(struct metrics_gzip *g);
void metrics_gzip_free(struct metrics_gzip *g);

#endif
