/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SUPERVISOR_PROXY_LINK_H
#define WEFT_DAEMON_SUPERVISOR_PROXY_LINK_H
/*
 * weftd's end of RUN_DIR/proxy.sock. lib/wire/proxy_orders.h says what is spoken over it.
 */
#include <stddef.h>
#include <sys/types.h>

#include "lib/wire/proxy_orders.h"

/* A listening socket for a proxy to inherit, under the name that another one may have had before.
 * -errno after having logged. */
int proxy_link_bind(const char *run_dir);
/* A connection, and which process listens. -ENOENT and -ECONNREFUSED mean that no proxy runs. */
int proxy_link_connect(const char *run_dir, pid_t *pid);
void proxy_link_remove(const char *run_dir);

/* `fd` goes with it; -1: none. 0 or -errno. */
int proxy_link_send(int conn, const struct proxy_order *order, int fd);
/*
 * Waits at most `ms` milliseconds for a reply and writes no more than `size` bytes of it, with the
 * descriptors that came along, of which there is room for PROXY_MAX_WORKERS; NULL: none is
 * expected. 0; -ETIMEDOUT; -ECONNRESET when the proxy has gone; other -errno.
 */
int proxy_link_receive(int conn, int ms, void *reply, size_t size, int *fds, unsigned *fd_count);

#endif
