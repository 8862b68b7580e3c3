/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/node/iface.h"

#include <stdlib.h>
#include <string.h>

struct iface *iface_find(struct iface *first, int ifindex)
{
	for (struct iface *i = first; i; i = i->next) {
		if (i->link.ifindex == ifindex)
			return i;
	}
	return NULL;
}

struct iface *iface_find_by_peer(struct iface *first, int nsid, int peer)
{
	for (struct iface *i = first; i; i = i->next) {
		if (i->link.nsid == nsid && i->link.peer == peer)
			return i;
	}
	return NULL;
}

struct iface *iface_bridge(struct iface *first, const struct iface *port)
{
	struct iface *i = port->link.master ? iface_find(first, port->link.master) : NULL;

	return i && !strcmp(i->link.kind, "bridge") ? i : NULL;
}

bool iface_is_tunnel(const struct iface *i)
{
	static const char *const kinds[] = { "vxlan",	  "geneve", "ipip",	 "sit",
					     "ip6tnl",	  "gre",    "gretap",	 "ip6gre",
					     "ip6gretap", "erspan", "ip6erspan", "wireguard" };

	for (size_t n = 0; n < sizeof(kinds) / sizeof(kinds[0]); n++)
		if (!strcmp(i->link.kind, kinds[n]))
			return true;
	return false;
}

struct iface *iface_add(struct iface **first)
{
	struct iface *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	i->next = *first;
	*first = i;
	return i;
}

void iface_free(struct iface *i)
{
	addr_list_free(&i->claims);
	addr_list_free(&i->addrs);
	addr_list_free(&i->lapsed);
	free(i);
}
