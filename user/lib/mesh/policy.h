/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_POLICY_H
#define WEFT_LIB_MESH_POLICY_H
/*
 * DestinationRules and the clusters they shape.
 */
#include "lib/mesh/mesh.h"

/* The DestinationRules in force for a host as clients of some namespaces see it, oldest first.
 * Equal ones are shared. */
struct view {
	const struct object **rules;
	size_t count;
	struct view *next;
};

/* A cluster of one generation, for l4 and l7 alike. What views agree on is shared. */
struct plan_cluster {
	struct mesh_port *sp;	 /* NULL: the destination does not exist */
	const struct view *view; /* the first that it was made for */
	const char *host, *subset;
	unsigned port;
	enum family family;
	struct cluster values; /* its id and policy, without endpoints */
	const char *name;      /* owned by the registry */
	struct member **members;
	size_t count, room;
	__u32 shortest_ms; /* of its timeouts that are set; 0: none is */
	bool outside; /* for callers from outside: of no view, no DestinationRule is for them */
	bool local;   /* the endpoints of this node alone */
	bool written;
	__u32 index; /* into gen_clusters, once l4 has written it */
	struct plan_cluster *next;
};

/* NULL when out of memory. `client` is a namespace, or NULL: clients of an unknown one. */
struct view *host_view(struct mesh *mesh, struct host *h, const char *client);
/* NULL if no rule of the view defines it. */
const struct subset *view_subset(const struct view *v, const char *name);
/* The policy in force for a port: subset portLevel > subset > portLevel > top. `subset` may be
 * NULL. */
struct traffic_policy view_policy(const struct view *v, unsigned port, const struct subset *subset);

/* Whether a `tls`, which may be NULL, has TLS spoken by a Gateway, or by clients in the mesh: as
 * with Istio, whose sidecars have no Secrets, one with a credentialName is for Gateways, and
 * clients in the mesh call as if there were none. Not for ISTIO_MUTUAL, of which it hangs on the
 * endpoint whether TLS is spoken (mutual_ports.h). */
bool client_tls_is_for(const struct client_tls *t, bool gateway);
/* Whether it is there and says ISTIO_MUTUAL. */
bool client_tls_is_mutual(const struct client_tls *t);

/* "outbound|PORT|SUBSET|HOST"; cut if need be: the checks refuse what doesn't fit. Returns its
 * length uncut. */
size_t cluster_name(char out[CLUSTER_NAME_MAX], const char *host, unsigned port,
		    const char *subset);
/*
 * The cluster of a service port (`subset` is "" for all endpoints), or, if the port or the subset
 * do not exist, one without endpoints. NULL when out of memory.
 */
struct plan_cluster *cluster_known(struct mesh *mesh, struct mesh_port *sp, const char *subset,
				   enum family family, struct view *view);
struct plan_cluster *cluster_unknown(struct mesh *mesh, const char *host, unsigned port,
				     const char *subset);
/* That of callers from outside, "outside|PORT||HOST", or with the endpoints of this node alone,
 * "outside|PORT|local|HOST". Counted apart from that of the mesh. NULL when out of memory. */
struct plan_cluster *cluster_outside(struct mesh *mesh, struct mesh_port *sp, enum family family,
				     bool local);
/* Gives the cluster of a port its members anew. 0 or -ENOMEM. */
int cluster_again(struct mesh *mesh, struct plan_cluster *c);

#endif
