/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_L4_RULES_H
#define WEFT_LIB_L4_RULES_H
/*
 * The list of rules that decides for one address and port: a plan first, so that plans for
 * different clients can be compared before anything is written into the tables.
 */
#include "lib/mesh/policy.h"

/* What is called, and by which client. */
struct called {
	const struct object *gateway; /* NULL: the mesh */
	unsigned port; /* as rules mean it: of the service or of the Gateway's server */
	enum family family;
	struct host *host;	 /* mesh */
	struct mesh_port *sp;	 /* mesh */
	const struct addr *addr; /* mesh: the address called */
	const char *client;	 /* namespace of the clients; NULL: of an unknown one */
};

struct plan_destination {
	const struct plan_cluster *cluster;
	__u32 weight;
};

struct plan_route {
	const char *name;
	struct plan_destination *dests;
	size_t count;
	bool written;
	__u32 index; /* into gen_routes, once written */
};

struct plan_rule {
	struct rule rule;   /* without `route` */
	struct admit admit; /* of RULE_ADMIT */
	struct plan_route *route;
	struct rule_origin origin;
};

struct l4_plan {
	TABLE(struct plan_rule) rules;
	TABLE(struct skipped_rule) skipped;
	bool closed; /* the last rule matches everything */
};

void plan_free(struct l4_plan *p);

/* A Service's port: the rules of the VirtualService in force, then the plain service. 0 or -ENOMEM.
 */
int plan_mesh(struct mesh *mesh, const struct called *to, struct l4_plan *out);
/* The same, called from outside: the plain service, whatever rules say; `local`: by the endpoints
 * of this node alone. 0 or -ENOMEM. */
int plan_outside(struct mesh *mesh, const struct called *to, bool local, struct l4_plan *out);
/* A port that weft-proxy has, by the object `o`, which says so at `pos`. 0 or -ENOMEM. */
int plan_proxy(const struct object *o, struct pos pos, struct l4_plan *out);
/* plan_mesh(), or weft-proxy where the port is its. */
int plan_called(struct mesh *mesh, const struct called *to, struct l4_plan *out);
/* The rules of `from`, as they are, for the addresses called that are in the subnet. 0 or -ENOMEM.
 */
int plan_within(struct mesh *mesh, const struct object *o, const struct cidr *range,
		const struct l4_plan *from, struct l4_plan *out);
/* What is called goes where it was sent. `conditions`: for whom. 0 or -ENOMEM. */
int plan_pass(const struct object *o, struct pos pos, const char *conditions, struct l4_plan *out);
/* The same, but refused under REGISTRY_ONLY: the client sees nothing there. */
int plan_unknown(const struct mesh *mesh, const struct object *o, struct pos pos,
		 const char *conditions, struct l4_plan *out);
/* A Gateway's port: the rules of all VirtualServices bound to it. May stay empty. 0 or -ENOMEM. */
int plan_gateway(struct mesh *mesh, const struct called *to, const struct gw_server *server,
		 struct l4_plan *out);
bool plan_equal(const struct l4_plan *a, const struct l4_plan *b);
/* The rules of `from`, as they are, behind those that say whom `service` hears at an address of its
 * load balancer: `*admits` of them. A family that has no source range is closed to all. 0 or
 * -ENOMEM. */
int plan_guarded(struct mesh *mesh, const struct l4_plan *from, const struct object *service,
		 enum family family, struct l4_plan *out, __u32 *admits);
/* Writes the plan's rules, routes and destinations and sets `s`'s rules. 0 or -ENOMEM. */
int plan_write(struct mesh *mesh, struct l4_plan *p, struct service *s);
/* Gives the cluster its row, once. 0 or -ENOMEM. */
int cluster_write(struct mesh *mesh, struct plan_cluster *c);
/* Copies what was skipped to `origin`. 0 or -ENOMEM. */
int plan_origin(const struct l4_plan *p, struct service_origin *origin);

#endif
