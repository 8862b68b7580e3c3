/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_L4_GATEWAY_H
#define WEFT_LIB_L4_GATEWAY_H
/*
 * Ports of the node that stand for Gateways.
 */
#include "lib/l4/rules.h"
#include "lib/mesh/external.h"

/* Entries of SCOPE_NODE for every TCP server of every Gateway that has a rule, and for every HTTP
 * server. 0 or -ENOMEM. */
int compile_gateways(struct mesh *mesh);
/* A port on any of the node's addresses of that family: the wildcard address tells decide() which.
 */
struct service_key node_port_key(enum family family, unsigned port);
/* Whether a Gateway answers there. */
bool node_port_is_taken(const struct mesh *mesh, enum family family, unsigned port);

/* One gen_services row; its rules have been written. 0 or -ENOMEM. */
int entry_write(struct mesh *mesh, const struct service_key *key, const struct service *value,
		const struct service_origin *origin, const struct l4_plan *plan);
/*
 * The same at an external address of `service`, for callers of `key->scope`, with rules of its own:
 * there its source ranges come first. 0 or -ENOMEM.
 */
int external_write(struct mesh *mesh, const struct service_key *key, const struct service *value,
		   const struct service_origin *origin, struct l4_plan *plan,
		   const struct object *service, const struct external *e);

#endif
