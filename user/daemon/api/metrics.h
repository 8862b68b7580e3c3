/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_METRICS_H
#define WEFT_DAEMON_API_METRICS_H
/*
 * --metrics: what Prometheus scrapes, at /metrics and, as of ztunnel and Istio's sidecars, at
 * /stats/prometheus. A thread of its own answers: a scrape and the event loop do not wait for each
 * other, but that a scrape asks the loop for a short while what only that knows.
 */
#include <stdbool.h>
#include <stddef.h>

#include "daemon/api/handlers.h"

enum { METRICS_SERIES_DEFAULT = 100000, METRICS_SERIES_MAX = 10000000 };

struct metrics;

struct metrics_options {
	struct event_loop *loop; /* borrowed until metrics_close(), like the next */
	struct weftd *weftd;
	int fd;		   /* of metrics_listen(): it is metrics_open()'s, which closes it */
	size_t series_max; /* time series of traffic */
};

/* Whether it is "off" or where one may listen. */
bool metrics_address_valid(const char *address);
/* ADDRESS:PORT, [ADDRESS]:PORT, :PORT. What comes waits until metrics_open(). A descriptor or
 * -errno, without logging. */
int metrics_listen(const char *address);
/* 0 or -errno, without logging. */
int metrics_open(const struct metrics_options *o, struct metrics **out);
void metrics_close(struct metrics *m); /* accepts NULL */

#endif
