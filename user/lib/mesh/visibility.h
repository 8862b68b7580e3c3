/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_VISIBILITY_H
#define WEFT_LIB_MESH_VISIBILITY_H
/*
 * Functions that return int return 0 or -ENOMEM. Names are borrowed.
 */
#include "lib/mesh/mesh.h"

/* Namespaces whose clients may see other rules for a host than the rest. */
struct names {
	const char **items;
	size_t count, room;
	struct bytemap known;
};

int names_add(struct names *n, const char *name);
void names_free(struct names *n);
/* Adds the namespaces that an object with this exportTo is visible in, unless it is visible in all.
 */
int names_add_exports(struct names *n, const struct strs *export_to, const char *own);
/* DestinationRules make a difference where they are hidden, or in a namespace of their own; so does
 * a ServiceEntry's host that is hidden. */
int names_add_rules(struct mesh *mesh, struct names *n, const char *host, const char *service_ns);
/* Those to whom the tcp and tls rules for a service, or what they lead to, may be others. */
int names_add_clients(struct mesh *mesh, struct names *n, const struct host *h);

#endif
