/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_AUTHORIZED_H
#define WEFT_LIB_MESH_AUTHORIZED_H
/*
 * AuthorizationPolicies and the pods of this node that they select; and where PeerAuthentications
 * are STRICT, which is judged as another policy.
 */
#include "lib/mesh/mesh.h"

/* Makes mesh->authz and mesh->authz_pods anew. Comes after mesh_sources(). 0 or -ENOMEM. */
int authorized_index(struct mesh *mesh);
/* Whether there are AuthorizationPolicies, or mutual TLS is in use: then every change of a pod is
 * one of what is judged. */
bool authorized_any(const struct mesh *mesh);
/* Whether an AuthorizationPolicy selects the pod, and it is behind the Service. */
bool authorized_backs(const struct authorized_pod *p, const struct object *service);
/* Whether the port carries what weft-proxy reads as requests. */
bool authorized_reads(struct mesh *mesh, const struct host *h, const struct mesh_port *sp);
/* Whether a policy (NULL: any) selects a pod here that is behind the Service. */
bool authorized_serves(const struct mesh *mesh, const struct object *service,
		       const struct object *policy);
/* Marks the ports for HTTP of Services with such pods behind them: weft-proxy sees the requests,
 * and what is refused is answered. Comes before l4_compile(). */
void mark_authorized(struct mesh *mesh);

#endif
