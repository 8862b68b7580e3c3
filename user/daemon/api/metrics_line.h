/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_LINE_H
#define WEFT_DAEMON_API_METRICS_LINE_H
/*
 * A line of /metrics that tells of traffic, in parts which many lines share, so that each is looked
 * at once: a name, labels, an end, a number.
 *
 *     istio_request_bytes_bucket{  reporter="source",...  ,le="0.5"}   12
 *
 * The CRC of a part is gzip's (RFC 1952, 8) of its bytes alone: begun at 0, and not inverted.
 */
#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/traffic.h"

enum metrics_format { METRICS_TEXT, METRICS_OPENMETRICS };

enum { METRICS_NAME_ROOM = 64, METRICS_NUMBER_ROOM = 24 };

/* With the bracket behind it. */
struct metrics_name {
	char text[METRICS_NAME_ROOM];
	size_t len;
	uint32_t crc;
};
/* Together they have METRICS_NAME_ROOM - 2 bytes at most: what is more is cut off. */
struct metrics_name metrics_name_of(const char *family, const char *suffix);

/* What stands between the brackets; not empty. */
struct metrics_labels {
	const char *text; /* terminated; whose it is says where they are */
	size_t len;
	uint32_t crc, crc_op; /* crc_op: zlib's crc32_combine_gen() of its length */
};
struct metrics_labels metrics_labels_of(const char *text, size_t len);

/* From the labels to the number: of each bucket, then of what is none. */
enum { METRICS_END = TRAFFIC_BUCKETS, METRICS_ENDS };
const char *metrics_end(enum metrics_format format, unsigned end);
/* What those of buckets begin with. */
#define METRICS_BUCKET_BEGINS ",le=\""

/* Decimal digits, a point among them maybe, and the line's newline. */
struct metrics_number {
	char room[METRICS_NUMBER_ROOM]; /* the text is the last of it; before that it is 0 */
	size_t len;
};
static inline const char *metrics_number_text(const struct metrics_number *n)
{
	return n->room + METRICS_NUMBER_ROOM - n->len;
}
struct metrics_number metrics_number_of(uint64_t n);
/* n / 1000 */
struct metrics_number metrics_number_of_thousandths(uint64_t n);

/* What it points to is borrowed; the name and the text of the labels stay where they are as long as
 * lines follow. */
struct metrics_line {
	const struct metrics_name *name;
	struct metrics_labels labels;
	unsigned end;
	const struct metrics_number *number;
};

uint32_t metrics_crc(const char *bytes, size_t len);

#endif
