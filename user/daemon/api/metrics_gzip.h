/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_GZIP_H
#define WEFT_DAEMON_API_METRICS_GZIP_H
/*
 * gzip (RFC 1952, 1951) of lines that are much like the one before: a line of /metrics has 800
 * bytes of labels, of which its neighbour has all. Only that one is looked at, and a part that both
 * have is not looked at at all; what was packed before can be put again as it is.
 */
#include "daemon/api/metrics_gzip_tables.h"
#include "lib/base/buffer.h"

/* The line before, from which the next one copies. */
struct metrics_gzip_last {
	const struct metrics_name *name; /* NULL: it was plain text */
	const char *head;		 /* the name, or all of plain text; borrowed */
	size_t head_len;
	const char *labels; /* whose text nothing else has; "": none */
	size_t labels_len;
	unsigned end;
	size_t len;
};

/* What labels of one length do to a CRC before them, by each four bits of that. */
struct metrics_gzip_shift {
	size_t len; /* 0: of none yet */
	uint32_t by[8][16];
};

enum {
	METRICS_GZIP_SHIFTS = 16,
	METRICS_GZIP_TURNS = 4, /* a histogram has three */
	METRICS_GZIP_TURN_CODES = METRICS_NAME_ROOM / 3,
};

/* How a name follows another one, or itself: its beginning is the same, the rest is put. A code has
 * 15 bits at most, so that 3 are in each of `rest`. */
struct metrics_gzip_turn {
	const struct metrics_name *from, *to;
	size_t same;
	struct gzip_codes rest[METRICS_GZIP_TURN_CODES];
};

/* Where codes are put. */
struct metrics_gzip_bits {
	const struct gzip_tables *tables;
	char *at;      /* in a buffer that has room */
	uint64_t bits; /* that do not make a byte yet, the first one lowest */
	unsigned count;
};

struct metrics_gzip_number {
	struct metrics_number is;
	struct gzip_codes codes[METRICS_NUMBER_ROOM / 8];
	unsigned count;
	uint32_t crc;
};

/* Zero-initialise; free with metrics_gzip_free(). */
struct metrics_gzip {
	struct buffer out; /* what has been packed: the caller's to take and to empty */
	enum metrics_format format;
	struct metrics_gzip_last last;
	struct buffer kept; /* a copy of its head, if it was plain text, between two calls */
	struct metrics_gzip_number number; /* the last line's */
	struct metrics_gzip_turn turns[METRICS_GZIP_TURNS];
	struct metrics_gzip_bits bits;
	uint32_t crc, size; /* of what was packed */
	struct metrics_gzip_shift shifts[METRICS_GZIP_SHIFTS];
};

/* Lines that were packed, to be put again as they are behind the line that they were behind.
 * Zero-initialise; free with metrics_gzip_block_free(). */
struct metrics_gzip_block {
	enum metrics_format format;
	struct metrics_gzip_last before, after;
	uint64_t *bits; /* 56 in each but the last; owned */
	size_t count, room;
	unsigned last_bits; /* in that; 0: there is no block */
	uint32_t size;	    /* of the lines */
	uint32_t crc_before, crc_after;
	uint32_t crc_op; /* crc32_combine_gen() of the size, once it was needed; 0: not yet */
};

/* Where one begins. */
struct metrics_gzip_mark {
	struct metrics_gzip_last before;
	size_t at;
	unsigned bit;
	uint32_t crc, size;
};

/* All return 0 or -ENOMEM. The tables are borrowed. */
int metrics_gzip_begin(struct metrics_gzip *g, const struct gzip_tables *t,
		       enum metrics_format format);
/* Whole lines of any kind. */
int metrics_gzip_text(struct metrics_gzip *g, const char *lines, size_t size);
int metrics_gzip_line(struct metrics_gzip *g, const struct metrics_line *line);
int metrics_gzip_end(struct metrics_gzip *g);
struct metrics_gzip_mark metrics_gzip_mark(const struct metrics_gzip *g);
/* What was packed since, of which nothing has been taken. It becomes no block without memory, or if
 * there is plain text before it or at its end. */
void metrics_gzip_keep(const struct metrics_gzip *g, const struct metrics_gzip_mark *m,
		       struct metrics_gzip_block *out);
/* 1: it can't be put here. The names and labels that it was made with are still there. */
int metrics_gzip_again(struct metrics_gzip *g, struct metrics_gzip_block *b);
void metrics_gzip_block_free(struct metrics_gzip_block *b);
void metrics_gzip_free(struct metrics_gzip *g);

#endif
