/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's own addresses and the interfaces that connections from outside come by.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/addr.h"
#include "daemon/node/node_priv.h"
#include "lib/base/log.h"

enum { TUNNELS_MAX = 32 }; /* half of what the map `nics` holds */

/* ---- node addresses ---- */

struct found {
	struct node_addr *items;
	size_t count, room;
	struct addr_set set;
};

static void found_free(struct found *f)
{
	free(f->items);
	addr_set_free(&f->set);
}

static int find_addr(void *arg, int ifindex, const struct addr *a)
{
	struct found *f = arg;

	if (!addr_names_node(a))
		return 0;
	if (f->count == f->room) {
		size_t room = f->room ? 2 * f->room : 16;
		struct node_addr *more = reallocarray(f->items, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		f->items = more;
		f->room = room;
	}
	f->items[f->count++] = (struct node_addr){ *a, ifindex };
	return addr_set_add(&f->set, a);
}

/* As many as there is room for; `*full`: there was none for all. */
static int put_node_addrs(struct local_node *node, const struct found *f, bool *full)
{
	*full = false;
	for (size_t i = 0; i < f->count; i++) {
		__u32 ifindex = (__u32)f->items[i].ifindex;

		if (!bpf_map_update_elem(node->loader->map[MAP_NODE_ADDRS], &f->items[i].addr,
					 &ifindex, BPF_ANY))
			continue;
		if (errno != E2BIG)
			return log_err(-errno, "add an address of the node");
		*full = true;
	}
	return 0;
}

static void tell_full(struct pods *p, bool full)
{
	if (full && !p->node.full)
		log_warning("the node has more addresses than the map %s holds: services are not "
			    "reached by the others",
			    loader_map_name(MAP_NODE_ADDRS));
	p->node.full = full;
}

/* The new ones come before the old ones go, unless that is what makes room for them. */
static int replace_node_addrs(struct local_node *node, const struct found *f)
{
	struct pods *p = &node->pods;
	bool full;
	int r = put_node_addrs(node, f, &full);

	for (size_t i = 0; !r && i < p->node.count; i++) {
		if (!addr_set_has(&f->set, &p->node.items[i].addr))
			bpf_map_delete_elem(node->loader->map[MAP_NODE_ADDRS],
					    &p->node.items[i].addr);
	}
	if (!r && full)
		r = put_node_addrs(node, f, &full);
	if (!r)
		tell_full(p, full);
	return r;
}

int node_refresh(struct local_node *node)
{
	_cleanup_(found_free) struct found f = {};
	struct pods *p = &node->pods;
	int r = nl_each_addr(node->netlink, NL_NSID_OWN, 0, find_addr, &f);

	if (r)
		return log_err(r, "list the node's addresses");
	r = replace_node_addrs(node, &f);
	if (r) {
		p->prune_needed = true; /* some are there that `node` doesn't know */
		return r;
	}
	free(p->node.items);
	p->node.items = TAKE_PTR(f.items);
	p->node.count = f.count;
	addr_set_free(&p->node.set);
	p->node.set = f.set;
	f.set = (struct addr_set){};
	for (struct iface *i = p->ifaces; i; i = i->next)
		i->dirty |= i->role == ROLE_NIC;
	p->node_dirty = false;
	return 0;
}

/* ---- default routes ---- */

static int note_route(void *arg, int ifindex)
{
	struct iface *i = iface_find(arg, ifindex);

	if (i)
		i->seen = true;
	return 0;
}

int default_routes_refresh(struct local_node *node)
{
	int r;

	for (struct iface *i = node->pods.ifaces; i; i = i->next)
		i->seen = false;
	r = nl_each_default_route(node->netlink, note_route, node->pods.ifaces);
	if (r)
		return log_err(r, "list the default routes");
	for (struct iface *i = node->pods.ifaces; i; i = i->next) {
		i->dirty |= i->seen != i->default_route;
		i->default_route = i->seen;
		i->was_nic |= i->seen;
	}
	node->pods.routes_dirty = false;
	return 0;
}

/* ---- nics ---- */

/* The interface's first address of the family, or else the node's first: some NICs have none of
 * their own. */
static struct addr source_addr(const struct pods *p, int ifindex, bool v4)
{
	struct addr any = {};

	for (size_t i = p->node.count; i-- > 0;) {
		if (addr_is_v4(&p->node.items[i].addr) == v4)
			any = p->node.items[i].addr;
	}
	for (size_t i = 0; i < p->node.count; i++) {
		if (p->node.items[i].ifindex == ifindex && addr_is_v4(&p->node.items[i].addr) == v4)
			return p->node.items[i].addr;
	}
	return any;
}

bool nic_is_tunnel(const struct iface *i)
{
	return i->link.framing == NL_FRAMING_NONE || iface_is_tunnel(i);
}

enum prog_id nic_prog(const struct iface *i, enum hook hook)
{
	if (i->link.framing == NL_FRAMING_NONE)
		return hook == HOOK_INGRESS ? PROG_FROM_TUNNEL : PROG_TO_TUNNEL;
	return hook == HOOK_INGRESS ? PROG_FROM_NIC : PROG_TO_NIC;
}

static int put_programs(struct local_node *node, const struct iface *i)
{
	const int *prog = node->loader->prog;
	int r = i->link.framing == NL_FRAMING_NONE
			? loader_need_tunnel(node->loader, node->attach.dir)
			: 0;

	return r ? r
		 : attach_put_both(&node->attach, i->link.ifindex, prog[nic_prog(i, HOOK_INGRESS)],
				   prog[nic_prog(i, HOOK_EGRESS)]);
}

bool nic_is_spare(const struct pods *p, const struct iface *i)
{
	return iface_is_tunnel(i) && !i->default_route && !i->was_nic &&
	       !(p->nic && match_list(p->nic, i->link.name));
}

/* The map has room for more, which is for other interfaces. */
static bool has_enough_tunnels(const struct pods *p)
{
	unsigned count = 0;

	for (const struct iface *i = p->ifaces; i; i = i->next)
		count += i->role == ROLE_NIC && nic_is_spare(p, i);
	return count >= TUNNELS_MAX;
}

/* Some CNIs have a tunnel for each other node: what is left out is told once, and fails nothing. */
static int refuse_tunnel(struct iface *i)
{
	if (!i->told_unusable)
		log_warning("%s: not taken as a NIC: weft holds no more of them: --nic may name "
			    "those that matter",
			    i->link.name);
	i->told_unusable = true;
	return 0;
}

/* An earlier weftd may have filled the map with them. Those that stay come back in their turn. */
static void drop_tunnels(struct local_node *node)
{
	for (const struct iface *i = node->pods.ifaces; i; i = i->next) {
		__u32 key = (__u32)i->link.ifindex;

		if (i->role != ROLE_NIC && nic_is_spare(&node->pods, i))
			bpf_map_delete_elem(node->loader->map[MAP_NICS], &key);
	}
}

/* -E2BIG: there is no room. */
static int put_nic(struct local_node *node, const struct iface *i)
{
	int map = node->loader->map[MAP_NICS];
	__u32 key = (__u32)i->link.ifindex;
	struct nic nic = {
		.addr4 = source_addr(&node->pods, i->link.ifindex, true),
		.addr6 = source_addr(&node->pods, i->link.ifindex, false),
	};

	memcpy(nic.name, i->link.name, sizeof(nic.name));
	if (!bpf_map_update_elem(map, &key, &nic, BPF_ANY))
		return 0;
	if (errno != E2BIG || nic_is_spare(&node->pods, i))
		return -errno;
	drop_tunnels(node);
	return bpf_map_update_elem(map, &key, &nic, BPF_ANY) ? -errno : 0;
}

int nic_refresh(struct local_node *node, struct iface *i)
{
	int r;

	if (i->role != ROLE_NIC && nic_is_spare(&node->pods, i) && has_enough_tunnels(&node->pods))
		return refuse_tunnel(i);
	r = put_nic(node, i);
	if (r)
		return r == -E2BIG && iface_is_tunnel(i)
			       ? refuse_tunnel(i)
			       : log_err(r, "add the interface %s", i->link.name);
	i->xdp_refused = 0;
	if (i->role == ROLE_NIC)
		return nic_xdp_renew(node, i);
	r = put_programs(node, i);
	if (r && r != -ENODEV)
		return r;
	r = nic_xdp_put(node, i);
	if (r && r != -ENODEV)
		return r;
	i->role = ROLE_NIC;
	log_info("%s: attached as a NIC", i->link.name);
	return 0;
}

int nic_remove(struct local_node *node, struct iface *i)
{
	__u32 key = (__u32)i->link.ifindex;

	if (bpf_map_delete_elem(node->loader->map[MAP_NICS], &key) && errno != ENOENT)
		return log_err(-errno, "remove the interface %s", i->link.name);
	i->role = ROLE_NONE;
	return nic_xdp_remove(node, i);
}
