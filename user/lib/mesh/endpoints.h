/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_ENDPOINTS_H
#define WEFT_LIB_MESH_ENDPOINTS_H
/*
 * The endpoints of a service port.
 */
#include "lib/mesh/mesh.h"

/*
 * The endpoints of one address family that may be called, each once: from the Service's
 * EndpointSlices, else its Endpoints, else the Pods that it selects. The ready ones come first;
 * those that terminate but still serve follow, to be called where none of the first will do. Made
 * at the first call, owned by the mesh. NULL when out of memory.
 */
struct members *port_members(struct mesh *mesh, struct mesh_port *sp, enum family family);
/* Makes a list that is there anew, in its place. 0 or -ENOMEM. */
int members_again(struct mesh *mesh, struct mesh_port *sp, enum family family);

/* The port of the pod that the Service's leads to; 0: the pod has none of that name. */
__u16 pod_target(const struct object *pod, const struct service_port *sp);

#endif
