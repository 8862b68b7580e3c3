/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_NETPOLICY_CLASSES_H
#define WEFT_LIB_NETPOLICY_CLASSES_H
/*
 * NetworkPolicies made ready for asking per request: pods that no peer of any policy tells apart
 * are one class, pods that the same policies select share a set of rules, and a rule has a bit for
 * each class.
 *
 * Class 0 is that of what no peer selects: what is outside, too. Set 0 is none: open.
 */
#include "lib/netpolicy/netpolicy.h"

/* Who a rule lets through. */
struct policy_peers {
	bool everyone;
	bool both;	      /* who is in the classes and in the blocks; otherwise either does */
	const __u32 *classes; /* a bit for each, policy_classes.class_words of them; NULL: none */
	const struct ip_block **blocks;
	size_t block_count;
};

struct policy_set_rule {
	__u32 first, last; /* ports */
	size_t peers;	   /* index of policy_classes.peers */
};

struct policy_set {
	struct policy_set_rule *rules; /* none: nothing is let through */
	size_t count;
};

/* An address that policies know. */
struct policy_address {
	struct addr addr;
	__u32 class, ingress, egress; /* sets */
	__u32 node;		      /* 1..; 0: not known */
	bool host;		      /* it is the node's own */
};

/* Everything lives in `pool`, but for the growing lists. */
struct policy_classes {
	TABLE(struct policy_peers) peers;
	TABLE(struct policy_set) sets;		/* set n is element n - 1 */
	TABLE(struct policy_address) addresses; /* ordered by address */
	struct bytemap ingress; /* const struct object * of a pod -> set, if it has one */
	size_t class_words;	/* of 32 classes each */
	struct pool *pool;
};

/* Empty when there is no policy. 0 or -ENOMEM; free it in either case. */
int policy_classes_make(struct policy_classes *c, const struct objects *objects);
void policy_classes_free(struct policy_classes *c);
/* The set that holds for what comes in to the pod, which may be NULL. */
__u32 policy_classes_ingress(struct policy_classes *c, const struct object *pod);
/* The same address's row, or NULL. */
const struct policy_address *policy_classes_at(const struct policy_classes *c,
					       const struct addr *addr);

#endif
