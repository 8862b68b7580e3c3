/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/netlink/netlink_query.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/addr.h"
#include "daemon/netlink/addr.h"

static void copy_string(char *out, size_t size, const struct rtattr *a)
{
	size_t n = a ? RTA_PAYLOAD(a) : 0;

	if (n >= size)
		n = size - 1;
	memset(out, 0, size);
	if (a)
		memcpy(out, RTA_DATA(a), n);
}

enum nl_framing nl_framing_of(unsigned type)
{
	switch (type) {
	case ARPHRD_ETHER:
		return NL_FRAMING_ETHERNET;
	case ARPHRD_NONE: /* those for which the kernel's dev_is_mac_header_xmit() is false */
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
	case ARPHRD_IP6GRE:
	case ARPHRD_RAWIP:
		return NL_FRAMING_NONE;
	default:
		return NL_FRAMING_OTHER;
	}
}

void nl_link_parse(const struct nlmsghdr *h, struct nl_link *out)
{
	const struct ifinfomsg *m = NLMSG_DATA(h);
	struct nl_attrs a, info;

	nl_parse(h, sizeof(*m), &a);
	memset(out, 0, sizeof(*out));
	out->ifindex = m->ifi_index;
	out->flags = m->ifi_flags;
	out->framing = nl_framing_of(m->ifi_type);
	out->peer = nl_int(a.at[IFLA_LINK], 0);
	out->nsid = nl_int(a.at[IFLA_LINK_NETNSID], NL_NSID_OWN);
	out->mtu = nl_int(a.at[IFLA_MTU], 0);
	out->master = nl_int(a.at[IFLA_MASTER], 0);
	out->moved = a.at[IFLA_NEW_NETNSID];
	if (a.at[IFLA_XDP]) {
		nl_parse_nested(a.at[IFLA_XDP], &info);
		out->xdp = info.at[IFLA_XDP_ATTACHED] &&
			   *(const __u8 *)RTA_DATA(info.at[IFLA_XDP_ATTACHED]);
	}
	copy_string(out->name, sizeof(out->name), a.at[IFLA_IFNAME]);
	if (a.at[IFLA_ADDRESS] && RTA_PAYLOAD(a.at[IFLA_ADDRESS]) == sizeof(out->mac))
		memcpy(out->mac, RTA_DATA(a.at[IFLA_ADDRESS]), sizeof(out->mac));
	if (!a.at[IFLA_LINKINFO])
		return;
	nl_parse_nested(a.at[IFLA_LINKINFO], &info);
	copy_string(out->kind, sizeof(out->kind), info.at[IFLA_INFO_KIND]);
}

struct link_walk {
	int (*each)(void *arg, const struct nl_link *l);
	void *arg;
};

static int take_link(void *arg, const struct nlmsghdr *h)
{
	struct link_walk *w = arg;
	struct nl_link l;

	if (h->nlmsg_type != RTM_NEWLINK)
		return 0;
	nl_link_parse(h, &l);
	return w->each(w->arg, &l);
}

static void put_ext_mask(struct nl_request *q)
{
	__u32 mask = RTEXT_FILTER_SKIP_STATS;

	nl_put(q, IFLA_EXT_MASK, &mask, sizeof(mask));
}

int nl_each_link(int fd, int (*each)(void *arg, const struct nl_link *l), void *arg)
{
	struct link_walk walk = { each, arg };
	struct nl_request q;

	nl_begin(&q, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	put_ext_mask(&q);
	return nl_call(fd, &q, take_link, &walk);
}

static int copy_link(void *arg, const struct nl_link *l)
{
	*(struct nl_link *)arg = *l;
	return 0;
}

int nl_get_link(int fd, int nsid, int ifindex, struct nl_link *out)
{
	struct nl_link found = {};
	struct link_walk walk = { copy_link, &found };
	struct nl_request q;
	struct ifinfomsg *m = nl_begin(&q, RTM_GETLINK, 0, sizeof(*m));
	int r;

	m->ifi_index = ifindex;
	put_ext_mask(&q);
	if (nsid != NL_NSID_OWN)
		nl_put(&q, IFLA_TARGET_NETNSID, &nsid, sizeof(nsid));
	r = nl_call(fd, &q, take_link, &walk);
	if (!r && found.ifindex != ifindex)
		r = -ENODEV;
	if (!r)
		*out = found;
	return r;
}

struct addr_walk {
	int ifindex;
	int (*each)(void *arg, int ifindex, const struct addr *a);
	void *arg;
};

static int take_addr(void *arg, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	struct addr_walk *w = arg;
	const struct rtattr *local;
	struct nl_attrs a;
	struct addr addr;

	if (h->nlmsg_type != RTM_NEWADDR || (w->ifindex && (int)m->ifa_index != w->ifindex))
		return 0;
	nl_parse(h, sizeof(*m), &a);
	/* of a point-to-point address IFA_ADDRESS is the other end */
	local = a.at[IFA_LOCAL] ? a.at[IFA_LOCAL] : a.at[IFA_ADDRESS];
	if (!local || !addr_from_bytes(&addr, m->ifa_family, RTA_DATA(local), RTA_PAYLOAD(local)))
		return 0;
	return w->each(w->arg, (int)m->ifa_index, &addr);
}

int nl_each_addr(int fd, int nsid, int ifindex,
		 int (*each)(void *arg, int ifindex, const struct addr *a), void *arg)
{
	static const unsigned char families[] = { AF_INET, AF_INET6 };
	struct addr_walk walk = { ifindex, each, arg };
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(families); i++) {
		struct nl_request q;
		struct ifaddrmsg *m = nl_begin(&q, RTM_GETADDR, NLM_F_DUMP, sizeof(*m));

		m->ifa_family = families[i];
		m->ifa_index = (__u32)ifindex;
		if (nsid != NL_NSID_OWN)
			nl_put(&q, IFA_TARGET_NETNSID, &nsid, sizeof(nsid));
		r = nl_call(fd, &q, take_addr, &walk);
	}
	return r;
}

