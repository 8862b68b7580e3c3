/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_PROCESS_WORKERS_H
#define WEFT_PROXY_PROCESS_WORKERS_H
/*
 * Orders that every worker carries out in its own thread. From the main thread; each returns 0, or
 * -errno: -ETIMEDOUT when a worker has not done so soon. Some may have, then.
 */
#include "proxy/log/access_logs.h"
#include "proxy/request/http_worker.h"

/* Each writes to its own one of `logs`, and these to `fd`, which has to stay open; -1: nothing is
 * logged. */
int workers_log(struct http_worker *const *workers, struct access_logs *logs, size_t count, int fd,
		bool json);
/* The same for what `weft logs` shows; -1: nothing follows. */
int workers_follow(struct http_worker *const *workers, struct access_logs *logs, size_t count,
		   int fd);
/* The same for spans, for which each has room unless `fd` is -1: then none are told. */
int workers_trace(struct http_worker *const *workers, struct access_logs *logs, size_t count,
		  int fd);
/* drain.h; `fd` stays the caller's. */
int workers_succeed(struct http_worker *const *workers, size_t count, int fd);
/* `shared`: as many, from the first on, need not go on to accept. `tell`: as in drain.h. */
int workers_drain(struct http_worker *const *workers, size_t count, int fd, uint32_t shared,
		  int tell);
/* Whether nothing is left in any. */
bool workers_drained(struct http_worker *const *workers, size_t count);

#endif
