/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_TRACING_TRACING_H
#define WEFT_DAEMON_TRACING_TRACING_H
/*
 * --tracing-endpoint: spans on their way from weft-proxy to a collector. weft-proxy writes a line
 * for each request to RUN_DIR/spans, a FIFO; a thread of its own reads them, asks the loop for the
 * names of who has made them (names.h), and sends them by OTLP/HTTP (otlp.h): up to 512 at once,
 * and after a second what there is. Nothing waits for a collector: while one is slow, or gone,
 * TRACING_QUEUE lines wait, and what comes then is dropped and counted.
 */
#include <stdint.h>

#include "daemon/loop/event.h"
#include "lib/base/collector.h"

enum { TRACING_QUEUE = 2048 };

struct engine;
struct tracing;

/* Spans. Of those that weft-proxy has lost the number of requests is known. */
struct tracing_counts {
	uint64_t sent;
	uint64_t overflow;  /* no room was left, here or in weft-proxy */
	uint64_t collector; /* the collector was not reached, or has refused them twice */
	uint64_t rejected;  /* it says that it has not taken them (partialSuccess) */
};

/* For weft-proxy's spans; 0 or -errno, after having logged. No other thread may have begun yet. The
 * first is copied, the loop borrowed. */
int tracing_open(const struct collector *to, const char *run_dir, struct event_loop *loop,
		 struct tracing **out);
/* Where weft-proxy is to write them, until tracing_close(); -1 for NULL. Nothing here reads from
 * this description: what weft-proxy sets on it, such as blocking, is its own affair. */
int tracing_fd(const struct tracing *t);
/* Begins to send. The engine is borrowed. 0 or -errno. Does nothing for NULL. */
int tracing_begin(struct tracing *t, const struct engine *engine);
/* Since the start. From any thread. */
struct tracing_counts tracing_counts(const struct tracing *t);
/* The engine may have gone, if the loop has not run since: only the loop asks it. What is in the
 * FIFO waits for the next weftd. Accepts NULL. */
void tracing_close(struct tracing *t);
/* This weftd tells no spans: nothing is left of those that another one has not sent. */
void tracing_forget(const char *run_dir);

#endif
