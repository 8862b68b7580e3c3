/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_COLLECTOR_H
#define WEFT_LIB_BASE_COLLECTOR_H
/*
 * Where spans go: the URL of a collector's OTLP/HTTP.
 */
#include <stdbool.h>

enum { COLLECTOR_URL_MAX = 1024 };

struct collector {
	char url[COLLECTOR_URL_MAX]; /* with its path: /v1/traces, where none is given */
	/* The Service that its host names, as "NAME.NAMESPACE" and whatever follows ".svc"; empty:
	 * it names none. */
	char service[64], namespace[64];
};

/* http://HOST[:PORT][/PATH] or https://. 0 or -EINVAL. */
int collector_parse(const char *url, struct collector *out);

#endif
