/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SUPERVISOR_PROXY_START_H
#define WEFT_DAEMON_SUPERVISOR_PROXY_START_H
/*
 * Starting the process weft-proxy.
 */
#include <sys/types.h>

#include "daemon/supervisor/supervisor.h"

struct proxy_start {
	const struct supervisor_options *options;
	const char *program;  /* proxy_find() */
	const char *identity; /* what hello is to answer */
	const int *listeners;
	int slot;
	int control;  /* listening */
	int held;     /* a file of its slot */
	int messages; /* its stderr */
};

/* The weft-proxy that belongs to this weftd: beside it, or in ../libexec/weft. 0, or -errno after
 * having logged. */
int proxy_find(char **out);

/* Into *pidfd. The process id, or -errno after having logged. */
pid_t proxy_start(const struct proxy_start *p, int *pidfd);

#endif
