/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_SOCKETS_H
#define WEFT_DAEMON_DATAPATH_SOCKETS_H
/*
 * The sockets that connect() has steered, as the iterators tell of them.
 */
#include <linux/types.h>

#include "weft/sock.h"

struct kernel;

/* Calls `each` for every steered socket. Its non-zero answer ends the walk and is returned; -errno
 * after having logged. */
int sockets_each(struct kernel *k, int (*each)(void *arg, const struct sock_row *row), void *arg);
/*
 * Gives back the places that nothing else will, and destroys the connections that have timed out or
 * whose endpoint is in `gone_addrs`: their applications get ECONNABORTED. Logs.
 */
int sockets_sweep(struct kernel *k);

#endif
