/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_L4_SERVICES_H
#define WEFT_LIB_L4_SERVICES_H
/*
 * What the parts of l4_compile() share of Services.
 */
#include "lib/mesh/mesh.h"

/* Whether connections to it are steered: else explain must not make up an answer. */
bool service_is_steered(const struct host *h);
/* An entry that weft-proxy has, on behalf of the service's port, where `key` says. 0 or -ENOMEM. */
int service_write_proxied(struct mesh *mesh, struct mesh_port *sp, const struct service_key *key);

#endif
