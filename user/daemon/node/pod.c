/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pod: its addresses and its entry in the maps.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/addr.h"
#include "daemon/node/node_priv.h"
#include "lib/base/log.h"

static int collect(void *arg, int ifindex, const struct addr *a)
{
	(void)ifindex;
	return addr_names_pod(a) && !addr_list_has(arg, a) ? addr_list_add(arg, a) : 0;
}

/*
 * A namespace that is just going has no addresses any more; its veth follows. Any other failure
 * says nothing about the pod.
 */
static int read_peer(struct local_node *node, struct iface *i, bool *up, struct addr_list *out)
{
	struct nl_link peer;
	int r = nl_get_link(node->netlink, i->link.nsid, i->link.peer, &peer);

	*up = false;
	if (!r) {
		*up = peer.flags & IFF_UP;
		memcpy(i->peer_mac, peer.mac, sizeof(i->peer_mac));
		r = nl_each_addr(node->netlink, i->link.nsid, i->link.peer, collect, out);
	}
	if (r == -ENODEV || r == -EINVAL) { /* no such interface, no such namespace */
		log_debug("%s: its namespace has gone: %s", i->link.name, strerror(-r));
		addr_list_free(out);
		r = 0;
	}
	return r ? log_err(r, "read the addresses of the pod behind %s", i->link.name) : 0;
}

static bool is_source(const struct local_node *node, const struct addr *a)
{
	return addr_set_has(&node->sources, a);
}

static bool is_any_v4(const struct local_node *node, const struct addr *a)
{
	(void)node;
	return addr_is_v4(a);
}

/* The first that is the pod's own, in the order in which it has them. */
static const struct addr *first(const struct local_node *node, const struct iface *i,
				bool (*fits)(const struct local_node *node, const struct addr *a))
{
	for (size_t n = 0; n < i->claims.count; n++) {
		const struct addr *a = &i->claims.items[n];

		if (addr_list_has(&i->addrs, a) && fits(node, a))
			return a;
	}
	return NULL;
}

/* Rules know a pod by one of its addresses; while they know none, the first IPv4 address is as good
 * as any. */
struct addr pod_identity(const struct local_node *node, const struct iface *i)
{
	const struct addr *a = first(node, i, is_source);

	if (!a)
		a = first(node, i, is_any_v4);
	if (!a && i->addrs.count)
		a = &i->addrs.items[0];
	return a ? *a : (struct addr){};
}

static void write_bridge(struct local_node *node, const struct iface *i, struct pod *pod)
{
	const struct iface *bridge = iface_bridge(node->pods.ifaces, i);

	if (i->link.master)
		pod->bridge = BRIDGE_OTHER;
	if (!bridge)
		return;
	pod->bridge = (__u32)bridge->link.ifindex;
	memcpy(pod->bridge_mac, bridge->link.mac, sizeof(pod->bridge_mac));
}

bool pod_is_member(const struct local_node *node, const struct iface *i)
{
	if (node->all_pods)
		return true;
	for (const struct iface *other = node->pods.ifaces; other; other = other->next) {
		if (other->link.nsid != i->link.nsid)
			continue;
		for (size_t n = 0; n < other->addrs.count; n++) {
			if (addr_set_has(&node->members, &other->addrs.items[n]))
				return true;
		}
	}
	return false;
}

/* Also as an endpoint, a pod outside of the mesh keeps to the node's way. */
static bool may_cut_short(const struct local_node *node, const struct iface *i)
{
	return pod_is_member(node, i) && (node->shortcut.mode == SHORTCUT_ALWAYS ||
					  (node->shortcut.mode == SHORTCUT_AUTO && i->bare));
}

static int write_pod(struct local_node *node, const struct iface *i)
{
	__u32 key = (__u32)i->link.ifindex;
	struct pod now = {},
		   pod = { .addr = pod_identity(node, i), .netns_id = (__u32)i->link.nsid };

	memcpy(pod.mac, i->peer_mac, sizeof(pod.mac));
	memcpy(pod.host_mac, i->link.mac, sizeof(pod.host_mac));
	write_bridge(node, i, &pod);
	pod.shortcut = may_cut_short(node, i);
	pod.outside = !pod_is_member(node, i);
	memcpy(pod.name, i->link.name, sizeof(pod.name));
	if (!bpf_map_lookup_elem(node->loader->map[MAP_PODS], &key, &now) &&
	    !memcmp(&now, &pod, sizeof(pod)))
		return 0;
	if (bpf_map_update_elem(node->loader->map[MAP_PODS], &key, &pod, BPF_ANY))
		return log_err(-errno, "add the pod behind %s", i->link.name);
	shortcut_changed(node);
	return 0;
}

