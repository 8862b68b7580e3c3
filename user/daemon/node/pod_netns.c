/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods as their own sockets know them: by the cookie of their network namespace. It is only told
 * inside the namespace, which is found by its name or by one of its processes; until then tc steers
 * what the pod's packets ask for.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "daemon/bpf/map_batch.h"
#include "lib/base/addr.h"
#include "daemon/netlink/addr.h"
#include "daemon/node/node_priv.h"
#include "lib/base/id_set.h"
#include "lib/base/log.h"
#include "daemon/netlink/netns.h"

bool pod_lacks_cookie(const struct iface *i)
{
	return i->role == ROLE_POD && !i->netns_cookie;
}

static size_t count_lacking(const struct pods *p)
{
	size_t n = 0;

	for (const struct iface *i = p->ifaces; i; i = i->next)
		n += pod_lacks_cookie(i);
	return n;
}

size_t pods_without_cookie(const struct pods *p)
{
	return count_lacking(p);
}

/* 1 once no pod lacks it. */
static int note_namespace(void *arg, int nsid, int fd)
{
	struct pods *p = arg;
	__u64 cookie = 0;

	for (struct iface *i = p->ifaces; i; i = i->next) {
		if (!pod_lacks_cookie(i) || i->link.nsid != nsid)
			continue;
		if (!cookie && netns_cookie(fd, &cookie))
			return 0; /* it is just going */
		i->netns_cookie = cookie;
	}
	return count_lacking(p) == 0;
}

/* ---- the map ---- */

static void take_first(struct addr *first, const struct addr *a)
{
	if (addr_is_unset(first))
		*first = *a;
}

/* A pod may have several interfaces: rules know it by one of them. */
static bool describe(struct local_node *node, __u64 cookie, struct netns_pod *out)
{
	bool found = false, known = false;

	*out = (struct netns_pod){ .down = 1 };
	for (const struct iface *i = node->pods.ifaces; i; i = i->next) {
		struct addr identity;

		if (i->role != ROLE_POD || i->netns_cookie != cookie)
			continue;
		identity = pod_identity(node, i);
		if (!found || (!known && addr_set_has(&node->sources, &identity))) {
			out->addr = identity;
			out->ifindex = (__u32)i->link.ifindex;
			out->netns_id = (__u32)i->link.nsid;
			known = addr_set_has(&node->sources, &identity);
		}
		found = true;
		out->outside = !pod_is_member(node, i);
		if (i->peer_up)
			out->down = 0;
		for (size_t n = 0; n < i->addrs.count; n++)
			take_first(addr_is_v4(&i->addrs.items[n]) ? &out->addr4 : &out->addr6,
				   &i->addrs.items[n]);
	}
	return found;
}

/* Brings the map's entry of a namespace in step with its interfaces. */
static int write_netns(struct local_node *node, __u64 cookie)
{
	int fd = node->loader->map[MAP_NETNS_PODS];
	struct netns_pod now, pod;

	if (!cookie)
		return 0;
	if (!describe(node, cookie, &pod)) {
		bpf_map_delete_elem(fd, &cookie);
		return 0;
	}
	if (!bpf_map_lookup_elem(fd, &cookie, &now) && !memcmp(&now, &pod, sizeof(pod)))
		return 0;
	return bpf_map_update_elem(fd, &cookie, &pod, BPF_ANY)
		       ? log_err(-errno, "add the pod with the network namespace %llu",
				 (unsigned long long)cookie)
		       : 0;
}

int pod_write_netns(struct local_node *node, const struct iface *i)
{
	return write_netns(node, i->netns_cookie);
}

int pod_forget_netns(struct local_node *node, struct iface *i)
{
	__u64 cookie = i->netns_cookie;

	i->netns_cookie = 0;
	i->netns_written = false;
	node->pods.cookies_wanted = true;
	return write_netns(node, cookie);
}

int pods_find_cookies(struct local_node *node)
{
	struct pods *p = &node->pods;
	int r = 0;

	if (p->cookies_wanted && count_lacking(p))
		r = netns_each(node->netlink, note_namespace, p);
	if (r < 0)
		return log_err(r, "look for the pods' network namespaces");
	p->cookies_wanted = false;
	r = 0;
	for (struct iface *i = p->ifaces; !r && i; i = i->next) {
		if (i->role != ROLE_POD || !i->netns_cookie || i->netns_written)
			continue;
		r = pod_write_netns(node, i);
		i->netns_written = !r;
	}
	return r;
}

/* ---- what an earlier weftd has left ---- */

static bool is_current(const struct local_node *node, __u64 cookie, const struct netns_pod *pod)
{
	for (const struct iface *i = node->pods.ifaces; i; i = i->next) {
		if (i->netns_cookie == cookie)
			return true;
		/* not found yet, or not to be looked into now: the entry may well be right */
		if (i->link.ifindex == (int)pod->ifindex && (pod_lacks_cookie(i) || i->failed))
			return true;
	}
	return false;
}

struct stale {
	struct local_node *node;
	struct ids ids;
};

static int check(void *arg, const void *key, const void *value)
{
	struct stale *s = arg;
	const __u64 *cookie = key;
	int r = is_current(s->node, *cookie, value) ? 0 : ids_add(&s->ids, *cookie);

	return r < 0 ? r : 0;
}

int pods_prune_netns(struct local_node *node)
{
	struct stale s = { .node = node };
	int fd = node->loader->map[MAP_NETNS_PODS];
	int r = map_walk(fd, sizeof(__u64), sizeof(struct netns_pod), check, &s);

	for (size_t i = 0; !r && i < s.ids.room; i++) {
		if (s.ids.slots[i])
			bpf_map_delete_elem(fd, &s.ids.slots[i]);
	}
	ids_free(&s.ids);
	return r ? log_err(r, "clean the map %s", loader_map_name(MAP_NETNS_PODS)) : 0;
}

/* ---- into the pods' namespaces ---- */

struct visit {
	struct pods *pods;
	int (*each)(void *arg, __u64 cookie, int fd);
	void *arg;
};

static int visit_pod(void *arg, int nsid, int fd)
{
	struct visit *v = arg;

	for (const struct iface *i = v->pods->ifaces; i; i = i->next) {
		if (i->netns_cookie && i->link.nsid == nsid)
			return v->each(v->arg, i->netns_cookie, fd);
	}
	return 0;
}

int node_each_netns(struct local_node *node, int (*each)(void *arg, __u64 cookie, int fd),
		    void *arg)
{
	struct visit v = { &node->pods, each, arg };

	return netns_each(node->netlink, visit_pod, &v);
}
