/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_WIRE_UNIX_LISTEN_H
#define WEFT_LIB_WIRE_UNIX_LISTEN_H
/*
 * Listening sockets in a run directory. The caller has the lock on it: what is there under the
 * name is a dead process's.
 */
struct sockaddr_un;

/* A socket that listens at `at`, in place of what is there, and that only its owner can connect
 * to. `type` as for socket(); it is closed on exec. A descriptor, or -errno after having logged. */
int unix_listen(const struct sockaddr_un *at, int type, int backlog);

#endif
