/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_MUTUAL_PORTS_H
#define WEFT_LIB_MESH_MUTUAL_PORTS_H
/*
 * Where mutual TLS is spoken: the ports of services that weft-proxy has for its clients' sake, and
 * those of this node's pods that it has for theirs. All of it comes after mesh_sources().
 */
#include "lib/mesh/mutual.h"

/* What mutual TLS has to do with an address. */
enum mutual_place {
	MUTUAL_STRANGER,  /* it is no pod of the mesh: there is nothing to speak it with */
	MUTUAL_HERE,	  /* a pod of the mesh on this node, which is called in clear */
	MUTUAL_ELSEWHERE, /* a pod of the mesh on another node */
};

/* Whether a pod is of this node: pod_is_on(). */
bool mutual_is_here(const struct mesh *mesh, const struct object *pod);
/* *pod: the one that has the address; NULL: none, or it is not in the mesh. */
enum mutual_place mutual_place(struct mesh *mesh, const struct addr *addr,
			       const struct object **pod);

/* Whether a DestinationRule says ISTIO_MUTUAL for the port, be it for a subset of its endpoints;
 * for port 0: for any. */
bool rule_asks_mutual(const struct object *o, unsigned port);
/* Whether any DestinationRule for the port's host does. */
bool port_asks_mutual(struct mesh *mesh, const struct mesh_port *sp);

/*
 * While mutual TLS is in use: marks the ports of services (proxied, by_sni) from which weft-proxy
 * may have to speak it, or to refuse: a DestinationRule says ISTIO_MUTUAL and some endpoint is not
 * one of this node's pods in the mesh, or some endpoint elsewhere is STRICT; and those with rules
 * that lead to such a port. What carries HTTP/1 goes by requests, all else as tunnels. Comes after
 * mark_proxied().
 */
void mark_mutual(struct mesh *mesh);
/* Whether a VirtualService has `tcp` or `tls` rules that lead to where a DestinationRule says
 * ISTIO_MUTUAL. */
bool rule_leads_to_mutual(struct mesh *mesh, const struct object *o);

/* Makes mesh->mutual_direct anew, by address and port, each once. Comes after mark_mutual(). 0 or
 * -ENOMEM. */
int mutual_direct_index(struct mesh *mesh);
/* Makes mesh->mutual_inbound anew, in the order of mutual_inbound_of(). 0 or -ENOMEM. */
int mutual_inbound_index(struct mesh *mesh);
/* The pod's ports in mesh->mutual_inbound, by their number. Returns how many there are. */
size_t mutual_inbound_of(const struct mesh *mesh, const struct object *pod,
			 const struct mutual_inbound **out);

#endif
