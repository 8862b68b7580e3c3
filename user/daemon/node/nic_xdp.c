/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XDP on a NIC: whether it runs there, and what it may do (struct xdp_nic).
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/netlink/netdev.h"
#include "daemon/node/node_priv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
	MTU_OF_ALL = 1500
}; /* bytes: with that MTU every driver that runs XDP programs takes ours */

/* Whether the driver does without jumbo frames what it has refused with -errno `r`, which is one of
 * those that drivers have for that. Fills in the MTU that it has been refused with. */
static bool minds_mtu(struct local_node *node, const struct iface *i, int r, int *mtu)
{
	struct nl_link l;
	__u64 features = 0;

	if ((r != -EINVAL && r != -ERANGE && r != -EMSGSIZE && r != -EOPNOTSUPP) ||
	    nl_get_link(node->netlink, NL_NSID_OWN, i->link.ifindex, &l) || l.mtu <= MTU_OF_ALL)
		return false;
	*mtu = l.mtu;
	return r != -EOPNOTSUPP ||
	       (!netdev_xdp_features(i->link.ifindex, &features) && features & NETDEV_XDP_RUNS);
}

static const char *reason_of(int r)
{
	switch (-r) {
	case EBUSY:
	case EEXIST:
		return "another XDP program is there";
	case EOPNOTSUPP:
		return "the driver has no XDP";
	default:
		return "the driver refuses it";
	}
}

static int put_program(struct local_node *node, const struct iface *i, enum xdp_mode mode)
{
	return xdp_put(node->attach.dir, i->link.ifindex, node->loader->prog[PROG_FROM_WIRE], mode);
}

/* A VLAN of `lower`, for one. */
static bool is_on(const struct iface *i, const struct iface *lower)
{
	return i->link.peer == lower->link.ifindex && i->link.nsid == NL_NSID_OWN;
}

/* The kernel takes no program for an interface while one is on a VLAN of it: ours go for a moment.
 */
static bool lift(struct local_node *node, const struct iface *lower)
{
	bool any = false;

	for (const struct iface *i = node->pods.ifaces; i; i = i->next)
		if (is_on(i, lower) && xdp_runs_any(node->attach.dir, i->link.ifindex))
			any |= !xdp_remove(node->attach.dir, i->link.ifindex);
	return any;
}

static void put_down(struct local_node *node, const struct iface *lower)
{
	for (const struct iface *i = node->pods.ifaces; i; i = i->next) {
		int r = is_on(i, lower) && i->xdp != XDP_OFF ? put_program(node, i, i->xdp) : 0;

		if (r)
			log_err(r, "put the XDP program back on %s", i->link.name);
	}
}

static int put(struct local_node *node, struct iface *i, enum xdp_mode mode)
{
	int r = put_program(node, i, mode);
	struct nl_link l;

	if (r == -EEXIST && lift(node, i)) {
		r = put_program(node, i, mode);
		put_down(node, i);
	}

	return r && nl_get_link(node->netlink, NL_NSID_OWN, i->link.ifindex, &l) == -ENODEV
		       ? -ENODEV
		       : r;
}

/* Why put() has failed with `r`. Returns false. */
static bool because_refused(struct local_node *node, const struct iface *i, int r,
			    struct reason_text *why)
{
	int mtu;

	if (minds_mtu(node, i, r, &mtu))
		return because(why, "the driver refuses it with an MTU of %d", mtu);
	return because(why, "%s", reason_of(r));
}

/* ---- what is permitted there ---- */

enum sends {
	SENDS_NOT,
	SENDS_UNKNOWN, /* the kernel does not tell */
	SENDS,
};

static enum sends sends(const struct iface *i)
{
	__u64 features = 0;

	if (i->xdp == XDP_GENERIC)
		return SENDS; /* as any frame of the node's */
	if (netdev_xdp_features(i->link.ifindex, &features))
		return SENDS_UNKNOWN;
	return features & NETDEV_XDP_SENDS ? SENDS : SENDS_NOT;
}

/*
 * A veth drops what XDP sends while its other end does not receive as a device of XDP's (NAPI):
 * where the kernel tells, that is kept from happening. A card that runs XDP sends what has come by
 * itself (XDP_TX), also where it takes nothing from others.
 */
static bool answers(const struct local_node *node, const struct iface *i, struct reason_text *why)
{
	enum sends s = strcmp(i->link.kind, "veth") != 0 ? SENDS : sends(i);

	if (s == SENDS_NOT)
		return because(why, "the veth's other end has neither XDP nor GRO");
	if (s == SENDS_UNKNOWN && node->xdp == XDP_AUTO)
		return because(why, "the kernel does not tell whether a veth can send");
	return true;
}

