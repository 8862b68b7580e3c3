/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_NETLINK_NETLINK_H
#define WEFT_DAEMON_NETLINK_NETLINK_H
/*
 * rtnetlink sockets: requests with their answers, and notifications. Descriptors are the caller's
 * to close.
 */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>

enum { NL_NSID_OWN = -1 }; /* the namespace that the socket was opened in */

/* A request under construction. */
struct nl_request {
	struct nlmsghdr head;
	char body[256];
};

/* The attributes of a message by type; NULL where absent. */
struct nl_attrs {
	const struct rtattr *at[64];
};

/* A socket for requests: its descriptor or -errno. */
int nl_open(void);
/*
 * A non-blocking socket that hears of `groups` (RTNLGRP_*, ended by 0); with `all_nsid` also in
 * those other namespaces that have an id here. Its descriptor or -errno.
 */
int nl_listen(const unsigned *groups, bool all_nsid);

/* Begins a request with a zeroed family header of `size` bytes and returns that header. */
void *nl_begin(struct nl_request *q, int type, int flags, size_t size);
void nl_put(struct nl_request *q, int type, const void *data, size_t size);

/*
 * Sends `q` and calls `each` for every message of the answer (`each` may be NULL). Returns the
 * kernel's error, -EAGAIN when a dump stayed inconsistent because things changed under it, or the
 * first non-zero answer of `each`. A dump is tried a few times, and `each` then sees everything
 * again under another nlmsg_seq; that of the last try is left in `q`.
 */
int nl_call(int fd, struct nl_request *q, int (*each)(void *arg, const struct nlmsghdr *h),
	    void *arg);
/*
 * Calls `each` for every notification that has arrived. Returns 0 when all are read, -ENOBUFS when
 * some were lost. `nsid` is NL_NSID_OWN for those of the node.
 */
int nl_receive(int fd, void (*each)(void *arg, int nsid, const struct nlmsghdr *h), void *arg);

/* The attributes behind a family header of `size` bytes. */
void nl_parse(const struct nlmsghdr *h, size_t size, struct nl_attrs *out);
void nl_parse_nested(const struct rtattr *a, struct nl_attrs *out);
/* The attribute's value if it is there and long enough, else `other`. */
int nl_int(const struct rtattr *a, int other);

#endif