/* An address of one interface may bring the others into the mesh. */
int pod_write(struct local_node *node, const struct iface *i)
{
	int r = write_pod(node, i);

	for (const struct iface *o = node->pods.ifaces; !r && !node->all_pods && o; o = o->next) {
		if (o != i && o->role == ROLE_POD && o->link.nsid == i->link.nsid)
			r = write_pod(node, o);
	}
	return r ? r : pod_write_netns(node, i);
}

static bool has_any(const struct iface *i, const struct addr_set *addrs)
{
	for (size_t n = 0; n < i->addrs.count; n++) {
		if (addr_set_has(addrs, &i->addrs.items[n]))
			return true;
	}
	return false;
}

int pods_identify(struct local_node *node, const struct addr_set *changed)
{
	int r = 0;

	for (struct iface *i = node->pods.ifaces; !r && i; i = i->next) {
		if (i->role == ROLE_POD && (!changed || has_any(i, changed)))
			r = pod_write(node, i);
	}
	return r;
}

/* Its connections end, unless it is up again in a moment. */
static int leave_all(struct local_node *node, const struct iface *i)
{
	int r = 0;

	for (size_t n = 0; !r && n < i->addrs.count; n++)
		r = pod_leave(&node->pods, &i->addrs.items[n]);
	for (size_t n = 0; !r && n < i->lapsed.count; n++)
		r = pod_leave(&node->pods, &i->lapsed.items[n]);
	return r;
}

void pod_read(struct local_node *node, struct iface *i)
{
	_cleanup_(addr_list_free) struct addr_list fresh = {};
	struct addr_list old = i->claims;
	bool up;
	int r = read_peer(node, i, &up, &fresh);

	if (!r && i->peer_up && !up)
		r = leave_all(node, i);
	i->claims_error = r;
	if (r)
		return;
	i->peer_up = up;
	i->claims = fresh;
	fresh = old;
}

static int add_missing(struct addr_list *to, const struct addr_list *from)
{
	int r = 0;

	for (size_t n = 0; !r && n < from->count; n++) {
		if (!addr_list_has(to, &from->items[n]))
			r = addr_list_add(to, &from->items[n]);
	}
	return r;
}

/* What it claims and what it had. */
static int assign_all(struct local_node *node, const struct iface *i, bool for_good)
{
	_cleanup_(addr_list_free) struct addr_list all = {};
	int r = add_missing(&all, &i->claims);

	if (!r)
		r = add_missing(&all, &i->addrs);
	if (!r)
		r = add_missing(&all, &i->lapsed);
	for (size_t n = 0; !r && n < all.count; n++)
		r = pods_assign(node, &all.items[n], for_good);
	return r;
}

/* The maps first, then the program: its first packet must already find its source. */
int pod_refresh(struct local_node *node, struct iface *i)
{
	int r = i->claims_error;

	if (!r)
		r = assign_all(node, i, false);
	if (!r)
		r = pod_write(node, i);
	if (r || i->role == ROLE_POD)
		return r;
	r = attach_put_both(&node->attach, i->link.ifindex, node->loader->prog[PROG_FROM_POD],
			    node->loader->prog[PROG_TO_POD]);
	if (r && r != -ENODEV)
		return r;
	i->role = ROLE_POD;
	node->pods.cookies_wanted = true;
	log_info("%s: attached as a pod with %zu addresses", i->link.name, i->addrs.count);
	return 0;
}

int pod_remove(struct local_node *node, struct iface *i)
{
	__u32 key = (__u32)i->link.ifindex;
	int r;

	addr_list_free(&i->claims);
	r = assign_all(node, i, true);
	if (r)
		return r;
	if (bpf_map_delete_elem(node->loader->map[MAP_PODS], &key) && errno != ENOENT)
		return log_err(-errno, "remove the pod behind %s", i->link.name);
	i->role = ROLE_NONE;
	shortcut_changed(node);
	node->pods.sweep_needed = true;
	return pod_write_netns(node, i);
}
