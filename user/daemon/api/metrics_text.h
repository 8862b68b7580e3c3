/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_TEXT_H
#define WEFT_DAEMON_API_METRICS_TEXT_H
/*
 * What Prometheus reads, line by line: its text format 0.0.4, or OpenMetrics 1.0. Functions that
 * write append, and return 0 or -ENOMEM.
 */
#include <stdbool.h>

#include "daemon/api/metrics_gzip.h"

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

/* ,name="value" with what must be escaped, escaped; without the comma where nothing is in `out`. */
int metrics_label(struct buffer *out, const char *name, const char *value);

/* Where lines go. Zero-initialise; `text` is freed by who has it. */
struct metrics_out {
	enum metrics_format format;
	struct buffer text;	   /* what has been written, unless that is packed */
	struct metrics_gzip *gzip; /* packs it; borrowed; NULL: text is asked for */
};

/* # HELP, # TYPE, # UNIT */
int metrics_begin(struct metrics_out *out, const struct metrics_family *f);
/* One line. `suffix`: of the name, "_total" of a counter, "" of a gauge; labels as they are between
 * the brackets, or "". */
int metrics_float(struct metrics_out *out, const struct metrics_family *f, const char *suffix,
		  const char *labels, double value);
int metrics_int(struct metrics_out *out, const struct metrics_name *name,
		const struct metrics_labels *labels, uint64_t value);

/* The names of a histogram's lines. */
enum metrics_part { METRICS_BUCKET, METRICS_SUM, METRICS_COUNT, METRICS_PARTS };
/* All its lines, of one of traffic.h: its buckets added up, +Inf, sum, count. `is_us`: it is of
 * microseconds, and milliseconds are told. */
int metrics_histogram(struct metrics_out *out, const struct metrics_name names[METRICS_PARTS],
		      const struct metrics_labels *labels, const struct traffic_histogram *h,
		      bool is_us);
/* What comes last of all. */
int metrics_finish(struct metrics_out *out);

#endif
