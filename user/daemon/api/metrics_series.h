/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_SERIES_H
#define WEFT_DAEMON_API_METRICS_SERIES_H
/*
 * Istio's standard metrics of the rows of traffic: what has equal labels is one, for each reporter
 * of its own. A row that has got its series has it for good; once there are as many series as there
 * may be, new rows go to ones that say "unknown" and what the response was, and stay there: so no
 * counter ever becomes less.
 */
#include "daemon/api/metrics_text.h"
#include "daemon/datapath/traffic.h"
#include "lib/base/bytemap.h"

enum { METRICS_REPORTERS = 2 };

/* Which ones a row counts in: index + 1; 0: not that reporter. */
struct metrics_places {
	unsigned at[METRICS_REPORTERS];
};

struct metrics_set {
	char **labels; /* of each, between the brackets; owned */
	size_t count, room;
	struct bytemap by_labels; /* -> index + 1 */
};

struct metrics_series {
	size_t max;	 /* time series that there may be, without those of folded rows */
	size_t made;	 /* of those */
	uint64_t folded; /* labels that were folded */
	struct bytemap folded_labels; /* them; owned */
	struct metrics_set http, tcp;
};

void metrics_series_init(struct metrics_series *s, size_t max);
void metrics_series_free(struct metrics_series *s);

/* Where a row counts. 0 or -ENOMEM. */
int metrics_series_place(struct metrics_series *s, const struct traffic *t,
			 struct metrics_places *out);

/* The numbers of all series at one time. Zero-initialise. */
struct metrics_numbers {
	struct http_traffic *http; /* of each of s->http; the key is not in use */
	struct tcp_traffic *tcp;
	size_t http_count, tcp_count;
};

/* Zeros for all series that there are. 0 or -ENOMEM. */
int metrics_numbers_new(struct metrics_numbers *n, const struct metrics_series *s);
void metrics_numbers_free(struct metrics_numbers *n);
void metrics_numbers_add_http(struct metrics_numbers *n, const struct metrics_places *places,
			      const struct http_traffic *row);
void metrics_numbers_add_tcp(struct metrics_numbers *n, const struct metrics_places *places,
			     const struct tcp_traffic *row);

/* Families are numbered from 0; false: there is no such. */
bool metrics_series_family(unsigned family, const struct metrics_family **out);
/* How many label sets a family has. */
size_t metrics_series_count(unsigned family, const struct metrics_numbers *n);
/* Appends the lines of one of them. 0 or -ENOMEM. */
int metrics_series_write(struct buffer *out, enum metrics_format format, unsigned family,
			 const struct metrics_series *s, const struct metrics_numbers *n, size_t i);

#endif
