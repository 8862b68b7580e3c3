// SPDX-License-Identifier: Apache-2.0
#include "lib/route/network_policy.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/addr.h"

static int compare_peers(const void *addr, const void *row)
{
	return memcmp(addr, &((const struct hs_peer *)row)->addr, sizeof(struct addr));
}

/* NULL: its bytes are all that counts. */
static const struct hs_peer *peer_at(const struct http_snapshot *s, const struct addr *addr)
{
	__u32 count = hs_count(s, HS_PEERS);

	return count ? bsearch(addr, hs_peer(s, 0), count, sizeof(struct hs_peer), compare_peers)
		     : NULL;
}

__u32 http_ingress_at(const struct http_snapshot *s, const struct addr *addr)
{
	const struct hs_peer *p = peer_at(s, addr);

	return p ? p->ingress : 0;
}

__u32 http_egress_at(const struct http_snapshot *s, const struct addr *addr)
{
	const struct hs_peer *p = peer_at(s, addr);

	return p ? p->egress : 0;
}

/* IPv4 has its own subnets: "::/0" is not all of it. */
static bool subnet_holds(const struct addr *of, __u32 prefix, const struct addr *addr)
{
	const struct cidr c = { *of, prefix };

	return addr_is_v4(of) == addr_is_v4(addr) && cidr_holds(&c, addr);
}

static bool block_holds(const struct http_snapshot *s, const struct hs_block *b,
			const struct addr *addr)
{
	if (!subnet_holds(&b->addr, b->prefix, addr))
		return false;
	for (__u32 i = 0; i < b->except.count; i++) {
		const struct hs_except *e = hs_except(s, b->except.first + i);

		if (subnet_holds(&e->addr, e->prefix, addr))
			return false;
	}
	return true;
}

static bool in_blocks(const struct http_snapshot *s, const struct hs_policy_rule *r,
		      const struct addr *addr)
{
	for (__u32 i = 0; i < r->blocks.count; i++)
		if (block_holds(s, hs_block(s, r->blocks.first + i), addr))
			return true;
	return false;
}

static bool in_classes(const struct http_snapshot *s, const struct hs_policy_rule *r, __u32 class)
{
	return class / 32 < r->classes.count &&
	       hs_class_bits(s, r->classes.first + class / 32)->bits >> class % 32 & 1;
}

static bool rule_lets(const struct http_snapshot *s, const struct hs_policy_rule *r, __u32 class,
		      const struct addr *addr, unsigned port)
{
	if (port < r->first || port > r->last)
		return false;
	if (r->both)
		return in_classes(s, r, class) && in_blocks(s, r, addr);
	return r->everyone || in_classes(s, r, class) || in_blocks(s, r, addr);
}

/* `peer` is the row of the address at the other end, or NULL. */
static bool policy_lets(const struct http_snapshot *s, __u32 policy, const struct hs_peer *peer,
			const struct addr *addr, unsigned port)
{
	const struct hs_policy *p;

	if (!policy)
		return true;
	p = hs_policy(s, policy - 1);
	for (__u32 i = 0; i < p->rules.count; i++)
		if (rule_lets(s, hs_policy_rule(s, p->rules.first + i), peer ? peer->class : 0,
			      addr, port))
			return true;
	return false;
}

/* A pod and its own node. */
static bool is_within_node(const struct hs_peer *a, const struct hs_peer *b)
{
	return a && b && (a->host || b->host) && a->node && a->node == b->node;
}

bool http_policies_let(const struct http_snapshot *s, __u32 ingress, __u32 egress,
		       const struct addr *client, const struct addr *endpoint, unsigned port)
{
	const struct hs_peer *from = peer_at(s, client), *to = peer_at(s, endpoint);

	if (!memcmp(client, endpoint, sizeof(*client)) || is_within_node(from, to))
		return true;
	return policy_lets(s, ingress, from, client, port) &&
	       policy_lets(s, egress, to, endpoint, port);
}
