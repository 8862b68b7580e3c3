/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an earlier weftd knew and is true no more.
 */
#include <bpf/bpf.h>
#include <errno.h>

#include "lib/base/cleanup.h"
#include "daemon/bpf/map_batch.h"
#include "daemon/node/node_priv.h"
#include "lib/base/id_set.h"
#include "lib/base/log.h"

/* Keys of a map, to be deleted after the walk. */
struct stale {
	struct local_node *node;
	struct addr_list addrs;
	struct ids ids;
};

static void stale_free(struct stale *s)
{
	addr_list_free(&s->addrs);
	ids_free(&s->ids);
}

/* What an earlier weftd knew of an interface that could not be followed yet is better than nothing.
 */
static bool has_role(struct local_node *node, __u32 ifindex, enum role role)
{
	const struct iface *i = iface_find(node->pods.ifaces, (int)ifindex);

	return i && (i->role == role || i->failed);
}

static int add_id(struct stale *s, __u32 id)
{
	int r = ids_add(&s->ids, id);

	return r < 0 ? r : 0;
}

static int check_pod(void *arg, const void *key, const void *value)
{
	struct stale *s = arg;

	(void)value;
	return has_role(s->node, *(const __u32 *)key, ROLE_POD) ? 0
								: add_id(s, *(const __u32 *)key);
}

static int check_nic(void *arg, const void *key, const void *value)
{
	struct stale *s = arg;

	(void)value;
	return has_role(s->node, *(const __u32 *)key, ROLE_NIC) ? 0
								: add_id(s, *(const __u32 *)key);
}

static int check_pod_addr(void *arg, const void *key, const void *value)
{
	struct stale *s = arg;
	const struct iface *i = iface_find(s->node->pods.ifaces, (int)*(const __u32 *)value);

	return i && (i->failed || (i->role == ROLE_POD && addr_list_has(&i->addrs, key)))
		       ? 0
		       : addr_list_add(&s->addrs, key);
}

static int check_node_addr(void *arg, const void *key, const void *value)
{
	struct stale *s = arg;
	const struct pods *p = &s->node->pods;

	(void)value;
	return addr_set_has(&p->node.set, key) ? 0 : addr_list_add(&s->addrs, key);
}

static int prune_ids(struct local_node *node, enum map_id map, size_t value_size,
		     int (*check)(void *arg, const void *key, const void *value))
{
	_cleanup_(stale_free) struct stale s = { .node = node };
	int r = map_walk(node->loader->map[map], sizeof(__u32), value_size, check, &s);

	for (size_t i = 0; !r && i < s.ids.room; i++) {
		__u32 id = (__u32)s.ids.slots[i];

		if (id)
			bpf_map_delete_elem(node->loader->map[map], &id);
	}
	return r ? log_err(r, "clean the map %s", loader_map_name(map)) : 0;
}

static int prune_addrs(struct local_node *node, enum map_id map, bool pods,
		       int (*check)(void *arg, const void *key, const void *value))
{
	_cleanup_(stale_free) struct stale s = { .node = node };
	int r = map_walk(node->loader->map[map], sizeof(struct addr), sizeof(__u32), check, &s);

	for (size_t i = 0; !r && i < s.addrs.count; i++) {
		if (pods)
			r = addr_list_add(&node->pods.gone, &s.addrs.items[i]);
		if (!r)
			bpf_map_delete_elem(node->loader->map[map], &s.addrs.items[i]);
	}
	node->pods.sweep_needed |= node->pods.gone.count > 0;
	return r ? log_err(r, "clean the map %s", loader_map_name(map)) : 0;
}

static bool is_ours(void *arg, int ifindex)
{
	const struct iface *i = iface_find(((struct local_node *)arg)->pods.ifaces, ifindex);

	return i && (i->role != ROLE_NONE || i->failed);
}

int pods_prune(struct local_node *node)
{
	int r = prune_ids(node, MAP_PODS, sizeof(struct pod), check_pod);

	if (!r)
		r = prune_ids(node, MAP_NICS, sizeof(struct nic), check_nic);
	if (!r)
		r = prune_ids(node, MAP_XDP_NICS, sizeof(struct xdp_nic), check_nic);
	if (!r)
		r = prune_addrs(node, MAP_POD_ADDRS, true, check_pod_addr);
	if (!r)
		r = prune_addrs(node, MAP_NODE_ADDRS, false, check_node_addr);
	if (!r)
		r = pods_prune_netns(node);
	if (!r)
		r = attach_prune(&node->attach, is_ours, node);
	if (!r)
		r = nic_xdp_prune(node);
	if (!r)
		node->pods.prune_needed = false;
	return r;
}
