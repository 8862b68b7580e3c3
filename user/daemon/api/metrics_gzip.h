/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_GZIP_H
#define WEFT_DAEMON_API_METRICS_GZIP_H
/*
 * gzip (RFC 1952, 1951) of lines that are much like the one before: a line of /metrics has 800
 * bytes of labels, of which its neighbour has all. Only that one is looked at, which takes a tenth
 * of zlib's time and makes nearly as little of it.
 */
#include <stdint.h>

#include "lib/base/buffer.h"

enum { GZIP_SYMBOLS = 288 };

/* Zero-initialise; free with metrics_gzip_free(). */
struct metrics_gzip {
	struct buffer out; /* what has been packed: the caller's to take and to empty */
	const char *last;  /* the line before */
	size_t last_len;
	struct buffer kept; /* a copy of it, between two calls */
	uint64_t bits;	    /* that do not make a byte yet, the first one lowest */
	unsigned bit_count;
	uint32_t crc, size; /* of what was packed */
	uint16_t codes[GZIP_SYMBOLS];
	uint8_t code_bits[GZIP_SYMBOLS];
	/* What lines begin with, one after another, and what its CRC does to that before it. */
	size_t head;
	uint32_t head_crc, head_op;
};

/* All return 0 or -ENOMEM. Lines are whole ones. */
int metrics_gzip_begin(struct metrics_gzip *g);
int metrics_gzip_add(struct metrics_gzip *g, const char *lines, size_t size);
int metrics_gzip_end(struct metrics_gzip *g);
void metrics_gzip_free(struct metrics_gzip *g);

#endif
