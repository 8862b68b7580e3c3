/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_TRACING_ENDPOINT_H
#define WEFT_DAEMON_TRACING_ENDPOINT_H
/*
 * Where spans go: the URL of a collector's OTLP/HTTP.
 */
#include <stdbool.h>

enum { ENDPOINT_MAX = 1024 };

struct endpoint {
	char url[ENDPOINT_MAX]; /* with its path: /v1/traces, where none is given */
	/* The Service that its host names, as "NAME.NAMESPACE" and whatever follows ".svc"; empty:
	 * it names none. */
	char service[64], namespace[64];
};

/* http://HOST[:PORT][/PATH] or https://. 0 or -EINVAL. */
int endpoint_parse(const char *url, struct endpoint *out);

#endif