struct route_walk {
	int (*each)(void *arg, int ifindex);
	void *arg;
};

bool nl_is_default_route(const struct nlmsghdr *h)
{
	const struct rtmsg *m = NLMSG_DATA(h);

	return m->rtm_dst_len == 0 && m->rtm_type == RTN_UNICAST && m->rtm_table == RT_TABLE_MAIN &&
	       !(m->rtm_flags & RTM_F_CLONED);
}

static int take_nexthops(struct route_walk *w, const struct rtattr *a)
{
	const struct rtnexthop *hop = RTA_DATA(a);
	int left = (int)RTA_PAYLOAD(a), r = 0;

	while (!r && left >= (int)sizeof(*hop) && RTNH_OK(hop, left)) {
		r = w->each(w->arg, hop->rtnh_ifindex);
		left -= (int)RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
	return r;
}

static int take_route(void *arg, const struct nlmsghdr *h)
{
	struct route_walk *w = arg;
	struct nl_attrs a;
	int r = 0;

	if (h->nlmsg_type != RTM_NEWROUTE || !nl_is_default_route(h))
		return 0;
	nl_parse(h, sizeof(struct rtmsg), &a);
	if (a.at[RTA_OIF])
		r = w->each(w->arg, nl_int(a.at[RTA_OIF], 0));
	if (!r && a.at[RTA_MULTIPATH])
		r = take_nexthops(w, a.at[RTA_MULTIPATH]);
	return r;
}

int nl_each_default_route(int fd, int (*each)(void *arg, int ifindex), void *arg)
{
	static const unsigned char families[] = { AF_INET, AF_INET6 };
	struct route_walk walk = { each, arg };
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(families); i++) {
		struct nl_request q;
		struct rtmsg *m = nl_begin(&q, RTM_GETROUTE, NLM_F_DUMP, sizeof(*m));
		__u32 table = RT_TABLE_MAIN;

		m->rtm_family = families[i];
		nl_put(&q, RTA_TABLE, &table, sizeof(table));
		r = nl_call(fd, &q, take_route, &walk);
		if (r == -ENOENT) /* no such table yet: nothing was ever routed */
			r = 0;
	}
	return r;
}

static int take_next_hop(void *arg, const struct nlmsghdr *h)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	struct nl_route *out = arg;
	struct nl_attrs a;

	if (h->nlmsg_type != RTM_NEWROUTE || m->rtm_type != RTN_UNICAST)
		return 0;
	nl_parse(h, sizeof(*m), &a);
	out->ifindex = nl_int(a.at[RTA_OIF], 0);
	out->gateway = a.at[RTA_GATEWAY] || a.at[RTA_VIA];
	return 0;
}

static bool is_no_route(int r)
{
	return r == -ENETUNREACH || r == -EHOSTUNREACH || r == -EACCES || r == -EINVAL ||
	       r == -ENODEV || r == -EAFNOSUPPORT || r == -EOPNOTSUPP;
}

int nl_get_route(int fd, const struct addr *a, int vrf, struct nl_route *out)
{
	const bool v4 = addr_is_v4(a);
	const size_t size = v4 ? 4 : sizeof(a->b);
	struct nl_route found = {};
	struct nl_request q;
	struct rtmsg *m = nl_begin(&q, RTM_GETROUTE, 0, sizeof(*m));
	int r;

	m->rtm_family = v4 ? AF_INET : AF_INET6;
	m->rtm_dst_len = (unsigned char)(8 * size);
	nl_put(&q, RTA_DST, a->b + sizeof(a->b) - size, size);
	if (vrf)
		nl_put(&q, RTA_OIF, &vrf, sizeof(vrf));
	r = nl_call(fd, &q, take_next_hop, &found);
	if (is_no_route(r) || (!r && !found.ifindex))
		return -ENETUNREACH;
	if (!r)
		*out = found;
	return r;
}

