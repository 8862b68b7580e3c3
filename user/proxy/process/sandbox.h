/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_PROCESS_SANDBOX_H
#define WEFT_PROXY_PROCESS_SANDBOX_H
/*
 * What the process gives up. It has everything that it needs in its descriptors by then.
 */
#include <sys/types.h>

/*
 * Before there are threads, as root: an empty read-only root in a mount namespace of its own, that
 * user and group and no others, CAP_NET_RAW (for addresses of others as the source, and marks) as
 * the only capability, and no way to gain any; no core dumps. 0, or -errno after having logged
 * which step this machine does not let us make.
 */
int sandbox_enter(uid_t uid, gid_t gid);

/* When all threads run: from now on only the system calls of seccomp.c. 0, or -errno after having
 * logged. */
int sandbox_seal(void);

#endif
