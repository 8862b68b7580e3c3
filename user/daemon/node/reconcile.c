/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/node/reconcile.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/timerfd.h>

#include "lib/base/cleanup.h"
#include "daemon/datapath/datapath_priv.h"
#include "lib/base/log.h"

enum {
	RETRY_MIN_MS = 100,
	RETRY_MAX_MS = 30000,
};

struct iface *pods_find(struct pods *p, int ifindex)
{
	for (struct iface *i = p->ifaces; i; i = i->next) {
		if (i->link.ifindex == ifindex)
			return i;
	}
	return NULL;
}

struct iface *pods_bridge(struct pods *p, const struct iface *port)
{
	struct iface *i = port->link.master ? pods_find(p, port->link.master) : NULL;

	return i && !strcmp(i->link.kind, "bridge") ? i : NULL;
}

/* The port has come to its bridge, if it has one, or is about to leave it. */
static void touch_bridge(struct pods *p, const struct iface *port)
{
	struct iface *bridge = pods_bridge(p, port);

	if (bridge)
		bridge->dirty = true;
}

static struct iface *find_by_peer(struct pods *p, int nsid, int peer)
{
	for (struct iface *i = p->ifaces; i; i = i->next) {
		if (i->link.nsid == nsid && i->link.peer == peer)
			return i;
	}
	return NULL;
}

/* The programs look for an Ethernet header. */
static enum role refuse_nic(struct iface *i)
{
	if (!i->told_unusable)
		log_warning("%s: not taken as a NIC: is not an Ethernet interface", i->link.name);
	i->told_unusable = true;
	return ROLE_NONE;
}

static enum role wanted_role(const struct pods *p, struct iface *i);

/* What its ports are to become, not what they are: a bridge is there before its first pod. */
static bool has_pods(const struct pods *p, const struct iface *bridge)
{
	for (struct iface *i = p->ifaces; i; i = i->next) {
		if (i->link.master == bridge->link.ifindex && wanted_role(p, i) == ROLE_POD)
			return true;
	}
	return false;
}

static enum role wanted_role(const struct pods *p, struct iface *i)
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

	enum role role = l->flags & IFF_LOOPBACK ? ROLE_NONE : match_role(&q);

	if (role == ROLE_NONE && !strcmp(l->kind, "bridge") && has_pods(p, i))
		return ROLE_BRIDGE;
	return role == ROLE_NIC && !l->ethernet ? refuse_nic(i) : role;
}

static int leave_role(struct kernel *k, struct iface *i)
{
	if (i->role == ROLE_POD)
		return pod_remove(k, i);
	if (i->role == ROLE_NIC)
		return nic_remove(k, i);
	i->role = ROLE_NONE;
	return 0;
}

static int bridge_refresh(struct kernel *k, struct iface *i)
{
	int r;

	if (i->role == ROLE_BRIDGE)
		return 0;
	r = attach_put_both(&k->attach, i->link.ifindex, k->loader.prog[PROG_FROM_BRIDGE], -1);
	if (r && r != -ENODEV)
		return r;
	i->role = ROLE_BRIDGE;
	log_info("%s: attached as a bridge of pods", i->link.name);
	return 0;
}

static int settle(struct kernel *k, struct iface *i)
{
	enum role role = wanted_role(&k->pods, i), was = i->role;
	int r = 0;

	if (was != role)
		r = leave_role(k, i);
	if (!r && role == ROLE_POD)
		r = pod_refresh(k, i);
	else if (!r && role == ROLE_NIC)
		r = nic_refresh(k, i);
	else if (!r && role == ROLE_BRIDGE)
		r = bridge_refresh(k, i);
	else if (!r && was != ROLE_NONE)
		r = attach_remove(&k->attach, i->link.ifindex);
	return r;
}

/* ---- interfaces come and go ---- */

/* Pods are known with the address of their bridge, which changes with its ports. */
static void touch_ports(struct pods *p, const struct nl_link *bridge)
{
	for (struct iface *i = p->ifaces; i; i = i->next)
		i->dirty |= i->link.master == bridge->ifindex;
}

/* Routes that vanish with their interface are not announced. */
static void note_flap(struct pods *p, const struct iface *i)
{
	p->routes_dirty |= i->default_route;
	if (i->link.nsid == NL_NSID_OWN)
		pods_doubt(p);
}

