/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_OWN_H
#define WEFT_DAEMON_API_METRICS_OWN_H
/*
 * What weft tells of itself: sums by kind, as everything else is in `weft stats`.
 */
#include "daemon/api/handlers.h"
#include "daemon/api/metrics_text.h"

struct metrics_sample {
	const struct metrics_family *family;
	const char *suffix; /* of the name */
	char labels[128];
	double value;
};

/* Those of one family are side by side. */
struct metrics_samples {
	struct metrics_sample *items;
	size_t count, room;
};

void metrics_samples_free(struct metrics_samples *s);

/* What belongs to the event loop, for it to tell, and whether it is ready. 0 or -ENOMEM; what can't
 * be told is left out. */
int metrics_own_loop(const struct weftd *d, bool is_ready, struct metrics_samples *out);
/* What any thread can tell: processes (pid 0: weft-proxy does not run), maps, what weft-proxy
 * counts. `rows`: of http_traffic that are taken; `last_cluster`: the highest id. Likewise. */
int metrics_own_processes(pid_t proxy, struct metrics_samples *out);
int metrics_own_maps(const struct kernel *k, size_t rows, struct metrics_samples *out);
int metrics_own_requests(struct kernel *k, __u32 last_cluster, struct metrics_samples *out);

/* What metrics.c tells of itself. */
struct metrics_self {
	uint64_t scrapes, late; /* late: without what the loop knows, which had other work */
	uint64_t folded, series;
	double seconds; /* of the last scrape, to put it together */
};
int metrics_own_self(const struct metrics_self *self, struct metrics_samples *out);

/* Appends all of them. 0 or -ENOMEM. */
int metrics_samples_write(struct metrics_out *out, const struct metrics_samples *s);

#endif
