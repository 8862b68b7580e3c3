/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_EXTERNAL_H
#define WEFT_LIB_MESH_EXTERNAL_H
/*
 * The addresses that Services have beside their cluster IPs: of load balancers that send on what is
 * called there as it is (status.loadBalancer), and spec.externalIPs. Services may share one, each
 * with ports of its own.
 */
#include "lib/mesh/mesh.h"

struct external {
	struct addr addr;
	bool guarded; /* a load balancer's: loadBalancerSourceRanges hold there */
};

/* The Service's next one; *next: 0 at first. False: there are no more. */
bool external_next(const struct service_spec *s, size_t *next, struct external *out);

/*
 * Gives the address and port to the Service, or to the Gateway that it stands for: true once for
 * each. False if it is given already, or is a Service's cluster IP; that it is another's is
 * remarked. Cluster IPs must be known (mesh->addresses).
 */
bool external_claim(struct mesh *mesh, struct host *h, const struct external *e, unsigned port,
		    bool door);

/* The same for a Gateway's server that is bound to the address, which is no Service's. False if it
 * is given already. */
bool external_claim_bound(struct mesh *mesh, const struct addr *addr, unsigned port);

/* Whose it is now. */
struct external_owner {
	const struct host *host; /* NULL: no Service's */
	bool door;		 /* a Gateway answers there */
};
struct external_owner external_owner(struct mesh *mesh, const struct addr *addr, unsigned port);

#endif
