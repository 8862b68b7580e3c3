/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_SOCKETS_H
#define WEFT_DAEMON_DATAPATH_SOCKETS_H
/*
 * The sockets that connect() has steered: the map `socks`, and what sock_diag(7) tells of them in
 * their pods' network namespaces.
 */
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "weft/event.h"
#include "weft/sock.h"

struct kernel;

struct sock_row {
	struct sock_conn conn;
	__u64 cookie;	/* of the socket (SO_COOKIE) */
	__u64 sent;	/* payload bytes that the endpoint has acknowledged */
	__u64 received; /* payload bytes */
	__u64 idle_ms;	/* since data was last sent or received, or the connection was made */
	__u32 state; /* the kernel's: TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, ...; 0: its namespace
			can't be entered */
};

/* Calls `each` for every steered socket. Its non-zero answer ends the walk and is returned; -errno
 * after having logged. */
int sockets_each(struct kernel *k, int (*each)(void *arg, const struct sock_row *row), void *arg);
/* How many of them hold a place. 0, or -errno after having logged. */
int sockets_count(struct kernel *k, unsigned *out);
/* Whether there are any. */
bool sockets_any(const struct kernel *k);
/* Destroys the connections that the sweep has told of, those it is not sure of only if they are
 * idle: their applications get ECONNABORTED. What fails is told of again by the next sweep. Logs.
 */
void sockets_end(struct kernel *k, const struct sock_event *events, size_t count);

#endif
