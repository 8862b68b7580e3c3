/* SPDX-License-Identifier: Apache-2.0 */
#include "pods.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/timerfd.h>

#include "cleanup.h"
#include "kernel_priv.h"
#include "log.h"

struct iface *pods_find(struct pods *p, int ifindex)
{
	for (struct iface *i = p->ifaces; i; i = i->next) {
		if (i->link.ifindex == ifindex)
			return i;
	}
	return NULL;
}

static struct iface *find_by_peer(struct pods *p, int nsid, int peer)
{
	for (struct iface *i = p->ifaces; i; i = i->next) {
		if (i->link.nsid == nsid && i->link.peer == peer)
			return i;
	}
	return NULL;
}

static enum role wanted_role(const struct pods *p, const struct iface *i)
{
	const struct nl_link *l = &i->link;
	struct role_question q = {
		.name = l->name,
		.to_other_netns = l->nsid != NL_NSID_OWN && l->peer &&
				  (!strcmp(l->kind, "veth") || !strcmp(l->kind, "netkit")),
		.has_default_route = i->default_route,
		.was_nic = i->was_nic,
		.pods = p->match,
		.nic = p->nic,
	};

	if (l->flags & IFF_LOOPBACK)
		return ROLE_NONE;
	return match_role(&q);
}

static int leave_role(struct kernel *k, struct iface *i)
{
	if (i->role == ROLE_POD)
		return pod_remove(k, i);
	return i->role == ROLE_NIC ? nic_remove(k, i) : 0;
}

static int settle(struct kernel *k, struct iface *i)
{
	enum role role = wanted_role(&k->pods, i), was = i->role;
	int r = 0;

	i->dirty = false;
	if (was != role)
		r = leave_role(k, i);
	if (!r && role == ROLE_POD)
		r = pod_refresh(k, i);
	else if (!r && role == ROLE_NIC)
		r = nic_refresh(k, i);
	else if (!r && was != ROLE_NONE)
		r = attach_remove(&k->attach, i->link.ifindex);
	return r;
}

/* ---- interfaces come and go ---- */

static int take_link(struct pods *p, const struct nl_link *l)
{
	struct iface *i = pods_find(p, l->ifindex);

	if (!i) {
		i = calloc(1, sizeof(*i));
		if (!i)
			return -ENOMEM;
		i->next = p->ifaces;
		p->ifaces = i;
		p->routes_dirty = true;
	}
	if (i->default_route && (i->link.flags ^ l->flags) & IFF_UP)
		p->routes_dirty =
			true; /* routes that vanish with their interface are not announced */
	i->link = *l;
	i->dirty = true;
	i->seen = true;
	return 0;
}

/* The interface is no more, and with it whatever was attached to it. */
static int drop_link(struct kernel *k, int ifindex)
{
	for (struct iface **at = &k->pods.ifaces; *at; at = &(*at)->next) {
		struct iface *i = *at;
		int r;

		if (i->link.ifindex != ifindex)
			continue;
		r = leave_role(k, i);
		attach_remove(&k->attach, ifindex);
		*at = i->next;
		addr_list_free(&i->addrs);
		free(i);
		k->pods.routes_dirty = true;
		return r;
	}
	return 0;
}

static int see_link(void *arg, const struct nl_link *l)
{
	return take_link(arg, l);
}

static int drop_unseen(struct kernel *k)
{
	struct iface *next;
	int r = 0;

	for (struct iface *i = k->pods.ifaces; !r && i; i = next) {
		next = i->next;
		if (!i->seen)
			r = drop_link(k, i->link.ifindex);
	}
	return r;
}

/* The node may have given its own namespace an id, and then names itself by it in notifications. */
static int read_own_nsid(void *arg, const struct nlmsghdr *h)
{
	struct nl_attrs a;

	if (h->nlmsg_type != RTM_NEWNSID)
		return 0;
	nl_parse(h, sizeof(struct rtgenmsg), &a);
	*(int *)arg = nl_int(a.at[NETNSA_NSID], NL_NSID_OWN);
	return 0;
}

static void find_own_nsid(struct kernel *k)
{
	__u32 pid = (__u32)getpid();
	struct nl_request q;

	k->pods.own_nsid = NL_NSID_OWN;
	nl_begin(&q, RTM_GETNSID, 0, sizeof(struct rtgenmsg));
	nl_put(&q, NETNSA_PID, &pid, sizeof(pid));
	nl_call(k->netlink, &q, read_own_nsid, &k->pods.own_nsid);
}

