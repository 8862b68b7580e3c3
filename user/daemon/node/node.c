/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/node/node.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/node/node_priv.h"
#include "daemon/node/tproxy_rules.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"

DEFINE_CLEANUP(struct local_node *, node_close);

static void follow(void *arg, uint32_t events)
{
	struct local_node *node = arg;
	int r = pods_follow(node);

	(void)events;
	if (r)
		log_err(r, "follow the node's interfaces");
	bare_soon(node);
	node->changed(node->arg);
}

static int watch(struct local_node *node, struct event *e, const char *what)
{
	int r;

	if (e->fd < 0)
		return log_err(e->fd, "listen to changes of %s", what);
	e->ready = follow;
	e->arg = node;
	r = event_watch(node->loop, e, EPOLLIN);
	return r ? log_err(r, "watch for changes of %s", what) : 0;
}

/* To listen before asking is to miss nothing. */
static int open_netlink(struct local_node *node)
{
	static const unsigned links[] = { RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
					  0 };
	static const unsigned routes[] = { RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
					   RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, 0 };
	int r;

	node->links.fd = nl_listen(links, true);
	r = watch(node, &node->links, "interfaces");
	if (r)
		return r;
	node->node_routes.fd = nl_listen(routes, false);
	r = watch(node, &node->node_routes, "routes");
	if (r)
		return r;
	node->netlink = nl_open();
	return node->netlink < 0 ? log_err(node->netlink, "open a netlink socket") : 0;
}

static struct local_node *node_new(const struct node_options *o)
{
	struct local_node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->loader = o->loader;
	node->loop = o->loop;
	node->netlink = node->links.fd = node->node_routes.fd = -1;
	node->gone = o->gone;
	node->changed = o->changed;
	node->arg = o->arg;
	node->sources = *o->sources;
	*o->sources = (struct addr_set){};
	node->members = *o->members;
	*o->members = (struct addr_set){};
	node->all_pods = o->all_pods;
	node->xdp = o->xdp;
	bare_init(&node->bare);
	restore_init(&node->restore);
	pods_init(&node->pods);
	return node;
}

int node_open(const struct node_options *o, struct local_node **out)
{
	_cleanup_(node_closep) struct local_node *node = node_new(o);
	int r = node ? open_netlink(node) : log_err(-ENOMEM, "follow the node's interfaces");

	if (!r && o->tproxy)
		r = node_need_tproxy(node);
	if (!r)
		r = attach_open(&node->attach, o->dir, node->netlink);
	if (!r)
		r = shortcut_open(node, o->shortcut);
	if (!r)
		r = bare_open(node, o->shortcut == SHORTCUT_AUTO || o->xdp != XDP_OFF);
	if (!r)
		r = pods_open(node, o);
	if (!r)
		r = restore_open(node);
	if (r)
		return r;
	*out = TAKE_PTR(node);
	return 0;
}

void node_close(struct local_node *node)
{
	if (!node)
		return;
	pods_free(&node->pods);
	bare_free(&node->bare);
	restore_free(&node->restore);
	addr_set_free(&node->sources);
	addr_set_free(&node->members);
	event_close(&node->links);
	event_close(&node->node_routes);
	closep(&node->netlink);
	free(node);
}

static int change_set(struct addr_set *set, const struct addr_list *add,
		      const struct addr_list *remove, struct addr_set *changed)
{
	int r = 0;

	for (size_t i = 0; !r && i < remove->count; i++) {
		addr_set_remove(set, &remove->items[i]);
		r = addr_set_add(changed, &remove->items[i]);
	}
	for (size_t i = 0; !r && i < add->count; i++) {
		r = addr_set_add(set, &add->items[i]);
		if (!r)
			r = addr_set_add(changed, &add->items[i]);
	}
	return r;
}

int node_identify(struct local_node *node, const struct node_identities *change)
{
	_cleanup_(addr_set_free) struct addr_set changed = {};
	int r;

	if (change->first)
		addr_set_free(&node->members);
	r = change_set(&node->sources, change->came, change->gone, &changed);
	if (!r)
		r = change_set(&node->members, change->joined, change->left, &changed);
	if (r)
		return log_err(r, "note which pods rules know");
	return pods_identify(node, change->first ? NULL : &changed);
}

int node_need_tproxy(struct local_node *node)
{
	int r = node->tproxy ? 0 : tproxy_add(node->netlink);

	node->tproxy |= !r;
	return r;
}

void node_drop_tproxy(struct local_node *node)
{
	if (!node->tproxy)
		tproxy_remove(node->netlink);
}

struct node_counts node_count(const struct local_node *node)
{
	struct node_counts n = { .pods_unknown = (unsigned)pods_without_cookie(&node->pods) };

	for (const struct iface *i = node->pods.ifaces; i; i = i->next) {
		n.pods += i->role == ROLE_POD;
		n.members += i->role == ROLE_POD && pod_is_member(node, i);
		n.nics += i->role == ROLE_NIC;
	}
	return n;
}

void node_status(struct local_node *node, struct node_status *out)
{
	const struct node_counts counts = node_count(node);

	*out = (struct node_status){
		.pods = counts.pods,
		.nics = counts.nics,
		.members = counts.members,
		.pods_unknown = counts.pods_unknown,
		.tcx = node->attach.tcx,
		.tproxy = node->tproxy,
		.shortcut = node->shortcut.text,
	};
	netfilter_on_forward(node, out->netfilter, sizeof(out->netfilter));
	nic_xdp_status(node, out->xdp, sizeof(out->xdp));
}

void node_each_lacking(struct local_node *node,
		       void (*each)(void *arg, const char *ifname, const char *why), void *arg)
{
	for (const struct iface *i = node->pods.ifaces; i; i = i->next) {
		if (i->failed)
			each(arg, i->link.name, "could not be followed yet: see the log");
		else if (pod_lacks_cookie(i) && pod_is_member(node, i))
			each(arg, i->link.name, "the network namespace behind it is not found yet");
	}
}

bool node_has_pod(const struct local_node *node, const struct addr *a)
{
	for (const struct iface *i = node->pods.ifaces; i; i = i->next) {
		if (i->role == ROLE_POD && addr_list_has(&i->addrs, a))
			return true;
	}
	return false;
}
