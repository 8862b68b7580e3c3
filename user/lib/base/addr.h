/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_ADDR_H
#define WEFT_LIB_BASE_ADDR_H
/*
 * Addresses as text, and what is known by looking at one. Pure; nothing here allocates.
 */
#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "weft/addr.h"

enum family { FAMILY_V6, FAMILY_V4, FAMILY_MAX };

enum { ADDR_TEXT_MAX = 64 };

struct cidr {
	struct addr addr;
	unsigned prefix; /* 0..128 over the 16-byte form: an IPv4 /24 is 120 */
};

/* An IPv4 (becomes v4-mapped) or IPv6 address. 0 or -EINVAL. */
int addr_parse(const char *text, struct addr *out);
/* "10.0.0.1" or "fd00::1". Returns the length. */
size_t addr_format(const struct addr *a, char out[ADDR_TEXT_MAX]);
/* "10.0.0.1:80" or "[fd00::1]:80". Returns the length. */
size_t addr_format_port(const struct addr *a, unsigned port, char out[ADDR_TEXT_MAX]);
/* Such a text. False: it is none. */
bool addr_parse_port(const char *text, struct addr *addr, unsigned *port);
bool addr_is_v4(const struct addr *a);

static inline enum family addr_family(const struct addr *a)
{
	return addr_is_v4(a) ? FAMILY_V4 : FAMILY_V6;
}

/* A made-up address, one per number, of the prefix that routers discard (RFC 6666). */
struct addr addr_placeholder(__u32 number);
bool addr_is_placeholder(const struct addr *a);
bool cidr_holds(const struct cidr *c, const struct addr *a);
/* "10.0.0.0/8", "fd00::/8", or an address alone, the bits as they are given. */
bool cidr_parse(const char *text, struct cidr *out);
/* The same as the API server takes subnets: "010.0.0.0/8" is 10.0.0.0/8, and the prefix is given.
 */
bool cidr_parse_subnet(const char *text, struct cidr *out);

#endif
