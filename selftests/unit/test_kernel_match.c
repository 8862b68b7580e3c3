/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <criterion/criterion.h>

#include "lib/base/addr.h"
#include "daemon/netlink/addr.h"
#include "daemon/node/match.h"

Test(kernel_match, lists_of_names_and_globs)
{
	static const struct {
		const char *list, *name;
		bool matches;
	} rows[] = {
		{ "veth1", "veth1", true },
		{ "veth1", "veth10", false },
		{ "veth*", "veth10", true },
		{ "cali*,veth?", "veth1", true },
		{ "cali*,veth?", "veth10", false },
		{ "cali*,,veth1,", "veth1", true },
		{ "eth[01]", "eth1", true },
		{ "eth[01]", "eth2", false },
		{ "", "veth1", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(match_list(rows[i].list, rows[i].name), rows[i].matches, "%s in '%s'",
			     rows[i].name, rows[i].list);
	cr_expect(match_is_glob("veth*"));
	cr_expect_not(match_is_glob("veth1"));
}

Test(kernel_match, what_an_interface_is)
{
	static const struct {
		const char *what;
		struct role_question q;
		enum role role;
	} rows[] = {
		{ "a pod's veth", { "veth1", true, false, false, "auto", NULL, false }, ROLE_POD },
		{ "hardware", { "eth0", false, false, false, "auto", NULL, false }, ROLE_NONE },
		{ "hardware with the default route",
		  { "eth0", false, true, true, "auto", NULL, false },
		  ROLE_NIC },
		{ "a veth with the default route",
		  { "veth1", true, true, true, "auto", NULL, false },
		  ROLE_NIC },
		{ "which is lost for a moment",
		  { "veth1", true, false, true, "auto", NULL, false },
		  ROLE_NIC },
		{ "hardware whose default route is lost for a moment",
		  { "eth0", false, false, true, "auto", NULL, false },
		  ROLE_NIC },
		{ "named --nic",
		  { "veth1", true, false, false, "auto", "nic0,veth1", false },
		  ROLE_NIC },
		{ "a default route, but --nic names others",
		  { "eth0", false, true, true, "auto", "nic0", false },
		  ROLE_NONE },
		{ "a glob of --pods",
		  { "cali7", true, false, false, "cali*", NULL, false },
		  ROLE_POD },
		{ "not in --pods",
		  { "veth1", true, false, false, "cali*", NULL, false },
		  ROLE_NONE },
		{ "in --pods, but no veth",
		  { "cali7", false, false, false, "cali*", NULL, false },
		  ROLE_NONE },
		{ "in --pods and --nic",
		  { "cali7", true, false, false, "cali*", "cali7", false },
		  ROLE_NIC },
		{ "a tunnel", { "flannel.1", false, false, false, "auto", NULL, true }, ROLE_NIC },
		{ "a tunnel, but --nic names others",
		  { "flannel.1", .pods = "auto", .nic = "eth0", .is_tunnel = true },
		  ROLE_NONE },
		{ "a tunnel beside what --nic names",
		  { "flannel.1", .pods = "auto", .nic = "tun0,auto", .is_tunnel = true },
		  ROLE_NIC },
		{ "a name beside what is found",
		  { "tun0", .pods = "auto", .nic = "tun0,auto" },
		  ROLE_NIC },
		{ "hardware with the default route, by the word",
		  { "eth0", .has_default_route = true, .pods = "auto", .nic = "auto" },
		  ROLE_NIC },
		{ "neither named nor found",
		  { "eth1", .pods = "auto", .nic = "tun0,auto" },
		  ROLE_NONE },
		{ "in --pods with the default route",
		  { "cali7", true, true, true, "cali*", NULL, false },
		  ROLE_POD },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(match_role(&rows[i].q), rows[i].role, "%s", rows[i].what);
}

Test(kernel_match, addresses_of_pods_and_nodes)
{
	static const struct {
		const char *text;
		bool pod, node;
	} rows[] = {
		{ "10.0.0.1", true, true },	{ "fd00::1", true, true },
		{ "127.0.0.1", false, false },	{ "127.8.0.1", false, false },
		{ "::1", false, false },	{ "fe80::1", false, false },
		{ "febf::1", false, false },	{ "fec0::1", true, true },
		{ "169.254.1.1", true, false }, { "::", false, false },
		{ "169.253.1.1", true, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr a;

		cr_assert_eq(addr_parse(rows[i].text, &a), 0);
		cr_expect_eq(addr_names_pod(&a), rows[i].pod, "%s", rows[i].text);
		cr_expect_eq(addr_names_node(&a), rows[i].node, "%s", rows[i].text);
	}
}

Test(kernel_match, bytes_of_a_wrong_length_are_no_address)
{
	struct addr a;
	__u8 bytes[16] = { 10, 0, 0, 1 };

	cr_expect(addr_from_bytes(&a, AF_INET, bytes, 4));
	cr_expect(addr_is_v4(&a) && a.b[12] == 10 && a.b[15] == 1);
	cr_expect(addr_from_bytes(&a, AF_INET6, bytes, 16));
	cr_expect_not(addr_from_bytes(&a, AF_INET, bytes, 16));
	cr_expect_not(addr_from_bytes(&a, AF_INET6, bytes, 4));
	cr_expect_not(addr_from_bytes(&a, AF_UNSPEC, bytes, 4));
}
