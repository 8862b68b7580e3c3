/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/netlink/netdev.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/netlink/netlink.h"
#include "lib/base/cleanup.h"

/* Of <linux/netdev.h>, which older headers lack. */
enum {
	NETDEV_CMD_DEV_GET = 1,
	NETDEV_A_DEV_IFINDEX = 1,
	NETDEV_A_DEV_XDP_FEATURES = 3,
};

static void begin(struct nl_request *q, int family, __u8 command)
{
	struct genlmsghdr *h = nl_begin(q, family, 0, sizeof(*h));

	h->cmd = command;
	h->version = 1;
}

static int take_family(void *arg, const struct nlmsghdr *h)
{
	struct nl_attrs a;

	nl_parse(h, sizeof(struct genlmsghdr), &a);
	if (a.at[CTRL_ATTR_FAMILY_ID])
		*(int *)arg = *(const __u16 *)RTA_DATA(a.at[CTRL_ATTR_FAMILY_ID]);
	return 0;
}

/* Its number, or -errno. */
static int find_family(int fd)
{
	static const char name[] = "netdev";
	struct nl_request q;
	int family = 0, r;

	begin(&q, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	nl_put(&q, CTRL_ATTR_FAMILY_NAME, name, sizeof(name));
	r = nl_call(fd, &q, take_family, &family);
	return r == -ENOENT || (!r && !family) ? -EOPNOTSUPP : r ?: family;
}

static int take_features(void *arg, const struct nlmsghdr *h)
{
	const struct rtattr *at;
	struct nl_attrs a;

	nl_parse(h, sizeof(struct genlmsghdr), &a);
	at = a.at[NETDEV_A_DEV_XDP_FEATURES];
	if (at && RTA_PAYLOAD(at) >= sizeof(__u64))
		memcpy(arg, RTA_DATA(at), sizeof(__u64));
	return 0;
}

int netdev_xdp_features(int ifindex, __u64 *out)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	int family = fd < 0 ? -errno : find_family(fd), r;
	__u32 index = (__u32)ifindex;
	__u64 features = 0;
	struct nl_request q;

	if (family < 0)
		return family;
	begin(&q, family, NETDEV_CMD_DEV_GET);
	nl_put(&q, NETDEV_A_DEV_IFINDEX, &index, sizeof(index));
	r = nl_call(fd, &q, take_features, &features);
	if (!r)
		*out = features;
	return r;
}
