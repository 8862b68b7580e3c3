/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_PROCESS_REQUESTS_H
#define WEFT_PROXY_PROCESS_REQUESTS_H
/*
 * The requests under way, for `weft conns`.
 */
#include "proxy/request/http_worker.h"

/* From any thread but the workers': writes a struct proxy_request (proxy_orders.h) for each into
 * the file `fd`. A worker that does not answer soon is left out. 0 or -errno. */
int requests_write(struct http_worker *const *workers, size_t count, int fd);

#endif
