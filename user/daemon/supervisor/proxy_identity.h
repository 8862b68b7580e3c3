/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SUPERVISOR_PROXY_IDENTITY_H
#define WEFT_DAEMON_SUPERVISOR_PROXY_IDENTITY_H
/*
 * What a running proxy was started with, as a text: a weftd that would have started it differently
 * replaces it.
 */
#include "daemon/supervisor/supervisor.h"

/* Of the program at that path, as it is now: a file that was installed anew is another program, if
 * only its version's number is the same. Owned by the caller; NULL when out of memory. */
char *proxy_identity(const struct supervisor_options *o, const char *program);

#endif
