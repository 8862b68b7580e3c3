/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/timerfd.h>

#include "lib/base/cleanup.h"
#include "daemon/node/node_priv.h"
#include "lib/base/log.h"

enum {
	RETRY_MIN_MS = 100,
	RETRY_MAX_MS = 30000,
};

/* The port has come to its bridge, if it has one, or is about to leave it. */
static void touch_bridge(struct pods *p, const struct iface *port)
{
	struct iface *bridge = iface_bridge(p->ifaces, port);

	if (bridge)
		bridge->dirty = true;
}

/* The programs look for an Ethernet header, or for none. */
static enum role refuse_nic(struct iface *i)
{
	if (!i->told_unusable)
		log_warning("%s: not taken as a NIC: its packets are neither Ethernet frames nor "
			    "bare IP",
			    i->link.name);
	i->told_unusable = true;
	return ROLE_NONE;
}

/* The port of a bridge or of a switch carries what that has to do with. One that is down carries
 * nothing, but may be so for a moment only. */
static bool is_overlay(const struct iface *i)
{
	return iface_is_tunnel(i) && !i->link.master &&
	       (i->link.flags & IFF_UP || i->role == ROLE_NIC);
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
		.is_tunnel = is_overlay(i),
	};

	enum role role = l->flags & IFF_LOOPBACK ? ROLE_NONE : match_role(&q);

	if (role == ROLE_NONE && !strcmp(l->kind, "bridge") && has_pods(p, i))
		return ROLE_BRIDGE;
	return role == ROLE_NIC && l->framing == NL_FRAMING_OTHER ? refuse_nic(i) : role;
}

static int leave_role(struct local_node *node, struct iface *i)
{
	if (i->role == ROLE_POD)
		return pod_remove(node, i);
	if (i->role == ROLE_NIC)
		return nic_remove(node, i);
	i->role = ROLE_NONE;
	return 0;
}

static int bridge_refresh(struct local_node *node, struct iface *i)
{
	int r;

	if (i->role == ROLE_BRIDGE)
		return 0;
	r = attach_put_both(&node->attach, i->link.ifindex, node->loader->prog[PROG_FROM_BRIDGE],
			    -1);
	if (r && r != -ENODEV)
		return r;
	i->role = ROLE_BRIDGE;
	log_info("%s: attached as a bridge of pods", i->link.name);
	return 0;
}

