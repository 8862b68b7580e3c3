/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <netinet/tcp.h>
#include <string.h>

#include "lib/base/addr.h"
#include "daemon/datapath/sweep_reset.h"

static struct reset_event event(const char *from, const char *to)
{
	struct reset_event e = { .packet = { .sport = 9000, .dport = 40000 },
				 .seq = 0x01020304,
				 .flags = TH_RST };

	cr_assert_eq(addr_parse(from, &e.packet.src), 0);
	cr_assert_eq(addr_parse(to, &e.packet.dst), 0);
	return e;
}

/* The receiver's check: all 16-bit words of what a checksum covers, itself included, add up to
 * 0xffff. */
static unsigned folded(const __u8 *b, size_t size, unsigned start)
{
	for (size_t i = 0; i < size; i += 2)
		start += (unsigned)b[i] << 8 | b[i + 1];
	while (start > 0xffff)
		start = (start & 0xffff) + (start >> 16);
	return start;
}

Test(kernel_reset, ipv4_is_a_bare_rst_with_good_checksums)
{
	struct reset_event e = event("10.96.0.10", "10.0.0.1");
	__u8 p[RESET_MAX];

	cr_assert_eq(reset_build(&e, p), 40);
	cr_expect_eq(p[0], 0x45);
	cr_expect_eq(p[9], 6);
	cr_expect_eq(memcmp(p + 12, (__u8[]){ 10, 96, 0, 10, 10, 0, 0, 1 }, 8), 0);
	cr_expect_eq(memcmp(p + 20,
			    (__u8[]){ 9000 >> 8, 9000 & 255, 40000 >> 8, 40000 & 255, 1, 2, 3, 4 },
			    8),
		     0);
	cr_expect_eq(p[32], 0x50, "no options");
	cr_expect_eq(p[33], 0x04, "RST alone");
	cr_expect_eq(folded(p, 20, 0), 0xffff, "header checksum");
	cr_expect_eq(folded(p + 12, 28, 6 + 20), 0xffff, "TCP checksum");
}

Test(kernel_reset, ipv6_with_ack)
{
	struct reset_event e = event("fd00::10", "fd00::1");
	__u8 p[RESET_MAX];

	e.flags = TH_RST | TH_ACK;
	e.ack = 0xa0b0c0d0;
	cr_assert_eq(reset_build(&e, p), 60);
	cr_expect_eq(p[0] >> 4, 6);
	cr_expect_eq(p[6], 6);
	cr_expect_eq(p[5], 20, "payload length");
	cr_expect_eq(p[53], 0x14, "RST and ACK");
	cr_expect_eq(memcmp(p + 48, (__u8[]){ 0xa0, 0xb0, 0xc0, 0xd0 }, 4), 0);
	cr_expect_eq(folded(p + 8, 52, 6 + 20), 0xffff, "TCP checksum");
}

Test(kernel_reset, mixed_families_are_not_sent)
{
	struct reset_event e = event("10.0.0.1", "fd00::1");
	__u8 p[RESET_MAX];

	cr_expect_eq(reset_build(&e, p), 0);
}
