/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_L4_RULES_H
#define WEFT_LIB_L4_RULES_H
/*
 * The list of rules that decides for one address and port: a plan first, so that plans for
 * different clients can be compared before anything is written into the tables.
 */
#include "lib/mesh/policy.h"

/* What is called, and by whom. */
struct called {
	const struct object *gateway; /* NULL: the mesh */
	unsigned port; /* as rules mean it: of the service or of the Gateway's server */
	enum family family;
	struct host *host;	 /* mesh */
	struct sport *sp;	 /* mesh */
	const struct addr *addr; /* mesh: the address called */
	const char *client;	 /* namespace of the clients; NULL: of an unknown one */
};

struct pdest {
	const struct pcluster *cluster;
	__u32 weight;
};

struct proute {
	const char *name;
	struct pdest *dests;
	size_t count;
	bool written;
	__u32 index; /* into gen_routes, once written */
};

struct prule {
	struct rule rule; /* without `route` */
	struct proute *route;
	struct rule_origin origin;
};

struct plan {
	TABLE(struct prule) rules;
	TABLE(struct skipped_rule) skipped;
	bool closed; /* the last rule matches everything */
};

void plan_free(struct plan *p);

/* A Service's port: the rules of the VirtualService in force, then the plain service. 0 or -ENOMEM.
 */
int plan_mesh(struct world *w, const struct called *to, struct plan *out);
/* A port that weft-proxy has, by the object `o`, which says so at `pos`. 0 or -ENOMEM. */
int plan_proxy(const struct object *o, struct pos pos, struct plan *out);
/* A Gateway's port: the rules of all VirtualServices bound to it. May stay empty. 0 or -ENOMEM. */
int plan_gateway(struct world *w, const struct called *to, const struct gw_server *server,
		 struct plan *out);
bool plan_equal(const struct plan *a, const struct plan *b);
/* Writes the plan's rules, routes and destinations and sets `s`'s rules. 0 or -ENOMEM. */
int plan_write(struct world *w, struct plan *p, struct service *s);
/* Gives the cluster its row, once. 0 or -ENOMEM. */
int cluster_write(struct world *w, struct pcluster *c);
/* Copies what was skipped to `origin`. 0 or -ENOMEM. */
int plan_origin(const struct plan *p, struct service_origin *origin);

/* The VirtualService that clients of `client` get for a host in the mesh, or NULL. */
const struct object *virtual_service_for(struct world *w, const char *host, const char *client);

#endif