static int read_links(struct kernel *k)
{
	int r;

	find_own_nsid(k);
	for (struct iface *i = k->pods.ifaces; i; i = i->next)
		i->seen = false;
	r = nl_each_link(k->netlink, see_link, &k->pods);
	if (r)
		return log_err(r, "list the interfaces");
	k->pods.node_dirty = k->pods.routes_dirty = true;
	return drop_unseen(k);
}

/* ---- acting on what has changed ---- */

static int settle_all(struct kernel *k)
{
	struct pods *p = &k->pods;
	int r = 0;

	if (p->lost) {
		p->lost = false;
		r = read_links(k);
	}
	if (!r && p->node_dirty)
		r = node_refresh(k);
	if (!r && p->routes_dirty)
		r = default_routes_refresh(k);
	if (r)
		return r;
	p->node_dirty = p->routes_dirty = false;
	for (struct iface *i = p->ifaces; i; i = i->next) {
		int one = i->dirty ? settle(k, i) : 0;

		r = r ? r : one; /* the others are followed all the same */
	}
	if (!r && p->prune_needed) {
		p->prune_needed = false;
		r = pods_prune(k);
	}
	if (p->sweep_needed) {
		int swept = pods_sweep(k);

		r = r ? r : swept;
	}
	return r;
}

void pods_init(struct pods *p)
{
	*p = (struct pods){ .leave_timer = -1 };
}

int pods_open(struct kernel *k, const struct kernel_options *o)
{
	k->pods.match = strdup(o->pods ? o->pods : "auto");
	k->pods.nic = o->nic ? strdup(o->nic) : NULL;
	if (!k->pods.match || (o->nic && !k->pods.nic))
		return log_err(-ENOMEM, "follow the interfaces");
	k->pods.leave_timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (k->pods.leave_timer < 0)
		return log_err(-errno, "make a timer");
	k->pods.lost = true; /* everything that happened before now */
	k->pods.prune_needed = k->pods.sweep_needed = true;
	return settle_all(k);
}

void pods_free(struct pods *p)
{
	while (p->ifaces) {
		struct iface *i = p->ifaces;

		p->ifaces = i->next;
		addr_list_free(&i->addrs);
		free(i);
	}
	free(p->node.items);
	free(p->match);
	free(p->nic);
	closep(&p->leave_timer);
	addr_list_free(&p->gone);
	addr_list_free(&p->leaving);
}

/* ---- notifications ---- */

/* Something about the other end of one of our veths, or about an interface that we don't know. */
static void note_peer(struct pods *p, int nsid, int ifindex)
{
	struct iface *i = find_by_peer(p, nsid, ifindex);

	if (i)
		i->dirty = true;
}

/* A veth's peer that has left for another namespace: the end that stays says nothing of it. */
static void note_moved(struct kernel *k, const struct nl_link *moved)
{
	struct nl_link stays;

	if (!nl_get_link(k->netlink, NL_NSID_OWN, moved->peer, &stays) && stays.peer)
		take_link(&k->pods, &stays);
}

static void note_link(struct kernel *k, int nsid, const struct nlmsghdr *h)
{
	struct nl_link l;

	nl_link_parse(h, &l);
	if (nsid != NL_NSID_OWN) {
		note_peer(&k->pods, nsid, l.ifindex);
		return;
	}
	if (((const struct ifinfomsg *)NLMSG_DATA(h))->ifi_family != AF_UNSPEC)
		return; /* a bridge on its ports: not the interface itself */
	if (h->nlmsg_type == RTM_NEWLINK) {
		if (take_link(&k->pods, &l))
			k->pods.lost = true;
		return;
	}
	drop_link(k, l.ifindex);
	if (l.moved && l.peer)
		note_moved(k, &l);
}

static void note(void *arg, int nsid, const struct nlmsghdr *h)
{
	struct kernel *k = arg;

	if (nsid == k->pods.own_nsid)
		nsid = NL_NSID_OWN;
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		note_link(k, nsid, h);
		return;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		if (nsid == NL_NSID_OWN)
			k->pods.node_dirty = true;
		else
			note_peer(&k->pods, nsid,
				  (int)((const struct ifaddrmsg *)NLMSG_DATA(h))->ifa_index);
		return;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		k->pods.routes_dirty |= nl_is_default_route(h);
		return;
	}
}

int pods_follow(struct kernel *k)
{
	int r = nl_receive(k->links, note, k);

	k->pods.lost |= r == -ENOBUFS;
	if (!r || r == -ENOBUFS)
		r = nl_receive(k->node_routes, note, k);
	k->pods.lost |= r == -ENOBUFS;
	if (r && r != -ENOBUFS)
		return log_err(r, "read notifications of the kernel");
	return settle_all(k);
}
