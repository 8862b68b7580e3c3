/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_GATEWAY_SITES_H
#define WEFT_LIB_MESH_GATEWAY_SITES_H
/*
 * Where Gateways are served, and which of them together.
 *
 * To Istio a Gateway is served by the workloads that its selector holds for: all that one workload
 * has on a port make one listener, and two workloads have nothing to do with each other. weft has
 * no such workloads. What takes their place is a site: a set of servers of one port, and the ways
 * that lead to them.
 *
 *  - A Service stands for the workloads that it selects: what is called at its ports, by whichever
 *    of its addresses, comes to the Gateways whose selectors hold for these, and to no others.
 *  - The port of the node itself is that of the Gateways whose selectors may hold for one workload
 *    together with the oldest one's. One that only ClusterIP Services lead to, which is not for
 *    callers from outside, comes after the others.
 *  - A server with `bind` is served at that address alone, and others are not served there.
 */
#include "lib/mesh/mesh.h"

/* What has become of a server, over all of its sites. */
struct server_fate {
	bool sited;	/* it has any */
	bool served;	/* at one of them, at least */
	bool displaced; /* at one of them, by another server that can't share it */
};

struct site_server {
	const struct object *gateway;
	const struct gw_server *server;
	struct server_fate *fate;
};

/* A Service's port that leads to the site. */
struct site_way {
	struct site_way *next;
	const struct object *service;
	const struct service_port *port;
};

struct gateway_site {
	struct gateway_site *next;
	unsigned port;	/* of its servers */
	unsigned group; /* among the sites of that port; 0: the node's own port's */
	bool at_node;	/* the node's own port leads there */
	bool bound;	/* `bind` does, which is an address with that port */
	struct addr bind;
	struct site_server *servers; /* oldest first */
	size_t count;
	struct site_way *ways;
};

/* The servers of one port. Those that are bound to a loopback address are on no site. */
struct served_port {
	struct served_port *next;
	unsigned port;
	struct site_server *servers; /* all of them, oldest first */
	size_t count;
};

struct gateway_sites {
	struct gateway_site *first; /* by port, in the order of the oldest servers; of a port: bound
				     * ones, the node's, those of Services */
	struct served_port *ports;
};

/* Makes mesh->gateway_sites, in the mesh's pool. 0 or -ENOMEM. */
int gateway_sites_make(struct mesh *mesh);

/* Whether nothing but what runs on the same machine gets there. */
bool bind_is_loopback(const struct addr *a);
/* The address that the server is bound to: false if it is not, 0.0.0.0 and :: being every one. */
bool server_bind(const struct gw_server *server, struct addr *out);
/* Whether both may be served by one workload: no label is to have two values. */
bool gateways_meet(const struct gateway *a, const struct gateway *b);

#endif
