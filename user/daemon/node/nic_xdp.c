/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XDP on a NIC.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/node/node_priv.h"
#include "lib/base/log.h"

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

static int put(struct local_node *node, struct iface *i, enum xdp_mode mode)
{
	int r = xdp_put(node->attach.dir, i->link.ifindex, node->loader->prog[PROG_FROM_WIRE],
			mode);
	struct nl_link l;

	return r && nl_get_link(node->netlink, NL_NSID_OWN, i->link.ifindex, &l) == -ENODEV
		       ? -ENODEV
		       : r;
}

int nic_xdp_put(struct local_node *node, struct iface *i)
{
	int r = put(node, i, node->xdp);

	i->xdp = XDP_OFF;
	if (r == -ENODEV)
		return r;
	if (r)
		return log_err(r, "--xdp %s: %s: %s", xdp_mode_name(node->xdp), i->link.name,
			       reason_of(r));
	i->xdp = node->xdp;
	if (i->xdp != XDP_OFF)
		log_info("%s: XDP, %s", i->link.name, xdp_mode_name(i->xdp));
	return 0;
}

int nic_xdp_remove(struct local_node *node, struct iface *i)
{
	int r = xdp_remove(node->attach.dir, i->link.ifindex);

	i->xdp = XDP_OFF;
	return r ? log_err(r, "take the XDP program off %s", i->link.name) : 0;
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

void nic_xdp_status(const struct local_node *node, char *out, size_t size)
{
	size_t at = (size_t)snprintf(out, size, "%s", xdp_mode_name(node->xdp));

	for (const struct iface *i = node->pods.ifaces; i && at < size; i = i->next) {
		if (i->role != ROLE_NIC || node->xdp == XDP_OFF)
			continue;
		at += (size_t)snprintf(out + at, size - at, "%s%s %s",
				       at == strlen(xdp_mode_name(node->xdp)) ? ": " : ", ",
				       i->link.name, xdp_mode_name(i->xdp));
	}
}
