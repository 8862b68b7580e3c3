// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "lib/tables/tables.h"

int protect_range_compare(const struct protect_range *a, const struct protect_range *b)
{
	if (a->key.prefixlen != b->key.prefixlen)
		return a->key.prefixlen < b->key.prefixlen ? -1 : 1;
	return memcmp(a->key.addr, b->key.addr, sizeof(a->key.addr));
}

static bool holds(const struct protect_range *s, const struct addr *addr)
{
	struct cidr range = { .prefix = s->key.prefixlen };

	memcpy(range.addr.b, s->key.addr, sizeof(s->key.addr));
	return cidr_holds(&range, addr);
}

/* The longest come last. */
const struct protect_range *protection_find(const struct protection *p, const struct addr *addr)
{
	for (size_t i = p->ranges.count; i--;)
		if (holds(&p->ranges.items[i], addr))
			return &p->ranges.items[i];
	return NULL;
}
