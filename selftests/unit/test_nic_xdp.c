/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "daemon/node/node_priv.h"

Test(nic_xdp, auto_is_for_network_cards)
{
	static const struct {
		enum xdp_mode asked;
		const char *kind;
		enum xdp_mode is;
	} rows[] = {
		{ XDP_AUTO, "", XDP_NATIVE },	  { XDP_AUTO, "veth", XDP_OFF },
		{ XDP_AUTO, "bridge", XDP_OFF },  { XDP_AUTO, "vlan", XDP_OFF },
		{ XDP_NATIVE, "", XDP_NATIVE },	  { XDP_NATIVE, "veth", XDP_NATIVE },
		{ XDP_GENERIC, "", XDP_GENERIC }, { XDP_GENERIC, "vlan", XDP_GENERIC },
		{ XDP_OFF, "", XDP_OFF },	  { XDP_OFF, "veth", XDP_OFF },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(nic_xdp_mode(rows[i].asked, rows[i].kind), rows[i].is, "%s on '%s'",
			     xdp_mode_name(rows[i].asked), rows[i].kind);
}

Test(nic_xdp, status_names_each_nic)
{
	struct iface second = { .role = ROLE_NIC,
				.link.name = "eth1",
				.xdp_why = "the driver has no XDP" },
		     pod = { .next = &second, .role = ROLE_POD, .link.name = "veth1" },
		     first = {
			     .next = &pod, .role = ROLE_NIC, .link.name = "eth0", .xdp = XDP_NATIVE
		     };
	struct local_node node = { .xdp = XDP_AUTO, .pods.ifaces = &first };
	char text[XDP_TEXT_MAX], cut[20];

	nic_xdp_status(&node, text, sizeof(text));
	cr_expect_str_eq(text, "auto: eth0 native, eth1 off (the driver has no XDP)");
	nic_xdp_status(&node, cut, sizeof(cut));
	cr_expect_str_eq(cut, "auto: eth0 native, ");
	node.xdp = XDP_OFF;
	nic_xdp_status(&node, text, sizeof(text));
	cr_expect_str_eq(text, "off");
}
