/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_LOG_ENTRY_H
#define WEFT_DAEMON_API_LOG_ENTRY_H
/* clang-format off */
/*
 * A line of weft-proxy's access log with the names of who is at its ends:
 *
 *	{"time": TEXT, "protocol": "http"|"tcp", "verdict": ..., "status": N, "method", "path", "duration_ms": N,
 *	 "source": {"address", "port", "namespace", "pod", "workload", "app"},
 *	 "destination": {the same, "service", "host"}, "access_log": {what the line has}}
 *
 * or, with "reason": TEXT, a connection that the kernel's side has refused.
 *
 * The verdict is "forwarded": an endpoint has answered; "answered": weft has, as rules say (a redirect, a direct
 * response, an injected fault); "refused": by a policy, a limit, or for lack of a rule; "failed": no endpoint could
 * answer, or the client has gone.
 */
/* clang-format on */
#include "daemon/api/ends.h"

/* A new object; NULL if the line is none of an access log, or when out of memory. weft-proxy is not
 * trusted: texts are cleaned. */
json_t *log_entry(const struct engine *engine, const char *line);
/* "forwarded", ... of such a line's object. */
const char *log_verdict(const json_t *access_log);

#endif
