/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_TRACING_OTLP_H
#define WEFT_DAEMON_TRACING_OTLP_H
/*
 * Spans as OTLP/HTTP has them in JSON (ExportTraceServiceRequest), with the names and attributes of
 * Istio's sidecars, whose tracer is Envoy's.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "daemon/tracing/names.h"

/* A line of weft-proxy's (proxy/log/trace_line.h), which is not trusted, looked at. */
struct otlp_line {
	json_t *line;	/* owned; NULL: there are no spans in it */
	unsigned spans; /* 1 or 2 */
	/* Who has made them, the caller's first; without a span nothing is set. */
	struct names_end client, server;
};

/* 0; -EBADMSG: it is no such line, and nothing is to be freed. */
int otlp_line_read(const char *text, size_t size, struct otlp_line *out);
void otlp_line_free(struct otlp_line *l);

/* One request for all of them, grouped by who has made them. The text is the caller's; NULL when
 * out of memory. */
char *otlp_write(const struct otlp_line *lines, size_t count);

#endif
