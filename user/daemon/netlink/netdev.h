/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_NETLINK_NETDEV_H
#define WEFT_DAEMON_NETLINK_NETDEV_H
/*
 * What an interface's driver can do for XDP: the kernel's generic netlink family `netdev`, since
 * Linux 6.3 (Documentation/netlink/specs/netdev.yaml).
 */
#include <linux/types.h>

enum {
	NETDEV_XDP_RUNS = 1 << 0,  /* NETDEV_XDP_ACT_BASIC: it runs XDP programs */
	NETDEV_XDP_SENDS = 1 << 2, /* NETDEV_XDP_ACT_NDO_XMIT: it sends what XDP gives it, now */
};

/* The features of an interface of this network namespace. 0, -EOPNOTSUPP where the kernel does not
 * tell, or another -errno. Does not log. */
int netdev_xdp_features(int ifindex, __u64 *out);

#endif
