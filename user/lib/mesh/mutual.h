/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_MUTUAL_H
#define WEFT_LIB_MESH_MUTUAL_H
/*
 * Mutual TLS: PeerAuthentications (peers.h), and the DestinationRules that ask for ISTIO_MUTUAL.
 */
#include "lib/mesh/mesh.h"

/* Makes mesh->peers and mesh->mutual of the rules. 0 or -ENOMEM. */
int mutual_index(struct mesh *mesh);
/* Whether mutual TLS is in use: a PeerAuthentication is STRICT somewhere, or a DestinationRule says
 * ISTIO_MUTUAL. Without either nothing of it is made, and nothing costs anything. */
bool mutual_in_use(const struct mesh *mesh);
/* What is in force at a port of a pod: peers_mode(). */
enum mtls_mode mutual_mode(struct mesh *mesh, const struct object *pod, unsigned port,
			   const struct object **by);
/* The pod is in the mesh: it has an identity, and a weft-proxy ends mutual TLS for it. Comes after
 * mesh_sources(). */
bool mutual_has(struct mesh *mesh, const struct object *pod);

#endif
