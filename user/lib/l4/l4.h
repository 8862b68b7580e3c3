/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_L4_L4_H
#define WEFT_LIB_L4_L4_H
/*
 * The mesh -> the tables that decide() reads.
 */
#include "lib/mesh/mesh.h"

/* Fills in mesh->t, but for its sources. What is wrong goes to the mesh's errors. 0 or -ENOMEM. */
int l4_compile(struct mesh *mesh);
/* The part of l4_compile() that is the ports of ServiceEntries that are open for any address, or
 * for those of a subnet. */
int l4_anywhere(struct mesh *mesh);
/* The part that is pods' own addresses at which weft-proxy has what calls them. */
int l4_inbound(struct mesh *mesh);
/* Gives the tables' sources their workloads, by the selectors that rules have asked for, and makes
 * `selected`. 0 or -ENOMEM. */
int l4_workloads(struct mesh *mesh);

/* Fills in mesh->t->protection from the ConnectionPolicy, if there is one. 0 or -ENOMEM. */
int l4_protect(struct mesh *mesh);
/* Fills in mesh->t->authz from the AuthorizationPolicies. 0 or -ENOMEM. */
int l4_authorize(struct mesh *mesh);

#endif
