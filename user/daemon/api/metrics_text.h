/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_TEXT_H
#define WEFT_DAEMON_API_METRICS_TEXT_H
/*
 * What Prometheus reads, line by line: its text format 0.0.4, or OpenMetrics 1.0. Functions that
 * write append, and return 0 or -ENOMEM.
 */
#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buffer.h"
#include "weft/traffic.h"

enum metrics_format { METRICS_TEXT, METRICS_OPENMETRICS };

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM, METRICS_SUMMARY };

struct metrics_family {
	const char *name; /* of a counter without "_total" */
	const char *unit; /* that the name ends in, "bytes"; NULL: it has none */
	const char *help;
	enum metrics_type type;
};

const char *metrics_content_type(enum metrics_format format);
/* The one of the two that an Accept header prefers; NULL: there is no such header. */
enum metrics_format metrics_accepted(const char *accept);
/* Whether an Accept-Encoding header, or NULL, takes gzip. */
bool metrics_takes_gzip(const char *accept_encoding);

/* What many lines have between their brackets. */
struct metrics_labels {
	const char *text; /* terminated; whose it is says where they are */
	size_t len;
	uint32_t crc, crc_op; /* zlib's crc32() of it, and crc32_combine_gen() of its length */
};
/* Given for labels: these are put there only when the text is sent. No line that is given with
 * labels has it otherwise. */
#define METRICS_MARK "\1"

/* ,name="value" with what must be escaped, escaped; without the comma where nothing is in `out`. */
int metrics_label(struct buffer *out, const char *name, const char *value);

/* # HELP, # TYPE, # UNIT */
int metrics_begin(struct buffer *out, enum metrics_format format, const struct metrics_family *f);
/* One line. `suffix`: of the name, "_total" of a counter, "" of a gauge; labels as they are between
 * the brackets, or "". */
int metrics_int(struct buffer *out, const struct metrics_family *f, const char *suffix,
		const char *labels, uint64_t value);
int metrics_float(struct buffer *out, const struct metrics_family *f, const char *suffix,
		  const char *labels, double value);
/* All lines of a histogram of traffic.h: its buckets added up, +Inf, sum, count. `scale`: what its
 * sum is to be divided by. */
int metrics_histogram(struct buffer *out, enum metrics_format format,
		      const struct metrics_family *f, const char *labels,
		      const struct traffic_histogram *h, unsigned scale);
/* What comes last of all. */
int metrics_end(struct buffer *out, enum metrics_format format);

#endif
