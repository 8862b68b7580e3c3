/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_CONTROL_H
#define WEFT_DAEMON_API_CONTROL_H
/*
 * The control socket, and turning weftd's event loop.
 */
#include "daemon/api/handlers.h"

/* Binds and listens at RUN_DIR/weftd.sock, for root only. A descriptor, or -errno after having
 * logged. */
int control_listen(const char *run_dir);

/* Serves the socket and the kernel until SIGTERM, SIGINT or a request to end. Borrows `listener`. 0
 * or -errno. */
int control_run(struct weftd *d, struct event_loop *events, int listener);

#endif
