/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_SERIES_H
#define WEFT_DAEMON_API_METRICS_SERIES_H
/*
 * Istio's standard metrics of the rows of traffic: what has equal labels is one, for each reporter
 * of its own. A row that has got its series has it as long as it is that row; once there are as
 * many series as there may be, new rows go to ones that say "unknown" and what the response was,
 * and stay there. What a row has counted that is another's now stays in its series until the last
 * row of that goes: so a counter never becomes less, but may go, and begin at 0 when it comes back.
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
	struct metrics_labels *labels; /* of each; their text is owned */
	bool *folded; /* of each whether it is of what found no series of its own */
	size_t count, room;
	struct bytemap by_labels; /* -> index + 1 */
};

struct metrics_requests {
	__u64 requests;
	struct traffic_histogram duration, request_bytes, response_bytes; /* as http_traffic's */
};

/* The numbers of all series at one time. Zero-initialise. */
struct metrics_numbers {
	struct metrics_requests *http; /* of each of s->http */
	struct tcp_traffic *tcp;
	size_t http_count, tcp_count, http_room, tcp_room;
};

/* Of a family, or of its parts if it is a histogram. */
struct metrics_series_names {
	struct metrics_name of[METRICS_PARTS];
};

enum { METRICS_SERIES_FAMILIES = 8 };

struct metrics_series {
	struct metrics_series_names names[METRICS_SERIES_FAMILIES];
	size_t max;	 /* time series that there may be, without those of folded rows */
	size_t made;	 /* of those */
	uint64_t folded; /* labels that were folded */
	uint64_t drops;	 /* how often metrics_series_drop() moved them */
	struct bytemap folded_labels; /* them; owned */
	struct metrics_set http, tcp;
	struct metrics_numbers past; /* of rows that are others' now; of as many series as it has */
};

void metrics_series_init(struct metrics_series *s, size_t max);
void metrics_series_free(struct metrics_series *s);

/* Where a row counts. 0 or -ENOMEM. */
int metrics_series_place(struct metrics_series *s, const struct traffic *t,
			 struct metrics_places *out);

/* A row that counted there has become another's: what it had counted, as it was told last, stays. 0
 * or -ENOMEM. */
int metrics_series_leave_http(struct metrics_series *s, const struct metrics_places *places,
			      const struct http_traffic *row);
int metrics_series_leave_tcp(struct metrics_series *s, const struct metrics_places *places,
			     const struct tcp_traffic *row);

/* Places of before and after: [index + 1] -> index + 1, or 0 for what has gone. */
struct metrics_moves {
	unsigned *http, *tcp;
};
/* Moves that leave nothing where it is, for marking what is in use: any number but 0. 0 or
 * -ENOMEM. */
int metrics_moves_new(struct metrics_moves *m, const struct metrics_series *s);
void metrics_moves_free(struct metrics_moves *m);
void metrics_moves_use(struct metrics_moves *m, const struct metrics_places *places, bool http);
void metrics_moves_apply(const struct metrics_moves *m, struct metrics_places *places, bool http);
/* Drops the series that are not in use, and says in `m` where the others are now. Numbers that were
 * made before are not of these series any more. */
void metrics_series_drop(struct metrics_series *s, struct metrics_moves *m);

/* Whatever it has becomes that of all series that there are, with nothing but what rows had counted
 * that are others' now. 0 or -ENOMEM. */
int metrics_numbers_begin(struct metrics_numbers *n, const struct metrics_series *s);
void metrics_numbers_free(struct metrics_numbers *n);
void metrics_numbers_add_http(struct metrics_numbers *n, const struct metrics_places *places,
			      const struct http_traffic *row);
void metrics_numbers_add_tcp(struct metrics_numbers *n, const struct metrics_places *places,
			     const struct tcp_traffic *row);

/* One of METRICS_SERIES_FAMILIES. */
const struct metrics_family *metrics_series_family(unsigned family);
/* How many label sets a family has. */
size_t metrics_series_count(unsigned family, const struct metrics_numbers *n);
/* What the lines of one of them tell: so many bytes, of a __u64 or a struct traffic_histogram.
 * NULL: the family is not of requests. */
const void *metrics_series_value(unsigned family, const struct metrics_numbers *n, size_t i,
				 size_t *size);
/* Writes the lines of one of them. 0 or -ENOMEM. Names and labels are these series': they stay
 * where they are until metrics_series_drop(). */
int metrics_series_write(struct metrics_out *out, unsigned family, const struct metrics_series *s,
			 const struct metrics_numbers *n, size_t i);

#endif
