/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_GZIP_TABLES_H
#define WEFT_DAEMON_API_METRICS_GZIP_TABLES_H
/*
 * What all that metrics_gzip.h packs has in common: the codes (RFC 1951, 3.2.2: the first bit of
 * one is its highest), and what bytes do to gzip's CRC.
 */
#include "daemon/api/metrics_line.h"

enum {
	GZIP_LENGTH_MIN = 3, /* of a match, in the format */
	GZIP_LENGTH_MAX = 258,
	GZIP_LITERALS = 286, /* bytes, the end of the block, lengths */
	GZIP_END_OF_BLOCK = 256,
	GZIP_DISTANCES = 30,
	GZIP_BITS_AT_ONCE = 56, /* that are put */
	GZIP_END_CODES = 3,	/* what an end takes at most */
	GZIP_CRC_AHEAD = METRICS_NAME_ROOM,
};
_Static_assert(2 * METRICS_NUMBER_ROOM <= GZIP_CRC_AHEAD, "an end and a number are within it");
_Static_assert(METRICS_NUMBER_ROOM % 8 == 0, "a number is looked at by eight bytes");

struct gzip_code {
	uint32_t bits; /* the first one lowest */
	unsigned count;
};

/* Some in a row: GZIP_BITS_AT_ONCE at most. */
struct gzip_codes {
	uint64_t bits;
	unsigned count;
};

static inline struct gzip_codes gzip_append(struct gzip_codes to, uint64_t bits, unsigned count)
{
	return (struct gzip_codes){ to.bits | bits << to.count, to.count + count };
}

/* An end of a line: all of it, and without what those of buckets begin with. */
struct gzip_end {
	struct gzip_codes all[GZIP_END_CODES], rest[GZIP_END_CODES];
	size_t len;
	uint32_t crc_before[METRICS_NUMBER_ROOM + 1]; /* its own, behind which so many bytes are */
};

/* 78 KiB. */
struct gzip_tables {
	struct gzip_code literals[GZIP_LITERALS], distances[GZIP_DISTANCES];
	struct gzip_code lengths[GZIP_LENGTH_MAX + 1]; /* with what follows the code */
	struct gzip_code digits[128]; /* what numbers are made of, and 0 before them: nothing */
	struct gzip_end ends[2][METRICS_ENDS];
	uint32_t crc_ahead[GZIP_CRC_AHEAD][256]; /* [n][byte]: what it does that n bytes follow */
};

struct gzip_tables *gzip_tables_new(void); /* NULL: no memory. To be freed by free() */

/* 1 to 32768, with what follows the code. */
struct gzip_code gzip_distance(const struct gzip_tables *t, size_t distance);
/* Of as much of the text as fits. Returns how much that was. */
size_t gzip_literals(const struct gzip_tables *t, const char *text, size_t len,
		     struct gzip_codes *out);
/* Of all of it, which fits into so many; those behind it are empty. */
void gzip_all_literals(const struct gzip_tables *t, const char *text, size_t len,
		       struct gzip_codes *out, int max);
/* A code as the header has it: the other way round. */
uint32_t gzip_reversed(uint32_t code, unsigned count);

/* What becomes of a CRC behind so many bytes, GZIP_CRC_AHEAD at most, but for what they do
 * themselves. */
static inline uint32_t gzip_crc_behind(const struct gzip_tables *t, uint32_t crc, size_t n)
{
	if (n < 4) {
		for (; n; n--)
			crc = crc >> 8 ^ t->crc_ahead[0][crc & 255];
		return crc;
	}
	return t->crc_ahead[n - 1][crc & 255] ^ t->crc_ahead[n - 2][crc >> 8 & 255] ^
	       t->crc_ahead[n - 3][crc >> 16 & 255] ^ t->crc_ahead[n - 4][crc >> 24];
}

#endif
