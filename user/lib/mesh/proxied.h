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
bool port_carries_http(struct world *w, const struct host *h, const struct sport *sp);
/* Whether a VirtualService for the mesh has HTTP rules for the host. */
bool host_has_http_rule(struct world *w, const char *host);
/* The service itself, or the one that an ExternalName stands for; NULL: none that is known. */
struct host *host_concrete(struct world *w, struct host *h);
/* Sets sport.proxied of all services. */
void mark_proxied(struct world *w);

#endif
