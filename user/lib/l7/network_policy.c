// SPDX-License-Identifier: Apache-2.0
/*
 * NetworkPolicies -> rows.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/l7/l7_priv.h"

/* Where the peers of a rule are, by index of policy_classes.peers. */
struct written {
	struct hs_range classes, blocks;
};

static struct hs_range write_excepts(struct http_build *b, const struct ip_block *block)
{
	struct hs_range range = { http_build_count(b, HS_EXCEPTS), block->except.count };

	for (size_t i = 0; i < block->except.count; i++) {
		const struct cidr *c = &block->except.items[i];
		struct hs_except row = { .addr = c->addr, .prefix = c->prefix };

		http_build_add(b, HS_EXCEPTS, &row);
	}
	return range;
}

static struct hs_range write_blocks(struct http_build *b, const struct policy_peers *p)
{
	struct hs_range range = { http_build_count(b, HS_BLOCKS), p->block_count };

	for (size_t i = 0; i < p->block_count; i++) {
		const struct ip_block *block = p->blocks[i];
		struct hs_block row = { .addr = block->cidr.addr,
					.prefix = block->cidr.prefix,
					.except = write_excepts(b, block) };

		http_build_add(b, HS_BLOCKS, &row);
	}
	return range;
}

static struct hs_range write_classes(struct http_build *b, const struct policy_peers *p,
				     size_t words)
{
	struct hs_range range = { http_build_count(b, HS_CLASSES), p->classes ? words : 0 };

	for (size_t i = 0; i < range.count; i++) {
		struct hs_class_bits row = { p->classes[i] };

		http_build_add(b, HS_CLASSES, &row);
	}
	return range;
}

static void write_set(struct http_compiler *c, const struct policy_set *set,
		      const struct written *peers)
{
	struct http_build *b = &c->build;
	struct hs_policy row = { .rules = { http_build_count(b, HS_POLICY_RULES), set->count } };

	for (size_t i = 0; i < set->count; i++) {
		const struct policy_set_rule *from = &set->rules[i];
		const struct policy_peers *p = &c->policies.peers.items[from->peers];
		struct hs_policy_rule rule = { .first = from->first,
					       .last = from->last,
					       .everyone = p->everyone,
					       .both = p->both,
					       .classes = peers[from->peers].classes,
					       .blocks = peers[from->peers].blocks };

		http_build_add(b, HS_POLICY_RULES, &rule);
	}
	http_build_add(b, HS_POLICIES, &row);
}

static void write_peer(struct http_build *b, const struct policy_address *from)
{
	struct hs_peer row = { .addr = from->addr,
			       .class = from->class,
			       .ingress = from->ingress,
			       .egress = from->egress,
			       .node = from->node,
			       .host = from->host };

	http_build_add(b, HS_PEERS, &row);
}

int http_policies_write(struct http_compiler *c)
{
	struct policy_classes *p = &c->policies;
	int r = policy_classes_make(p, c->mesh->objects);
	_cleanup_free_ struct written *peers = calloc(p->peers.count + 1, sizeof(*peers));

	if (r || !peers)
		return -ENOMEM;
	for (size_t i = 0; i < p->peers.count; i++) {
		peers[i].classes = write_classes(&c->build, &p->peers.items[i], p->class_words);
		peers[i].blocks = write_blocks(&c->build, &p->peers.items[i]);
	}
	for (size_t i = 0; i < p->sets.count; i++)
		write_set(c, &p->sets.items[i], peers);
	/* Where nothing is closed, no address matters. */
	for (size_t i = 0; i < p->addresses.count && p->sets.count; i++)
		write_peer(&c->build, &p->addresses.items[i]);
	return 0;
}