bool nl_route_prefix(const struct nlmsghdr *h, struct cidr *out)
{
	static const __u8 zero[sizeof(out->addr.b)];
	const struct rtmsg *m = NLMSG_DATA(h);
	const size_t size = m->rtm_family == AF_INET ? 4 : sizeof(out->addr.b);
	struct nl_attrs a;

	nl_parse(h, sizeof(*m), &a);
	out->prefix = m->rtm_dst_len + (unsigned)(8 * (sizeof(out->addr.b) - size));
	return addr_from_bytes(&out->addr, m->rtm_family,
			       a.at[RTA_DST] ? RTA_DATA(a.at[RTA_DST]) : zero,
			       a.at[RTA_DST] ? RTA_PAYLOAD(a.at[RTA_DST]) : size);
}

struct qdisc_walk {
	int (*each)(void *arg, int ifindex, const char *kind);
	void *arg;
};

static int take_qdisc(void *arg, const struct nlmsghdr *h)
{
	const struct tcmsg *m = NLMSG_DATA(h);
	struct qdisc_walk *w = arg;
	struct nl_attrs a;
	char kind[16];

	if (h->nlmsg_type != RTM_NEWQDISC)
		return 0;
	nl_parse(h, sizeof(*m), &a);
	copy_string(kind, sizeof(kind), a.at[TCA_KIND]);
	return w->each(w->arg, m->tcm_ifindex, kind);
}

int nl_each_qdisc(int fd, int (*each)(void *arg, int ifindex, const char *kind), void *arg)
{
	struct qdisc_walk walk = { each, arg };
	struct nl_request q;
	int r;

	nl_begin(&q, RTM_GETQDISC, NLM_F_DUMP, sizeof(struct tcmsg));
	r = nl_call(fd, &q, take_qdisc, &walk);
	return r == -EOPNOTSUPP ? 0 : r; /* a kernel without any */
}

struct filter_search {
	__u32 priority, handle;
	bool found;
};

static int note_filter(void *arg, const struct nlmsghdr *h)
{
	const struct tcmsg *m = NLMSG_DATA(h);
	struct filter_search *s = arg;

	if (h->nlmsg_type == RTM_NEWTFILTER)
		s->found |= m->tcm_info >> 16 != s->priority ||
			    (m->tcm_handle && m->tcm_handle != s->handle);
	return 0;
}

int nl_has_other_filters(int fd, int ifindex, __u32 priority, __u32 handle, bool *found)
{
	static const __u32 minors[] = { TC_H_MIN_INGRESS, TC_H_MIN_EGRESS };
	struct filter_search s = { priority, handle, false };
	int r = 0;

	for (size_t i = 0; !r && i < 2; i++) {
		struct nl_request q;
		struct tcmsg *m = nl_begin(&q, RTM_GETTFILTER, NLM_F_DUMP, sizeof(*m));

		m->tcm_ifindex = ifindex;
		m->tcm_parent = TC_H_MAKE(TC_H_CLSACT, minors[i]);
		r = nl_call(fd, &q, note_filter, &s);
	}
	*found = s.found;
	return r;
}

/* A dump that things changed under is tried again, with a number of its own. */
struct count {
	__u32 seq;
	unsigned found;
};

static int count_message(void *arg, const struct nlmsghdr *h)
{
	struct count *c = arg;

	if (h->nlmsg_seq != c->seq)
		*c = (struct count){ .seq = h->nlmsg_seq };
	c->found += h->nlmsg_type == RTM_NEWTFILTER;
	return 0;
}

int nl_count_filters(int fd, int ifindex, unsigned *count)
{
	static const __u32 minors[] = { TC_H_MIN_INGRESS, TC_H_MIN_EGRESS };
	unsigned found = 0;
	int r = 0;

	for (size_t i = 0; !r && i < 2; i++) {
		struct count c = {};
		struct nl_request q;
		struct tcmsg *m = nl_begin(&q, RTM_GETTFILTER, NLM_F_DUMP, sizeof(*m));

		m->tcm_ifindex = ifindex;
		m->tcm_parent = TC_H_MAKE(TC_H_CLSACT, minors[i]);
		r = nl_call(fd, &q, count_message, &c);
		if (c.seq == q.head.nlmsg_seq) /* else the last try had nothing to count */
			found += c.found;
	}
	if (!r)
		*count = found;
	return r;
}
