/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pod: its addresses and its entry in the maps.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "host.h"
#include "kernel_priv.h"
#include "log.h"

static int collect(void *arg, int ifindex, const struct addr *a)
{
	(void)ifindex;
	return addr_names_pod(a) && !addr_list_has(arg, a) ? addr_list_add(arg, a) : 0;
}

/*
 * A namespace that is just going has no addresses any more; its veth follows. Any other failure
 * says nothing about the pod.
 */
static int read_peer(struct kernel *k, struct iface *i, bool *up, struct addr_list *out)
{
	struct nl_link peer;
	int r = nl_get_link(k->netlink, i->link.nsid, i->link.peer, &peer);

	*up = false;
	if (!r) {
		*up = peer.flags & IFF_UP;
		memcpy(i->peer_mac, peer.mac, sizeof(i->peer_mac));
		r = nl_each_addr(k->netlink, i->link.nsid, i->link.peer, collect, out);
	}
	if (r == -ENODEV || r == -EINVAL) { /* no such interface, no such namespace */
		log_debug("%s: its namespace has gone: %s", i->link.name, strerror(-r));
		addr_list_free(out);
		r = 0;
	}
	return r ? log_err(r, "read the addresses of the pod behind %s", i->link.name) : 0;
}

/* Rules know a pod by one of its addresses; while they know none, the first IPv4 address is as good
 * as any. */
static struct addr identity(const struct kernel *k, const struct iface *i)
{
	for (size_t n = 0; n < i->addrs.count; n++) {
		if (addr_set_has(&k->sources, &i->addrs.items[n]))
			return i->addrs.items[n];
	}
	for (size_t n = 0; n < i->addrs.count; n++) {
		if (addr_is_v4(&i->addrs.items[n]))
			return i->addrs.items[n];
	}
	return i->addrs.count ? i->addrs.items[0] : (struct addr){};
}

static void write_bridge(struct kernel *k, const struct iface *i, struct pod *pod)
{
	const struct iface *bridge = pods_bridge(&k->pods, i);

	if (i->link.master)
		pod->bridge = BRIDGE_OTHER;
	if (!bridge)
		return;
	pod->bridge = (__u32)bridge->link.ifindex;
	memcpy(pod->bridge_mac, bridge->link.mac, sizeof(pod->bridge_mac));
}

static int write_pod(struct kernel *k, const struct iface *i)
{
	__u32 key = (__u32)i->link.ifindex;
	struct pod now = {}, pod = { .addr = identity(k, i), .netns_id = (__u32)i->link.nsid };

	memcpy(pod.mac, i->peer_mac, sizeof(pod.mac));
	memcpy(pod.host_mac, i->link.mac, sizeof(pod.host_mac));
	write_bridge(k, i, &pod);
	memcpy(pod.name, i->link.name, sizeof(pod.name));
	if (!bpf_map_lookup_elem(k->loader.map[MAP_PODS], &key, &now) &&
	    !memcmp(&now, &pod, sizeof(pod)))
		return 0;
	if (bpf_map_update_elem(k->loader.map[MAP_PODS], &key, &pod, BPF_ANY))
		return log_err(-errno, "add the pod behind %s", i->link.name);
	return 0;
}

int pods_identify(struct kernel *k)
{
	int r = 0;

	for (struct iface *i = k->pods.ifaces; !r && i; i = i->next) {
		if (i->role == ROLE_POD)
			r = write_pod(k, i);
	}
	return r;
}

static int put_addr(struct kernel *k, const struct iface *i, const struct addr *a)
{
	__u32 ifindex = (__u32)i->link.ifindex;

	if (bpf_map_update_elem(k->loader.map[MAP_POD_ADDRS], a, &ifindex, BPF_ANY))
		return log_err(-errno, "add an address of the pod behind %s", i->link.name);
	return 0;
}

/* While a pod is replaced, two may have one address: the other takes it over. */
static int drop_addr(struct kernel *k, const struct iface *gone, const struct addr *a,
		     bool for_good)
{
	__u32 owner;
	int r;

	if (bpf_map_lookup_elem(k->loader.map[MAP_POD_ADDRS], a, &owner) ||
	    owner != (__u32)gone->link.ifindex)
		return 0;
	for (struct iface *i = k->pods.ifaces; i; i = i->next) {
		if (i != gone && i->role == ROLE_POD && addr_list_has(&i->addrs, a))
			return put_addr(k, i, a);
	}
	r = for_good ? addr_list_add(&k->pods.gone, a) : pod_leave(&k->pods, a);
	if (!r)
		bpf_map_delete_elem(k->loader.map[MAP_POD_ADDRS], a);
	return r;
}

/* What may still be in the map must not be forgotten. */
static void keep_addrs(struct iface *i, const struct addr_list *old)
{
	for (size_t n = 0; n < old->count; n++) {
		if (!addr_list_has(&i->addrs, &old->items[n]))
			addr_list_add(&i->addrs, &old->items[n]);
	}
}

static int swap_addrs(struct kernel *k, struct iface *i, struct addr_list *fresh, bool for_good)
{
	struct addr_list old = i->addrs;
	int r = 0;

	i->addrs = *fresh;
	*fresh = old;
	for (size_t n = 0; !r && n < i->addrs.count; n++)
		r = put_addr(k, i, &i->addrs.items[n]);
	for (size_t n = 0; !r && n < old.count; n++) {
		if (!addr_list_has(&i->addrs, &old.items[n]))
			r = drop_addr(k, i, &old.items[n], for_good);
	}
	if (r)
		keep_addrs(i, &old);
	return r;
}

/* The maps first, then the program: its first packet must already find who sends it. */
int pod_refresh(struct kernel *k, struct iface *i)
{
	_cleanup_(addr_list_free) struct addr_list fresh = {};
	bool up;
	int r = read_peer(k, i, &up, &fresh);

	for (size_t n = 0; !r && i->peer_up && !up && n < i->addrs.count; n++)
		r = pod_leave(&k->pods, &i->addrs.items[n]);
	if (!r) {
		i->peer_up = up;
		r = swap_addrs(k, i, &fresh, false);
	}
	if (!r)
		r = write_pod(k, i);
	if (r || i->role == ROLE_POD)
		return r;
	r = attach_put_both(&k->attach, i->link.ifindex, k->loader.prog[PROG_FROM_POD],
			    k->loader.prog[PROG_TO_POD]);
	if (r && r != -ENODEV)
		return r;
	i->role = ROLE_POD;
	log_info("%s: attached as a pod with %zu addresses", i->link.name, i->addrs.count);
	return 0;
}

int pod_remove(struct kernel *k, struct iface *i)
{
	_cleanup_(addr_list_free) struct addr_list none = {};
	__u32 key = (__u32)i->link.ifindex;
	int r = swap_addrs(k, i, &none, true);

	if (r)
		return r;
	if (bpf_map_delete_elem(k->loader.map[MAP_PODS], &key) && errno != ENOENT)
		return log_err(-errno, "remove the pod behind %s", i->link.name);
	i->role = ROLE_NONE;
	k->pods.sweep_needed = true;
	return 0;
}
