/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SUPERVISOR_LISTENERS_H
#define WEFT_DAEMON_SUPERVISOR_LISTENERS_H
/*
 * The sockets that weft-proxy accepts connections from, one per worker. Their address is one of
 * the loopback, which no client can reach: tc assigns connections to them.
 */
#include <stdbool.h>

/* In this process's network namespace. 0, or -errno after having logged. */
int listeners_open(unsigned count, int *fds);
/* Sets them to -1. */
void listeners_close(unsigned count, int *fds);
/* Whether two descriptors are of one socket. */
bool listeners_same(int a, int b);
/* Whether descriptors that a proxy has handed over are such sockets, each another one, of this
 * process's network namespace. */
bool listeners_usable(const int *fds, unsigned count);

#endif