static int settle(struct local_node *node, struct iface *i)
{
	enum role role = wanted_role(&node->pods, i), was = i->role;
	int r = 0;

	if (was != role)
		r = leave_role(node, i);
	if (!r && role == ROLE_POD)
		r = pod_refresh(node, i);
	else if (!r && role == ROLE_NIC)
		r = nic_refresh(node, i);
	else if (!r && role == ROLE_BRIDGE)
		r = bridge_refresh(node, i);
	else if (!r && was != ROLE_NONE)
		r = attach_remove(&node->attach, i->link.ifindex);
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

static int take_link(struct local_node *node, const struct nl_link *l)
{
	struct pods *p = &node->pods;
	struct iface *i = iface_find(p->ifaces, l->ifindex);
	int r = 0;

	if (!i) {
		i = iface_add(&p->ifaces);
		if (!i)
			return -ENOMEM;
		p->routes_dirty = true;
	}
	if ((i->link.flags ^ l->flags) & IFF_UP)
		note_flap(p, i);
	if (i->link.nsid != l->nsid)
		r = pod_forget_netns(node, i);
	if (memcmp(i->link.mac, l->mac, sizeof(l->mac)) != 0)
		touch_ports(p, l);
	touch_bridge(p, i);
	i->link = *l;
	touch_bridge(p, i);
	i->dirty = true;
	i->seen = true;
	return r;
}

/* The interface is no more, and with it whatever was attached to it. What can't be cleaned up now
 * is left to pods_prune(). */
static void drop_link(struct local_node *node, int ifindex)
{
	for (struct iface **at = &node->pods.ifaces; *at; at = &(*at)->next) {
		struct iface *i = *at;

		if (i->link.ifindex != ifindex)
			continue;
		touch_bridge(&node->pods, i);
		note_flap(&node->pods, i);
		if (leave_role(node, i) || attach_remove(&node->attach, ifindex) || i->failed)
			node->pods.prune_needed = true;
		*at = i->next;
		iface_free(i);
		node->pods.routes_dirty = true;
		return;
	}
}

static int see_link(void *arg, const struct nl_link *l)
{
	return take_link(arg, l);
}

static void drop_unseen(struct local_node *node)
{
	struct iface *next;

	for (struct iface *i = node->pods.ifaces; i; i = next) {
		next = i->next;
		if (!i->seen)
			drop_link(node, i->link.ifindex);
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

static int find_own_nsid(struct local_node *node)
{
	__u32 pid = (__u32)getpid();
	struct nl_request q;

	nl_begin(&q, RTM_GETNSID, 0, sizeof(struct rtgenmsg));
	nl_put(&q, NETNSA_PID, &pid, sizeof(pid));
	return nl_call(node->netlink, &q, read_own_nsid, &node->pods.own_nsid);
}

static int read_links(struct local_node *node)
{
	int r = find_own_nsid(node);

	if (r)
		return log_err(r, "find the node's own namespace");
	for (struct iface *i = node->pods.ifaces; i; i = i->next)
		i->seen = false;
	r = nl_each_link(node->netlink, see_link, node);
	if (r)
		return log_err(r, "list the interfaces");
	drop_unseen(node);
	node->pods.lost = false;
	node->pods.node_dirty = node->pods.routes_dirty = true;
	return 0;
}

/* ---- acting on what has changed ---- */

static void keep_first(int *r, int one)
{
	if (!*r)
		*r = one;
}

static void read_pods(struct local_node *node)
{
	for (struct iface *i = node->pods.ifaces; i; i = i->next) {
		if (i->dirty && wanted_role(&node->pods, i) == ROLE_POD)
			pod_read(node, i);
	}
}

/* Pods send their packets to bridges; tunnels get what room for NICs others leave. */
enum turn { TURN_BRIDGES, TURN_OTHERS, TURN_TUNNELS };

static enum turn turn_of(const struct pods *p, struct iface *i)
{
	if (wanted_role(p, i) == ROLE_BRIDGE)
		return TURN_BRIDGES;
	return nic_is_spare(p, i) ? TURN_TUNNELS : TURN_OTHERS;
}

/* All of them, whatever becomes of one. A NIC's failure is returned; that of a pod is its own. */
static int settle_ifaces(struct local_node *node, enum turn turn)
{
	struct pods *p = &node->pods;
	int r = 0;

	for (struct iface *i = p->ifaces; i; i = i->next) {
		int one;

		if (!i->dirty || turn_of(p, i) != turn)
			continue;
		one = settle(node, i);
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
	if (timerfd_settime(p->retry_timer.fd, 0, &t, NULL))
		return log_err(-errno, "set a timer");
	p->retry_armed = true;
	return 0;
}

/* Does all that is to be done; what fails is tried again later. */
static int settle_all(struct local_node *node)
{
	struct pods *p = &node->pods;
	int r = 0;

	if (p->lost)
		keep_first(&r, read_links(node));
	if (p->node_dirty)
		keep_first(&r, node_refresh(node));
	if (p->routes_dirty)
		keep_first(&r, default_routes_refresh(node));
	read_pods(node);
	for (enum turn turn = TURN_BRIDGES; turn <= TURN_TUNNELS; turn++)
		keep_first(&r, settle_ifaces(node, turn));
	keep_first(&r, pods_find_cookies(node));
	if (!r && p->prune_needed)
		keep_first(&r, pods_prune(node));
	if (p->sweep_needed)
		keep_first(&r, pods_sweep(node));
	if (r || has_failed(p) || p->node.full || pods_without_cookie(p))
		keep_first(&r, arm_retry(p));
	else
		p->retry_ms = RETRY_MIN_MS;
	return r;
}

static void on_retry_timer(void *arg, uint32_t events)
{
	struct local_node *node = arg;
	struct pods *p = &node->pods;
	uint64_t ticks;

	(void)events;
	if (read(p->retry_timer.fd, &ticks, sizeof(ticks)) < 0)
		return;
	p->retry_armed = false;
	p->retry_ms = 2 * p->retry_ms < RETRY_MAX_MS ? 2 * p->retry_ms : RETRY_MAX_MS;
	retry_failed(p);
	(void)settle_all(node);
}

static void on_leave_timer(void *arg, uint32_t events)
{
	struct local_node *node = arg;
	uint64_t ticks;

	(void)events;
	if (read(node->pods.leave_timer.fd, &ticks, sizeof(ticks)) < 0)
		return;
	pods_take_leavers(node);
	(void)settle_all(node);
}

void pods_init(struct pods *p)
{
	*p = (struct pods){
		.leave_timer.fd = -1,
		.retry_timer.fd = -1,
		.retry_ms = RETRY_MIN_MS,
		.own_nsid = NL_NSID_OWN,
	};
}

static int open_timer(struct local_node *node, struct event *e,
		      void (*fired)(void *arg, uint32_t events))
{
	int r;

	*e = (struct event){ .fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
			     .ready = fired,
			     .arg = node };
	r = e->fd < 0 ? -errno : event_watch(node->loop, e, EPOLLIN);
	return r ? log_err(r, "make a timer") : 0;
}

int pods_open(struct local_node *node, const struct node_options *o)
{
	int r;

	node->pods.match = strdup(o->pods ? o->pods : "auto");
	node->pods.nic = o->nic ? strdup(o->nic) : NULL;
	if (!node->pods.match || (o->nic && !node->pods.nic))
		return log_err(-ENOMEM, "follow the interfaces");
	r = open_timer(node, &node->pods.leave_timer, on_leave_timer);
	if (!r)
		r = open_timer(node, &node->pods.retry_timer, on_retry_timer);
	if (r)
		return r;
	node->pods.lost = true; /* everything that happened before now */
	node->pods.prune_needed = node->pods.sweep_needed = true;
	r = settle_all(node);
	return r == -EAGAIN || r == -EINTR ? 0 : r; /* things change: the timer comes back to it */
}

void pods_free(struct pods *p)
{
	while (p->ifaces) {
		struct iface *i = p->ifaces;

		p->ifaces = i->next;
		iface_free(i);
	}
	free(p->node.items);
	free(p->match);
	free(p->nic);
	event_close(&p->leave_timer);
	event_close(&p->retry_timer);
	addr_list_free(&p->gone);
	free(p->leaving.items);
	addr_set_free(&p->node.set);
}

/* ---- notifications ---- */

/* Something about the other end of one of our veths, or about an interface that we don't know. */
static void note_peer(struct pods *p, int nsid, int ifindex)
{
	struct iface *i = iface_find_by_peer(p->ifaces, nsid, ifindex);

	if (i)
		i->dirty = true;
}

/* A veth's peer that has left for another namespace: the end that stays says nothing of it. */
static void note_moved(struct local_node *node, const struct nl_link *moved)
{
	struct nl_link stays;
	int r = nl_get_link(node->netlink, NL_NSID_OWN, moved->peer, &stays);

	if (!r && stays.peer)
		r = take_link(node, &stays);
	node->pods.lost |= r && r != -ENODEV;
}

static void note_link(struct local_node *node, int nsid, const struct nlmsghdr *h)
{
	struct nl_link l;

	nl_link_parse(h, &l);
	if (nsid != NL_NSID_OWN) {
		note_peer(&node->pods, nsid, l.ifindex);
		return;
	}
	if (((const struct ifinfomsg *)NLMSG_DATA(h))->ifi_family != AF_UNSPEC)
		return; /* a bridge on its ports: not the interface itself */
	if (h->nlmsg_type == RTM_NEWLINK) {
		if (take_link(node, &l))
			node->pods.lost = true;
		return;
	}
	drop_link(node, l.ifindex);
	if (l.moved && l.peer)
		note_moved(node, &l);
}

static void note(void *arg, int nsid, const struct nlmsghdr *h)
{
	struct local_node *node = arg;

	if (nsid == node->pods.own_nsid)
		nsid = NL_NSID_OWN;
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		note_link(node, nsid, h);
		return;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		if (nsid == NL_NSID_OWN)
			node->pods.node_dirty = true;
		else
			note_peer(&node->pods, nsid,
				  (int)((const struct ifaddrmsg *)NLMSG_DATA(h))->ifa_index);
		return;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		node->pods.routes_dirty |= nl_is_default_route(h);
		pods_note_route(&node->pods, h);
		return;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		pods_doubt(&node->pods);
		return;
	}
}

int pods_follow(struct local_node *node)
{
	int r = nl_receive(node->links.fd, note, node);

	node->pods.lost |= r == -ENOBUFS;
	if (!r || r == -ENOBUFS)
		r = nl_receive(node->node_routes.fd, note, node);
	node->pods.lost |= r == -ENOBUFS;
	if (r && r != -ENOBUFS)
		return log_err(r, "read notifications of the kernel");
	return settle_all(node);
}
