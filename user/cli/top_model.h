/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_TOP_MODEL_H
#define WEFT_CLI_TOP_MODEL_H
/*
 * What `weft top` shows, made of weftd's answers to `traffic`: rates are the differences of two.
 * Pure.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "weft/traffic.h"

enum top_view { TOP_SERVICES, TOP_WORKLOADS, TOP_EDGES, TOP_VIEWS };

enum top_column {
	TOP_NAME,
	TOP_RATE,   /* requests/s */
	TOP_ERRORS, /* share of those that were answered by 5xx or not at all */
	TOP_P50,    /* ms */
	TOP_P99,
	TOP_TCP_OPENED, /* connections without requests/s */
	TOP_TCP_BYTES,	/* of them, bytes/s in both directions */
	TOP_COLUMNS,
};

enum { TOP_HISTORY = 20, TOP_SMOOTH = 5 };

/* What has happened between two answers. */
struct top_sample {
	double rate, errors, opened, bytes; /* of a second */
	double requests, failed;	    /* as many as there were */
	double buckets[TRAFFIC_BUCKETS];
};

/* Rates are of the last TOP_SMOOTH intervals, errors and times of the last TOP_HISTORY. */
struct top_row {
	char *name; /* owned */
	struct top_sample history[TOP_HISTORY];
	double value[TOP_COLUMNS]; /* but for TOP_NAME; NAN: nothing was counted */
	double requests_total;	   /* since weft counts */
	unsigned long long seen;   /* the interval in which weftd told of it last */
};

struct top_model {
	struct {
		struct top_row *items; /* as top_model_sort() has ordered them */
		size_t count, room;
	} rows[TOP_VIEWS];
	struct top_row all;	      /* of everything */
	json_t *before;		      /* totals of the last answer, by row */
	double time;		      /* of it, s; 0: there was none */
	unsigned long long intervals; /* answers that there were */
	const char *namespace;	      /* either end is in it; NULL: any. Borrowed. */
};

extern const char *const top_view_names[TOP_VIEWS];
extern const char *const top_column_names[TOP_COLUMNS];

/* Zero-initialise; free with top_model_free(). 0, or -ENOMEM, or -EINVAL: it is no such answer. */
int top_model_add(struct top_model *m, const json_t *traffic);
/* By a column, the largest first (TOP_NAME: in the order of the alphabet), the other way round if
 * `reverse`. */
void top_model_sort(struct top_model *m, enum top_view view, enum top_column by, bool reverse);
void top_model_free(struct top_model *m);

/* A share (0..1) of a histogram's values are below it, in ms; NAN if it has none. */
double top_quantile(const double buckets[TRAFFIC_BUCKETS], double share);
/* "12.3", "1.2k", "4.5M"; "-" for NAN. Returns `out`. */
enum { TOP_NUMBER = 24 };
char *top_number(double value, char out[TOP_NUMBER]);
/* A column's value as it is shown: with its unit. Likewise. */
char *top_cell(const struct top_row *r, enum top_column c, char out[TOP_NUMBER]);
/* The last `width` (TOP_HISTORY at most) rates as bars, UTF-8 or ASCII. `out` has room for three
 * bytes each and a NUL. */
void top_sparkline(const struct top_row *r, unsigned width, bool utf8, char *out);

#endif
