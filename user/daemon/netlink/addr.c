/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/netlink/addr.h"

#include <netinet/in.h>
#include <string.h>

#include "lib/base/addr.h"

static const __u8 v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

bool addr_from_bytes(struct addr *out, int family, const void *bytes, size_t size)
{
	if (family == AF_INET && size == 4) {
		memcpy(out->b, v4_prefix, sizeof(v4_prefix));
		memcpy(out->b + 12, bytes, 4);
		return true;
	}
	if (family != AF_INET6 || size != sizeof(out->b))
		return false;
	memcpy(out->b, bytes, sizeof(out->b));
	return true;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool addr_is_unset(const struct addr *a)
{
	static const struct addr unset;

	return addr_equal(a, &unset);
}

bool addr_is_loopback(const struct addr *a)
{
	static const struct addr one = { .b = { [15] = 1 } };

	return addr_equal(a, &one) || (addr_is_v4(a) && a->b[12] == 127);
}

bool addr_is_link_local4(const struct addr *a)
{
	return addr_is_v4(a) && a->b[12] == 169 && a->b[13] == 254;
}

bool addr_is_link_local6(const struct addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool addr_names_pod(const struct addr *a)
{
	return !addr_is_unset(a) && !addr_is_loopback(a) && !addr_is_link_local6(a);
}

bool addr_names_node(const struct addr *a)
{
	return addr_names_pod(a) && !addr_is_link_local4(a);
}
