/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SUPERVISOR_PROXY_LINK_H
#define WEFT_DAEMON_SUPERVISOR_PROXY_LINK_H
/*
 * weftd's end of the sockets in RUN_DIR. lib/wire/proxy_orders.h says what is spoken over them.
 *
 * There are as many weft-proxies at a time as there are slots, each with RUN_DIR/proxy-SLOT.sock
 * and RUN_DIR/proxy-SLOT.held (struct proxy_held). RUN_DIR/proxy.sock is a link to the one that
 * serves; the others drain. Versions of weft that knew of one proxy only have their socket there.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/wire/proxy_orders.h"

enum { PROXY_SERVES = -1 }; /* the one that serves, whichever its slot is */

/* A listening socket for a proxy to inherit, under the name that another one may have had before.
 * -errno after having logged. */
int proxy_link_bind(const char *run_dir, int slot);
/* A connection, and which process listens. -ENOENT and -ECONNREFUSED mean that no proxy runs. */
int proxy_link_connect(const char *run_dir, int slot, pid_t *pid);
/* An empty file, or with `keep` the one that is there. A descriptor or -errno. */
int proxy_link_held(const char *run_dir, int slot, bool keep);
/* From now on that one serves. 0 or -errno. */
int proxy_link_serve(const char *run_dir, int slot);
/* The slot of the one that serves; -ENOENT: there is none, or it is one without a slot. */
int proxy_link_served(const char *run_dir);
/* What is in RUN_DIR of a slot; of PROXY_SERVES: the link. */
void proxy_link_remove(const char *run_dir, int slot);

/* `fd` goes with it; -1: none. `size` bytes are behind it, at most PROXY_ORDER_BYTES. 0 or -errno.
 */
int proxy_link_send(int conn, const struct proxy_order *order, int fd, const void *bytes,
		    size_t size);
/*
 * Waits at most `ms` milliseconds for a reply and writes no more than `size` bytes of it, with the
 * descriptors that came along, of which there is room for PROXY_MAX_WORKERS; NULL: none is
 * expected. 0; -ETIMEDOUT; -ECONNRESET when the proxy has gone; other -errno.
 */
int proxy_link_receive(int conn, int ms, void *reply, size_t size, int *fds, unsigned *fd_count);

#endif
