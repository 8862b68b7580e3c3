/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_PROXIED_H
#define WEFT_LIB_MESH_PROXIED_H
/*
 * Which ports of services carry HTTP, and which of those go through weft-proxy: those that a rule
 * or a policy for requests speaks of. All others stay with the kernel alone.
 */
#include "lib/mesh/mesh.h"

/* Whether a service port says nothing of its protocol: then HTTP rules decide. */
bool port_is_undeclared(const struct service_port *port);
/* Declared to carry HTTP, or undeclared with an HTTP rule for the host. */
bool port_carries_http(struct mesh *mesh, const struct host *h, const struct mesh_port *sp);
/* Whether a VirtualService for the mesh has HTTP rules for the host. */
bool host_has_http_rule(struct mesh *mesh, const char *host);
/* The service itself, or the one that an ExternalName stands for; NULL: none that is known. */
struct host *host_concrete(struct mesh *mesh, struct host *h);
/* Sets mesh_port.proxied of all services. */
void mark_proxied(struct mesh *mesh);

#endif
