/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_L4_GATEWAY_H
#define WEFT_LIB_L4_GATEWAY_H
/*
 * Ports of the node that stand for Gateways.
 */
#include "lib/l4/rules.h"

/* Entries of SCOPE_NODE for every TCP server of every Gateway that has a rule, and for every HTTP
 * server. 0 or -ENOMEM. */
int compile_gateways(struct world *w);

/* One gen_services row; its rules have been written. 0 or -ENOMEM. */
int entry_write(struct world *w, const struct service_key *key, const struct service *value,
		const struct service_origin *origin, const struct plan *plan);

/* Whether a Service leads to the Gateway's workloads. */
bool service_stands_for(const struct object *service, const struct gateway *gw);
/* A Service's port at which pods call the Gateway in its place, since it has no endpoints of that
 * family; NULL: they don't. */
struct sport *gateway_sport(struct world *w, const struct object *service, unsigned port,
			    enum family family);

/* Whether a Gateway server's protocol is carried as plain TCP. */
bool server_is_tcp(const struct gw_server *server);

#endif
