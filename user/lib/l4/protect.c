// SPDX-License-Identifier: Apache-2.0
/*
 * The ConnectionPolicy -> what the programs at the NIC let in.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/l4/l4.h"

enum { V4_MAPPED_BITS = 96 };

/* Without the bits beyond the prefix: ranges that are the same are then the same bytes. */
static struct protect_key key_of(const struct cidr *range)
{
	struct protect_key key = { .prefixlen = range->prefix };
	unsigned bytes = range->prefix / 8, bits = range->prefix % 8;

	memcpy(key.addr, range->addr.b, bytes);
	if (bits)
		key.addr[bytes] = range->addr.b[bytes] & (0xff00 >> bits);
	return key;
}

static int add_ranges(struct protection *p, const struct cidr_list *ranges, __u32 verdict)
{
	for (size_t i = 0; i < ranges->count; i++) {
		struct protect_range *s = table_push(&p->ranges);

		if (!s)
			return -ENOMEM;
		*s = (struct protect_range){ key_of(&ranges->items[i]), verdict };
	}
	return 0;
}

/* Whether one of the ranges has all of that one, and more. */
static bool is_in(const struct cidr *range, const struct cidr_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].prefix < range->prefix &&
		    cidr_holds(&list->items[i], &range->addr))
			return true;
	return false;
}

/* An IPv4 address is no part of a range of IPv6 (::/0), as it is for the API server; in the
 * kernel's table, where it is v4-mapped, it would be. A verdict of 0 there is none. */
static int fence_v4(struct protection *p, const struct connection_policy *from)
{
	struct cidr v4 = { .addr = { .b = { [10] = 0xff, [11] = 0xff } },
			   .prefix = V4_MAPPED_BITS };
	const struct cidr_list fence = { .items = &v4, .count = 1 };
	bool wide = is_in(&v4, &from->allow) || is_in(&v4, &from->deny);

	return wide ? add_ranges(p, &fence, 0) : 0;
}

/* The highest verdict first, among those of the same range: PROTECT_DENY. */
static int by_range(const void *a, const void *b)
{
	const struct protect_range *x = a, *y = b;
	int order = protect_range_compare(x, y);

	return order ? order : (x->verdict < y->verdict) - (x->verdict > y->verdict);
}

static void order_ranges(struct protection *p)
{
	struct protect_range *items = p->ranges.items;
	size_t kept = 0;

	if (p->ranges.count)
		qsort(items, p->ranges.count, sizeof(*items), by_range);
	for (size_t i = 0; i < p->ranges.count; i++)
		if (!kept || protect_range_compare(&items[kept - 1], &items[i]) != 0)
			items[kept++] = items[i];
	p->ranges.count = kept;
}

static int write_ranges(struct protection *p, const struct connection_policy *from)
{
	int r = add_ranges(p, &from->allow, PROTECT_ALLOW);

	if (!r)
		r = add_ranges(p, &from->deny, PROTECT_DENY);
	if (!r)
		r = fence_v4(p, from);
	if (!r)
		order_ranges(p);
	return r;
}

static __u32 flags_of(const struct connection_policy *p)
{
	static const __u32 cookies[] = { [SYN_COOKIES_AUTO] = PROTECT_COOKIES_AUTO,
					 [SYN_COOKIES_ALWAYS] = PROTECT_COOKIES_ALWAYS };

	return PROTECT_ON | (p->allow.count ? PROTECT_ALLOW_LISTED : 0) | cookies[p->cookies.mode];
}

static void write_limits(struct protect_limits *to, const struct connection_policy *from)
{
	to->flags = flags_of(from);
	to->source_rate = (__u32)from->new_connections.per_source.rate;
	to->source_burst = (__u32)from->new_connections.per_source.burst;
	to->total_rate = (__u32)from->new_connections.total.rate;
	to->total_burst = (__u32)from->new_connections.total.burst;
	to->cookie_threshold = (__u32)from->cookies.threshold;
	to->port_count = (__u32)from->ports.count;
	for (size_t i = 0; i < from->ports.count; i++)
		to->ports[i] = from->ports.items[i];
}

int l4_protect(struct mesh *mesh)
{
	struct protection *p = &mesh->t->protection;

	for (size_t i = 0; i < mesh->rules.count; i++) {
		const struct object *o = mesh->rules.items[i];

		if (o->kind != KIND_CONNECTION_POLICY)
			continue;
		write_limits(&p->limits, &o->protection);
		return write_ranges(p, &o->protection);
	}
	return 0;
}
