/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_START_NETNS_LOCK_H
#define WEFT_DAEMON_START_NETNS_LOCK_H
/*
 * One weftd per network namespace: its routing rules, filters and interfaces are there once. The
 * lock is an abstract Unix socket: its name is unique in the network namespace and is released when
 * its process ends.
 */
#include <sys/types.h>

/* The lock's descriptor. -EBUSY, without logging, with the process of the weftd that has it, 0
 * where the kernel does not tell; -ENOENT, after having logged, where nothing can be told. */
int netns_lock(pid_t *pid);

#endif
