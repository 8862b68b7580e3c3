/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_EXPLAIN_EXPLAIN_POLICY_H
#define WEFT_LIB_EXPLAIN_EXPLAIN_POLICY_H
/*
 * Which NetworkPolicies close an endpoint to the client, by name.
 */
#include "lib/explain/explain_target.h"
#include "lib/netpolicy/netpolicy.h"

struct explain_authz;

/* Borrows from the objects and the client. */
struct explain_policies {
	struct netpolicies index;
	const struct explain_client *client;
	struct explain_authz
		*authz;	     /* the same of AuthorizationPolicies; borrowed; NULL: not asked */
	struct bytemap pods; /* struct addr -> struct object; empty without policies */
	struct pool *pool;
};

/* 0 or -ENOMEM; free it in either case. */
int explain_policies_init(struct explain_policies *p, const struct objects *objects,
			  const struct explain_client *client);
void explain_policies_free(struct explain_policies *p);
/*
 * Why the client can't connect to the endpoint, a sentence that lives as long as `p`; NULL in *why:
 * it can, or from outside it depends on its address. 0 or -ENOMEM.
 */
int explain_policies_ask(struct explain_policies *p, const struct addr *endpoint, unsigned port,
			 const char **why);

#endif
