/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_PROCESS_OPTIONS_H
#define WEFT_PROXY_PROCESS_OPTIONS_H

#include "lib/base/log.h"
#include "proxy/process/proxy.h"
#include "proxy/request/http_worker.h"

struct proxy_options {
	int listeners[PROXY_MAX_WORKERS]; /* descriptors, one per worker */
	size_t listener_count;
	const char *snapshot;		/* file to begin with, or NULL */
	const char *credentials;	/* likewise, lib/wire/credentials.h */
	int control;			/* listening descriptor, or -1 */
	int limits;			/* of the map, or -1 */
	int cluster_stats, route_stats; /* likewise */
	int listener_stats;		/* likewise */
	int traffic;			/* likewise */
	const char *identity;		/* told to weftd */
	int held;			/* descriptor of a struct proxy_held, or -1 */
	unsigned slot;
	bool sandbox;
	unsigned uid, gid; /* of the sandbox */
	enum log_level log_level;
	struct worker_options worker;
};

/* 0: go on. Else the program ends with *status: help, version, or wrong usage. */
int proxy_options_parse(int argc, char **argv, struct proxy_options *o, int *status);

#endif
