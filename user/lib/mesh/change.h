/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_CHANGE_H
#define WEFT_LIB_MESH_CHANGE_H
/*
 * A mesh whose tables are made, and the index after a change: of pods and endpoints, and which
 * services that is about; or of rules. The order of the objects stays, new ones come last.
 */
#include "lib/mesh/mesh.h"

/* An object that takes the place of another of its name. One of them may be NULL. */
struct object_change {
	const struct object *old, *new;
};

/* That the change goes further than this: the mesh has to be made anew. */
enum { MESH_ANEW = 1 };

/* Zero-initialise; free with mesh_change_free(). Borrows everything. */
struct mesh_change {
	const struct object_change *items;
	size_t count;
	TABLE(struct host *) hosts; /* whose members may be others */
	bool pods;		    /* it has pods in it */
};

/* Finds c->hosts; changes nothing. 0, MESH_ANEW, -ENOMEM. */
int mesh_change_find(struct mesh *mesh, struct mesh_change *c);
/* Puts the change into the index and into the sources, which have room for it and are of mesh->t
 * alone. After anything but 0 the mesh is of no use. 0, MESH_ANEW, -ENOMEM. */
int mesh_change_make(struct mesh *mesh, const struct mesh_change *c);
/* How many rows of the sources it may add. */
size_t mesh_change_room(const struct mesh_change *c);
void mesh_change_free(struct mesh_change *c);

/* Whether it is a change of rules: kinds that no service, pod or endpoint hangs on. */
bool mesh_change_is_of_rules(const struct object_change *c);
/* Puts `c->new` into the place of `c->old`, both VirtualServices of the same age, which name the
 * same hosts and gateways and have rules for the same kinds of traffic. False, and nothing is
 * changed, if it isn't there. */
bool mesh_exchange_rule(struct mesh *mesh, const struct object_change *c);
/*
 * Makes the index of the rules anew, and forgets what came of the old ones; pods, services and
 * endpoints are as they were. mesh->t and mesh->errors are those of the next tables, whose
 * namespaces of pods are written. After anything but 0 the mesh is of no use. 0, MESH_ANEW,
 * -ENOMEM.
 */
int mesh_change_rules(struct mesh *mesh, const struct object_change *changes, size_t count);

#endif
