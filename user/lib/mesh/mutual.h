/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_MUTUAL_H
#define WEFT_LIB_MESH_MUTUAL_H
/*
 * Mutual TLS: PeerAuthentications, and the DestinationRules that ask for ISTIO_MUTUAL. As Istio's
 * pilot/pkg/security/authn has it: the workload's policy counts before the namespace's, which
 * counts before the mesh's, the one without a selector in ROOT_NAMESPACE; of several at one level
 * the oldest; without any, a pod is PERMISSIVE. A policy with a selector in ROOT_NAMESPACE is for
 * no pod.
 */
#include "lib/mesh/mesh.h"

/* Makes mesh->peers and mesh->mutual of the rules. 0 or -ENOMEM. */
int mutual_index(struct mesh *mesh);
/* Whether mutual TLS is in use: a PeerAuthentication is STRICT somewhere, or a DestinationRule says
 * ISTIO_MUTUAL. Without either nothing of it is made, and nothing costs anything. */
bool mutual_in_use(const struct mesh *mesh);
/* What is in force at a port of a pod (0: at those that portLevelMtls does not name): never
 * MTLS_UNSET. *by: the PeerAuthentication that says so; NULL: none. Of a pod whose labels can't be
 * read it is the strictest of what may hold, at all ports. */
enum mtls_mode mutual_mode(struct mesh *mesh, const struct object *pod, unsigned port,
			   const struct object **by);
/* The PeerAuthentication whose portLevelMtls holds for the pod; NULL: there is none. */
const struct object *mutual_ports(struct mesh *mesh, const struct object *pod);
/* The pod is in the mesh: it has an identity, and a weft-proxy ends mutual TLS for it. Comes after
 * mesh_sources(). */
bool mutual_has(struct mesh *mesh, const struct object *pod);
/* "STRICT" */
const char *mtls_mode_name(enum mtls_mode mode);

/* Whether the PeerAuthentication is for pods, and no older one takes its place. *older: that one;
 * NULL: a selector in ROOT_NAMESPACE is why. */
bool mutual_counts(struct mesh *mesh, const struct object *policy, const struct object **older);

#endif
