/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose an address is. A pod may put any address on its interface, and says nothing by that. The
 * address belongs to the pod to which the node's own routes lead. Behind a bridge the route doesn't
 * tell one port from another: of the pods there that claim an address, the first keeps it for as
 * long as it has it.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/addr.h"
#include "daemon/node/node_priv.h"
#include "lib/base/log.h"

static struct iface *master_of(struct pods *p, const struct iface *i)
{
	return i->link.master ? iface_find(p->ifaces, i->link.master) : NULL;
}

static int vrf_of(struct pods *p, const struct iface *i)
{
	const struct iface *master = master_of(p, i);

	return master && !strcmp(master->link.kind, "vrf") ? master->link.ifindex : 0;
}

/* The node sends by the bridge itself or a VLAN of it, by an internal port of Open vSwitch. */
static bool leads_to_master(struct pods *p, const struct iface *by, const struct iface *master)
{
	while (by && by != master && !strcmp(by->link.kind, "vlan") && by->link.nsid == NL_NSID_OWN)
		by = iface_find(p->ifaces, by->link.peer);
	if (!by || by == master)
		return by;
	return !strcmp(master->link.kind, "openvswitch") && !strcmp(by->link.kind, "openvswitch");
}

/* Whether the node's route to an address leads to the pod, or -errno. */
static int leads_to(struct local_node *node, const struct iface *i, const struct addr *a)
{
	struct pods *p = &node->pods;
	const struct iface *master = master_of(p, i);
	struct nl_route route;
	int r = nl_get_route(node->netlink, a, vrf_of(p, i), &route);

	if (r)
		return r == -ENETUNREACH ? 0 : r;
	if (route.ifindex == i->link.ifindex)
		return 1;
	return master && !route.gateway &&
	       leads_to_master(p, iface_find(p->ifaces, route.ifindex), master);
}

/* According to the map, which an earlier weftd may have written. An ifindex; 0: no pod's. */
static int owner_so_far(struct local_node *node, const struct addr *a)
{
	__u32 ifindex;

	return bpf_map_lookup_elem(node->loader->map[MAP_POD_ADDRS], a, &ifindex) ? 0
										  : (int)ifindex;
}

/* A pod that is being replaced may still have the address, but is down. */
static bool goes_before(const struct iface *i, const struct iface *other, int owner)
{
	if (i->peer_up != other->peer_up)
		return i->peer_up;
	if (other->link.ifindex == owner)
		return false;
	return i->link.ifindex == owner || i->link.ifindex < other->link.ifindex;
}

static int find_owner(struct local_node *node, const struct addr *a, struct iface **out)
{
	struct iface *best = NULL;
	int owner = owner_so_far(node, a);

	for (struct iface *i = node->pods.ifaces; i; i = i->next) {
		int r = addr_list_has(&i->claims, a) ? leads_to(node, i, a) : 0;

		if (r < 0)
			return log_err(r, "find the route to a pod's address");
		if (r && (!best || goes_before(i, best, owner)))
			best = i;
	}
	*out = best;
	return 0;
}

/* Rules know a pod by its own addresses only. */
static void identify(struct local_node *node, struct iface *i)
{
	if (i->role == ROLE_POD && pod_write(node, i))
		i->failed = true;
}

static int give(struct local_node *node, struct iface *i, const struct addr *a)
{
	__u32 ifindex = (__u32)i->link.ifindex;
	int r = 0;

	if (bpf_map_update_elem(node->loader->map[MAP_POD_ADDRS], a, &ifindex, BPF_ANY))
		return log_err(-errno, "add an address of the pod behind %s", i->link.name);
	addr_list_remove(&i->lapsed, a);
	if (addr_list_has(&i->addrs, a))
		return 0;
	shortcut_changed(node);
	r = addr_list_add(&i->addrs, a);
	if (!r)
		identify(node, i);
	return r;
}

/* A pod that has lost nothing but the node's route keeps its connections: routes come back. */
static int take(struct local_node *node, struct iface *i, const struct addr *a,
		const struct iface *owner, bool *left)
{
	bool had = addr_list_remove(&i->addrs, a);
	bool lapsed = addr_list_remove(&i->lapsed, a);
	int r = 0;

	if ((had || lapsed) && !owner && addr_list_has(&i->claims, a))
		r = addr_list_add(&i->lapsed, a);
	else
		*left |= had || lapsed;
	if (had)
		identify(node, i);
	return r;
}

int pods_assign(struct local_node *node, const struct addr *a, bool for_good)
{
	struct iface *owner = NULL;
	bool left = false;
	int r = find_owner(node, a, &owner);

	if (!r && owner)
		r = give(node, owner, a);
	for (struct iface *i = node->pods.ifaces; !r && i; i = i->next) {
		if (i != owner)
			r = take(node, i, a, owner, &left);
	}
	if (r || owner)
		return r;
	if (left)
		r = for_good ? addr_list_add(&node->pods.gone, a) : pod_leave(&node->pods, a);
	if (!r)
		bpf_map_delete_elem(node->loader->map[MAP_POD_ADDRS], a);
	if (left)
		shortcut_changed(node);
	return r;
}

void pods_note_route(struct pods *p, const struct nlmsghdr *h)
{
	struct cidr to;

	if (!nl_route_prefix(h, &to))
		return;
	for (struct iface *i = p->ifaces; i; i = i->next) {
		for (size_t n = 0; n < i->claims.count; n++)
			i->dirty |= cidr_holds(&to, &i->claims.items[n]);
	}
}

void pods_doubt(struct pods *p)
{
	for (struct iface *i = p->ifaces; i; i = i->next)
		i->dirty |= i->claims.count > 0;
}
