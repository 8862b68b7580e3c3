/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef WEFT_ADDR_H
#define WEFT_ADDR_H
/*
 * Addresses and tuples, shared by the BPF programs and userspace.
 *
 * The includer provides the kernel's integer types: vmlinux.h in BPF, <linux/types.h> elsewhere.
 */

/* An IPv6 address in network byte order. An IPv4 address is v4-mapped (::ffff:a.b.c.d, RFC
 * 4291 2.5.5.2). */
struct addr {
	__u8 b[16];
} __attribute__((aligned(8)));

/* Whether it means the caller itself or its link: unspecified, loopback, link-local. What is called
 * there is never outside. */
static inline __attribute__((always_inline)) int addr_is_on_link(const struct addr *a)
{
	__u64 high;

	__builtin_memcpy(&high, a->b, sizeof(high));
	if (high)
		return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
	if (!a->b[8] && !a->b[9] && a->b[10] == 0xff && a->b[11] == 0xff)
		return !a->b[12] || a->b[12] == 127 || (a->b[12] == 169 && a->b[13] == 254);
	return !(a->b[8] | a->b[9] | a->b[10] | a->b[11] | a->b[12] | a->b[13] | a->b[14]) &&
	       a->b[15] <= 1;
}

/* Where a packet is looked at. */
enum hook {
	HOOK_INGRESS = 0, /* it has come in by an interface */
	HOOK_EGRESS = 1,  /* it is about to leave by one */
};

/* The addresses and ports of a TCP packet as it travels: src is its sender. Ports in host byte
 * order. */
struct tuple {
	struct addr src;
	struct addr dst;
	__u16 sport;
	__u16 dport;
	__u32 hook; /* enum hook, in keys of `conns`; else 0. Every byte of a hash key counts. */
};
_Static_assert(sizeof(struct tuple) == 40, "tuple is a hash key without holes");

#endif
