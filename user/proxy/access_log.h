/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_ACCESS_LOG_H
#define WEFT_ACCESS_LOG_H
/*
 * One line per request in Envoy's default format. May be called by several threads.
 */
#include "worker.h"

struct access_log {
	int fd; /* not owned */
};

/* For worker_options.log; `arg` is a struct access_log. */
void access_log_write(void *arg, const struct access_entry *e);

#endif