/* A driver may hide the tags of VLANs from XDP, which would answer, or open a connection, without
 * one. */
static bool has_vlans(const struct local_node *node, const struct iface *nic)
{
	for (const struct iface *i = node->pods.ifaces; i; i = i->next)
		if (is_on(i, nic) && !strcmp(i->link.kind, "vlan"))
			return true;
	return false;
}

int nic_xdp_write(struct local_node *node, const struct iface *i)
{
	__u32 key = (__u32)i->link.ifindex;
	struct xdp_nic n = { .until = i->xdp_until };
	struct reason_text why;

	if (i->xdp == XDP_OFF)
		return bpf_map_delete_elem(node->loader->map[MAP_XDP_NICS], &key) && errno != ENOENT
			       ? log_err(-errno, "forbid XDP on %s", i->link.name)
			       : 0;
	memcpy(n.mac, i->link.mac, sizeof(n.mac));
	n.sends = sends(i) == SENDS;
	n.opens = node->xdp == XDP_AUTO && !has_vlans(node, i);
	n.answers = answers(node, i, &why) && !has_vlans(node, i);
	n.no_bridge = strcmp(i->link.kind, "bridge") != 0;
	return bpf_map_update_elem(node->loader->map[MAP_XDP_NICS], &key, &n, BPF_ANY)
		       ? log_err(-errno, "permit XDP on %s", i->link.name)
		       : 0;
}

/* `why`: NULL if it may. */
static int permit(struct local_node *node, struct iface *i, const char *why)
{
	__u64 valid = node->xdp == XDP_AUTO ? clock_ns() + BARE_VALID_NS : ~0ull;

	if (strcmp(i->xdp_why, why ? why : "") != 0)
		log_info("%s: XDP, %s: %s%s", i->link.name, xdp_mode_name(i->xdp),
			 why && i->xdp != XDP_OFF ? "not used: " : "", why ? why : "in use");
	snprintf(i->xdp_why, sizeof(i->xdp_why), "%s", why ? why : "");
	i->xdp_until = why ? 0 : valid;
	return nic_xdp_write(node, i);
}

/* What was asked for, on a NIC where it runs. */
static int permit_forced(struct local_node *node, struct iface *i)
{
	struct reason_text why;

	if (i->xdp == XDP_OFF)
		return nic_xdp_write(node, i);
	return permit(node, i, answers(node, i, &why) ? NULL : why.s);
}

/* ---- auto ---- */

/* In the driver, where nothing would mind: asked once, until something of the interface changes. */
static bool put_auto(struct local_node *node, struct iface *i, struct reason_text *why)
{
	int r = i->xdp_refused;

	if (i->xdp != XDP_OFF)
		return true;
	if (!r)
		r = put(node, i, XDP_NATIVE);
	i->xdp_refused = r;
	i->xdp = r ? XDP_OFF : XDP_NATIVE;
	return r ? because_refused(node, i, r, why) : true;
}

/* XDP that an earlier weftd has left on a NIC is ours from now on; nothing is permitted yet. */
static int adopt(struct local_node *node, struct iface *i)
{
	int r = 0;

	i->xdp_until = 0;
	snprintf(i->xdp_why, sizeof(i->xdp_why), "not looked at yet");
	if (xdp_runs_any(node->attach.dir, i->link.ifindex)) {
		r = put(node, i, XDP_NATIVE);
		i->xdp = r ? XDP_OFF : XDP_NATIVE;
	}
	if (r && r != -ENODEV)
		r = nic_xdp_remove(node, i);
	bare_soon(node);
	return r ? r : nic_xdp_write(node, i);
}

/* What it carries has come by another NIC's wire already. */
static int permit_tunnel(struct local_node *node, struct iface *i)
{
	return permit(node, i, "a tunnel");
}

/* What runs there stays: to take it off would stop some cards for a moment. */
static int judge(struct local_node *node, struct iface *i, bool bare, struct reason_text *why)
{
	bool may = bare && nic_is_bare(node, i, why) && answers(node, i, why) &&
		   put_auto(node, i, why);

	return permit(node, i, may ? NULL : why->s);
}

