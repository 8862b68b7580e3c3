/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many tunnels are taken as NICs. There are no maps: to write one is an error.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "daemon/node/node_priv.h"
#include "lib/base/log.h"

enum { TUNNELS = 33 };

static struct loader loader;
static struct iface ifaces[TUNNELS];
static struct local_node node = { .loader = &loader };

/* The first is not taken yet; the others, 32, are NICs. */
static void setup(void)
{
	log_set("test", -1);
	memset(loader.map, 0xff, sizeof(loader.map));
	for (int n = 0; n < TUNNELS; n++) {
		struct iface *i = &ifaces[n];

		i->link.ifindex = n + 10;
		i->link.framing = NL_FRAMING_ETHERNET;
		snprintf(i->link.name, sizeof(i->link.name), "t%u", (unsigned)n % 100);
		snprintf(i->link.kind, sizeof(i->link.kind), "vxlan");
		i->role = n ? ROLE_NIC : ROLE_NONE;
		i->next = n + 1 < TUNNELS ? &ifaces[n + 1] : NULL;
	}
	node.pods.ifaces = ifaces;
}

TestSuite(nics, .init = setup);

static bool is_refused(void)
{
	struct iface *i = &ifaces[0];
	int r;

	i->told_unusable = false;
	r = nic_refresh(&node, i);
	cr_expect_eq(r == 0, i->told_unusable, "the map is asked otherwise");
	cr_expect_eq(i->role, ROLE_NONE);
	return i->told_unusable;
}

Test(nics, tunnels_leave_room_for_others)
{
	cr_expect(is_refused());
	ifaces[TUNNELS - 1].role = ROLE_NONE;
	cr_expect_not(is_refused(), "one has gone");
}

Test(nics, a_tunnel_that_is_there_stays)
{
	cr_expect_lt(nic_refresh(&node, &ifaces[1]), 0, "the map is asked");
	cr_expect_not(ifaces[1].told_unusable);
}

Test(nics, only_tunnels_are_few)
{
	strcpy(ifaces[0].link.kind, "dummy");
	cr_expect_not(is_refused());
}

Test(nics, a_tunnel_with_a_default_route_counts_as_another_interface)
{
	ifaces[0].default_route = true;
	cr_expect_not(is_refused());
	ifaces[0].default_route = false;
	ifaces[0].was_nic = true;
	cr_expect_not(is_refused(), "it has had one");
	ifaces[0].was_nic = false;
	cr_expect(is_refused());
	ifaces[TUNNELS - 1].default_route = true;
	cr_expect_not(is_refused(), "31 others");
}

Test(nics, a_tunnel_that_is_named_counts_as_another_interface)
{
	node.pods.nic = "auto,t0";
	cr_expect_not(is_refused());
	node.pods.nic = "auto,eth0";
	cr_expect(is_refused());
}
