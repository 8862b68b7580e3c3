/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_MUTUAL_H
#define WEFT_LIB_MESH_MUTUAL_H
/*
 * Mutual TLS: PeerAuthentications, and the DestinationRules that ask for ISTIO_MUTUAL.
 */
#include "lib/mesh/mesh.h"

/* As Istio has it; without any PeerAuthentication a pod is PERMISSIVE. */
enum mtls_mode { MTLS_UNSET, MTLS_DISABLE, MTLS_PERMISSIVE, MTLS_STRICT };

/* Whether mutual TLS is in use: a PeerAuthentication is STRICT somewhere, or a DestinationRule says
 * ISTIO_MUTUAL. Without either nothing of it is made, and nothing costs anything. */
bool mutual_in_use(const struct mesh *mesh);
/* What is in force at a port of a pod (0: at those that portLevelMtls does not name): never
 * MTLS_UNSET. *by: the PeerAuthentication that says so; NULL: none. */
enum mtls_mode mutual_mode(const struct mesh *mesh, const struct object *pod, unsigned port,
			   const struct object **by);
/* The pod is in the mesh: it has an identity, and a weft-proxy ends mutual TLS for it. */
bool mutual_has(const struct mesh *mesh, const struct object *pod);

#endif
