/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "daemon/node/node_priv.h"

Test(nic_xdp, status_names_each_nic)
{
	struct iface second = { .role = ROLE_NIC, .link.name = "eth1" },
		     pod = { .next = &second, .role = ROLE_POD, .link.name = "veth1" },
		     first = {
			     .next = &pod, .role = ROLE_NIC, .link.name = "eth0", .xdp = XDP_NATIVE
		     };
	struct local_node node = { .xdp = XDP_NATIVE, .pods.ifaces = &first };
	char text[XDP_TEXT_MAX], cut[20];

	nic_xdp_status(&node, text, sizeof(text));
	cr_expect_str_eq(text, "native: eth0 native, eth1 off");
	nic_xdp_status(&node, cut, sizeof(cut));
	cr_expect_str_eq(cut, "native: eth0 native");
	node.xdp = XDP_OFF;
	nic_xdp_status(&node, text, sizeof(text));
	cr_expect_str_eq(text, "off");
}

Test(nic_xdp, status_says_why_not)
{
	struct iface second = { .role = ROLE_NIC,
				.link.name = "eth1",
				.xdp_why = "the driver has no XDP" },
		     first = { .next = &second,
			       .role = ROLE_NIC,
			       .link.name = "eth0",
			       .xdp = XDP_NATIVE,
			       .xdp_why = "IPsec policies" };
	struct local_node node = { .xdp = XDP_AUTO, .pods.ifaces = &first };
	char text[XDP_TEXT_MAX];

	nic_xdp_status(&node, text, sizeof(text));
	cr_expect_str_eq(text, "auto: eth0 native (not used: IPsec policies), "
			       "eth1 off (the driver has no XDP)");
}
