/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_NETLINK_NETNS_H
#define WEFT_DAEMON_NETLINK_NETNS_H
/*
 * Other network namespaces of this machine. weftd holds none of them open: a namespace that is held
 * lives on, and with it the veth of a pod that is gone.
 */
#include <linux/types.h>

/*
 * Calls `each` once for every network namespace that is found by a name (/run/netns and the like)
 * or by a process, with a descriptor that is closed afterwards and the id that the node has given
 * the namespace (rtnetlink's nsid; those without one are left out). A non-zero answer ends the walk
 * and is returned. `netlink` is nl_open().
 */
int netns_each(int netlink, int (*each)(void *arg, int nsid, int fd), void *arg);
/* A socket in the namespace, which it belongs to for good. Its descriptor, or -errno. */
int netns_socket(int netns_fd, int domain, int type, int protocol);
/* SO_NETNS_COOKIE of the namespace: what the BPF programs know it by. 0 or -errno. */
int netns_cookie(int netns_fd, __u64 *out);

#endif
