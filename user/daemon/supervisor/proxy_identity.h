/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SUPERVISOR_PROXY_IDENTITY_H
#define WEFT_DAEMON_SUPERVISOR_PROXY_IDENTITY_H
/*
 * What a running proxy was started with, as a text: a weftd that would have started it differently
 * replaces it.
 */
#include "daemon/supervisor/supervisor.h"

/* Of the program at that path, as it is now: it is told by its bytes, not by its version's number
 * nor by where it lies. Owned by the caller; NULL when out of memory. */
char *proxy_identity(const struct supervisor_options *o, const char *program);

#endif
