/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_HEALTH_PORTS_H
#define WEFT_LIB_MESH_HEALTH_PORTS_H
/*
 * Services of type LoadBalancer with externalTrafficPolicy Local: their load balancer asks each
 * node, at spec.healthCheckNodePort, whether it has an endpoint, and calls those that do.
 */
#include "lib/base/table.h"
#include "lib/model/model.h"

struct health_port {
	const struct object *service;
	uint16_t port;
	/* Ready endpoints on objects->node, by their addresses, of the family that has more of
	 * them; all there are where the node's name is not known. A Gateway that is served at the
	 * Service is one: every node has it. */
	size_t local;
};

struct health_ports {
	TABLE(struct health_port) rows; /* borrows from the objects */
};

/* All of them, in the order of the objects. 0 or -ENOMEM; free with health_ports_free(), whatever
 * is returned. */
int health_ports_find(const struct objects *objects, struct health_ports *out);
void health_ports_free(struct health_ports *h);

#endif