static int take_link(struct kernel *k, const struct nl_link *l)
{
	struct pods *p = &k->pods;
	struct iface *i = pods_find(p, l->ifindex);
	int r = 0;

	if (!i) {
		i = calloc(1, sizeof(*i));
		if (!i)
			return -ENOMEM;
		i->next = p->ifaces;
		p->ifaces = i;
		p->routes_dirty = true;
	}
	if ((i->link.flags ^ l->flags) & IFF_UP)
		note_flap(p, i);
	if (i->link.nsid != l->nsid)
		r = pod_forget_netns(k, i);
	if (memcmp(i->link.mac, l->mac, sizeof(l->mac)) != 0)
		touch_ports(p, l);
	touch_bridge(p, i);
	i->link = *l;
	touch_bridge(p, i);
	i->dirty = true;
	i->seen = true;
	return r;
}

static void free_iface(struct iface *i)
{
	addr_list_free(&i->claims);
	addr_list_free(&i->addrs);
	addr_list_free(&i->lapsed);
	free(i);
}

/* The interface is no more, and with it whatever was attached to it. What can't be cleaned up now
 * is left to pods_prune(). */
static void drop_link(struct kernel *k, int ifindex)
{
	for (struct iface **at = &k->pods.ifaces; *at; at = &(*at)->next) {
		struct iface *i = *at;

		if (i->link.ifindex != ifindex)
			continue;
		touch_bridge(&k->pods, i);
		note_flap(&k->pods, i);
		if (leave_role(k, i) || attach_remove(&k->attach, ifindex) || i->failed)
			k->pods.prune_needed = true;
		*at = i->next;
		free_iface(i);
		k->pods.routes_dirty = true;
		return;
	}
}

static int see_link(void *arg, const struct nl_link *l)
{
	return take_link(arg, l);
}

