/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_PROCESS_PROXY_H
#define WEFT_PROXY_PROCESS_PROXY_H
/*
 * The process: a thread per worker, and the main thread, which takes weftd's orders
 * (lib/wire/proxy_orders.h).
 */
#include "lib/wire/proxy_orders.h"

struct proxy_options;

/* Until SIGTERM, SIGINT or PROXY_QUIT. 0 or -errno. */
int proxy_run(const struct proxy_options *o);

#endif
