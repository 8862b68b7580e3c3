/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_NETLINK_NETLINK_QUERY_H
#define WEFT_DAEMON_NETLINK_NETLINK_QUERY_H
/*
 * What weft asks of rtnetlink: interfaces, addresses, default routes; of the node and of pods'
 * namespaces. `nsid` is NL_NSID_OWN for the node's. Functions return 0 or -errno, or a callback's
 * non-zero answer.
 */
#include <linux/if.h>
#include <linux/types.h>

#include "lib/base/addr.h"
#include "daemon/netlink/netlink.h"
#include "weft/addr.h"

/* What is in front of the IP header of an interface's packets. */
enum nl_framing {
	NL_FRAMING_OTHER, /* something that weft can't read */
	NL_FRAMING_ETHERNET,
	NL_FRAMING_NONE, /* nothing: IPIP, WireGuard, tun */
};

/* By the interface's type, ARPHRD_*. */
enum nl_framing nl_framing_of(unsigned type);

struct nl_link {
	int ifindex;
	unsigned flags; /* IFF_* */
	char name[IFNAMSIZ];
	char kind[16]; /* "veth", "netkit", ...; "" for hardware */
	__u8 mac[6];
	int mtu;    /* bytes of a packet, IP header and all */
	int master; /* IFLA_MASTER: a bridge, for one; 0 if none */
	int peer;   /* IFLA_LINK; 0 if none */
	int nsid; /* IFLA_LINK_NETNSID: the namespace of the peer; NL_NSID_OWN: this one, or no peer
		   */
	enum nl_framing framing;
	bool xdp;   /* has an XDP program */
	bool moved; /* RTM_DELLINK: it lives on in another namespace */
};

/* Takes an RTM_NEWLINK or RTM_DELLINK apart. */
void nl_link_parse(const struct nlmsghdr *h, struct nl_link *out);
int nl_each_link(int fd, int (*each)(void *arg, const struct nl_link *l), void *arg);
int nl_get_link(int fd, int nsid, int ifindex, struct nl_link *out);

/* Addresses in the order in which the interface has them, IPv4 first. With ifindex 0 those of all
 * interfaces. */
int nl_each_addr(int fd, int nsid, int ifindex,
		 int (*each)(void *arg, int ifindex, const struct addr *a), void *arg);

/* The outgoing interfaces of unicast default routes in the main table. */
int nl_each_default_route(int fd, int (*each)(void *arg, int ifindex), void *arg);
/* Whether an RTM_NEWROUTE or RTM_DELROUTE is about a default route. */
bool nl_is_default_route(const struct nlmsghdr *h);

/* Where the node's own packets to an address go. */
struct nl_route {
	int ifindex;
	bool gateway; /* to a router there, not to the address itself */
};

/*
 * Asks for the route to `a`; with `vrf`, an interface, for that in the VRF's tables. -ENETUNREACH
 * where there is none, or none that leads to an interface.
 */
int nl_get_route(int fd, const struct addr *a, int vrf, struct nl_route *out);

/* The destination of an RTM_NEWROUTE or RTM_DELROUTE. False if it is about neither IPv4 nor IPv6.
 */
bool nl_route_prefix(const struct nlmsghdr *h, struct cidr *out);

/* All queueing disciplines of the namespace's interfaces. */
int nl_each_qdisc(int fd, int (*each)(void *arg, int ifindex, const char *kind), void *arg);

/* Whether the clsact or ingress of `ifindex` has other filters than the one with this priority and
 * handle. */
int nl_has_other_filters(int fd, int ifindex, __u32 priority, __u32 handle, bool *found);

/* Filters of any kind and owner on the clsact of `ifindex`, ingress and egress. */
int nl_count_filters(int fd, int ifindex, unsigned *count);

#endif