static void drop_unseen(struct kernel *k)
{
	struct iface *next;

	for (struct iface *i = k->pods.ifaces; i; i = next) {
		next = i->next;
		if (!i->seen)
			drop_link(k, i->link.ifindex);
	}
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

static int find_own_nsid(struct kernel *k)
{
	__u32 pid = (__u32)getpid();
	struct nl_request q;

	nl_begin(&q, RTM_GETNSID, 0, sizeof(struct rtgenmsg));
	nl_put(&q, NETNSA_PID, &pid, sizeof(pid));
	return nl_call(k->netlink, &q, read_own_nsid, &k->pods.own_nsid);
}

static int read_links(struct kernel *k)
{
	int r = find_own_nsid(k);

	if (r)
		return log_err(r, "find the node's own namespace");
	for (struct iface *i = k->pods.ifaces; i; i = i->next)
		i->seen = false;
	r = nl_each_link(k->netlink, see_link, k);
	if (r)
		return log_err(r, "list the interfaces");
	drop_unseen(k);
	k->pods.lost = false;
	k->pods.node_dirty = k->pods.routes_dirty = true;
	return 0;
}

/* ---- acting on what has changed ---- */

static void keep_first(int *r, int one)
{
	if (!*r)
		*r = one;
}

static void read_pods(struct kernel *k)
{
	for (struct iface *i = k->pods.ifaces; i; i = i->next) {
		if (i->dirty && wanted_role(&k->pods, i) == ROLE_POD)
			pod_read(k, i);
	}
}

/* All of them, whatever becomes of one. A NIC's failure is returned; that of a pod is its own. */
static int settle_ifaces(struct kernel *k, bool bridges)
{
	struct pods *p = &k->pods;
	int r = 0;

	for (struct iface *i = p->ifaces; i; i = i->next) {
		int one;

		if (!i->dirty || (wanted_role(p, i) == ROLE_BRIDGE) != bridges)
			continue;
		one = settle(k, i);
		if (i->failed && !one)
			p->prune_needed = true; /* which has spared what is left of it */
		i->dirty = false;
		i->failed = one;
		if (wanted_role(p, i) == ROLE_NIC)
			keep_first(&r, one);
	}
	return r;
}

static void retry_failed(struct pods *p)
{
	for (struct iface *i = p->ifaces; i; i = i->next)
		i->dirty |= i->failed;
	p->node_dirty |= p->node.full;
	p->cookies_wanted = true;
}

static bool has_failed(const struct pods *p)
{
	for (const struct iface *i = p->ifaces; i; i = i->next) {
		if (i->failed)
			return true;
	}
	return false;
}

static int arm_retry(struct pods *p)
{
	struct itimerspec t = {
		.it_value = { p->retry_ms / 1000, p->retry_ms % 1000 * 1000000L },
	};

	if (p->retry_armed)
		return 0;
	if (timerfd_settime(p->retry_timer, 0, &t, NULL))
		return log_err(-errno, "set a timer");
	p->retry_armed = true;
	return 0;
}

int pods_settle(struct kernel *k)
{
	struct pods *p = &k->pods;
	int r = 0;

	if (p->lost)
		keep_first(&r, read_links(k));
	if (p->node_dirty)
		keep_first(&r, node_refresh(k));
	if (p->routes_dirty)
		keep_first(&r, default_routes_refresh(k));
	read_pods(k);
	keep_first(&r, settle_ifaces(k, true)); /* pods send their packets there */
	keep_first(&r, settle_ifaces(k, false));
	keep_first(&r, pods_find_cookies(k));
	if (!r && p->prune_needed)
		keep_first(&r, pods_prune(k));
	if (p->sweep_needed)
		keep_first(&r, pods_sweep(k));
	if (r || has_failed(p) || p->node.full || pods_without_cookie(p))
		keep_first(&r, arm_retry(p));
	else
		p->retry_ms = RETRY_MIN_MS;
	return r;
}

int pods_on_retry_timer(struct kernel *k)
{
	struct pods *p = &k->pods;
	uint64_t ticks;

	if (read(p->retry_timer, &ticks, sizeof(ticks)) < 0)
		return errno == EAGAIN ? 0 : log_err(-errno, "read a timer");
	p->retry_armed = false;
	p->retry_ms = 2 * p->retry_ms < RETRY_MAX_MS ? 2 * p->retry_ms : RETRY_MAX_MS;
	retry_failed(p);
	return pods_settle(k);
}

void pods_init(struct pods *p)
{
	*p = (struct pods){
		.leave_timer = -1,
		.retry_timer = -1,
		.retry_ms = RETRY_MIN_MS,
		.own_nsid = NL_NSID_OWN,
	};
}

static int open_timer(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	return fd < 0 ? log_err(-errno, "make a timer") : fd;
}

int pods_open(struct kernel *k, const struct kernel_options *o)
{
	int r;

	k->pods.match = strdup(o->pods ? o->pods : "auto");
	k->pods.nic = o->nic ? strdup(o->nic) : NULL;
	if (!k->pods.match || (o->nic && !k->pods.nic))
		return log_err(-ENOMEM, "follow the interfaces");
	k->pods.leave_timer = open_timer();
	k->pods.retry_timer = open_timer();
	if (k->pods.leave_timer < 0 || k->pods.retry_timer < 0)
		return k->pods.leave_timer < 0 ? k->pods.leave_timer : k->pods.retry_timer;
	k->pods.lost = true; /* everything that happened before now */
	k->pods.prune_needed = k->pods.sweep_needed = true;
	r = pods_settle(k);
	return r == -EAGAIN || r == -EINTR ? 0 : r; /* things change: the timer comes back to it */
}

void pods_free(struct pods *p)
{
	while (p->ifaces) {
		struct iface *i = p->ifaces;

		p->ifaces = i->next;
		free_iface(i);
	}
	free(p->node.items);
	free(p->match);
	free(p->nic);
	closep(&p->leave_timer);
	closep(&p->retry_timer);
	addr_list_free(&p->gone);
	free(p->leaving.items);
	addr_set_free(&p->node.set);
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
	int r = nl_get_link(k->netlink, NL_NSID_OWN, moved->peer, &stays);

	if (!r && stays.peer)
		r = take_link(k, &stays);
	k->pods.lost |= r && r != -ENODEV;
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
		if (take_link(k, &l))
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
		pods_note_route(&k->pods, h);
		return;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		pods_doubt(&k->pods);
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
	return pods_settle(k);
}