int nic_xdp_refresh(struct local_node *node)
{
	struct reason_text all = {}, why;
	bool bare = true;
	int r = 0;

	if (node->xdp == XDP_OFF)
		return 0;
	if (node->xdp == XDP_AUTO)
		bare = node_is_bare(node, &all) && qdiscs_read(node, &all);
	for (struct iface *i = node->pods.ifaces; i; i = i->next) {
		if (i->role != ROLE_NIC)
			continue;
		why = all;
		if (nic_is_tunnel(i))
			r = permit_tunnel(node, i) ?: r;
		else if (node->xdp == XDP_AUTO)
			r = judge(node, i, bare, &why) ?: r;
		else
			r = permit_forced(node, i) ?: r;
	}
	return r;
}

/* ---- a NIC comes and goes ---- */

/* What was asked for can't be there. Jumbo frames alone are left to tc, until they are gone. */
static int forced_refused(struct local_node *node, struct iface *i, int r)
{
	struct reason_text why;
	int mtu;

	because_refused(node, i, r, &why);
	if (node->xdp != XDP_NATIVE || !minds_mtu(node, i, r, &mtu))
		return log_err(r, "--xdp %s: %s: %s", xdp_mode_name(node->xdp), i->link.name,
			       why.s);
	return permit(node, i, why.s);
}

int nic_xdp_put(struct local_node *node, struct iface *i)
{
	int r;

	i->xdp = XDP_OFF;
	if (node->xdp != XDP_OFF && nic_is_tunnel(i))
		return nic_xdp_remove(node, i) ?: permit_tunnel(node, i);
	if (node->xdp == XDP_AUTO)
		return adopt(node, i);
	r = put(node, i, node->xdp);
	if (r == -ENODEV)
		return r;
	if (r)
		return forced_refused(node, i, r);
	i->xdp = node->xdp;
	if (i->xdp == XDP_OFF)
		return nic_xdp_write(node, i);
	log_info("%s: XDP, %s", i->link.name, xdp_mode_name(i->xdp));
	return permit_forced(node, i);
}

int nic_xdp_renew(struct local_node *node, struct iface *i)
{
	return node->xdp == XDP_NATIVE && i->xdp == XDP_OFF ? nic_xdp_put(node, i)
							    : nic_xdp_write(node, i);
}

int nic_xdp_remove(struct local_node *node, struct iface *i)
{
	int r = xdp_remove(node->attach.dir, i->link.ifindex);

	i->xdp = XDP_OFF;
	if (r)
		return log_err(r, "take the XDP program off %s", i->link.name);
	return nic_xdp_write(node, i);
}

bool nic_xdp_missing(struct local_node *node, const struct iface *i)
{
	struct nl_link l;

	return i->role == ROLE_NIC && i->xdp != XDP_OFF &&
	       !xdp_runs(node->attach.dir, i->link.ifindex, node->loader->prog[PROG_FROM_WIRE]) &&
	       nl_get_link(node->netlink, NL_NSID_OWN, i->link.ifindex, &l) != -ENODEV;
}

int nic_xdp_put_back(struct local_node *node, struct iface *i)
{
	int r = put(node, i, i->xdp);

	return r == -ENODEV ? 0 : r;
}

static bool is_nic(void *arg, int ifindex)
{
	const struct iface *i = iface_find(((struct local_node *)arg)->pods.ifaces, ifindex);

	return i && (i->role == ROLE_NIC || i->failed);
}

int nic_xdp_prune(struct local_node *node)
{
	int r = xdp_prune(node->attach.dir, is_nic, node);

	return r ? log_err(r, "take XDP programs off interfaces that are no NICs") : 0;
}

static size_t tell_nic(const struct iface *i, char *out, size_t size)
{
	const char *mode = xdp_mode_name(i->xdp);

	if (!i->xdp_why[0])
		return (size_t)snprintf(out, size, "%s %s", i->link.name, mode);
	return (size_t)snprintf(out, size, "%s %s (%s%s)", i->link.name, mode,
				i->xdp == XDP_OFF ? "" : "not used: ", i->xdp_why);
}

void nic_xdp_status(const struct local_node *node, char *out, size_t size)
{
	size_t at = (size_t)snprintf(out, size, "%s", xdp_mode_name(node->xdp));
	const char *between = ": ";

	for (const struct iface *i = node->pods.ifaces; i && at < size; i = i->next) {
		if (i->role != ROLE_NIC || node->xdp == XDP_OFF)
			continue;
		at += (size_t)snprintf(out + at, size - at, "%s", between);
		if (at < size)
			at += tell_nic(i, out + at, size - at);
		between = ", ";
	}
}
