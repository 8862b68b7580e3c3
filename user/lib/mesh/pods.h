/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_PODS_H
#define WEFT_LIB_MESH_PODS_H
/*
 * Pods that change: their addresses and their rows of the sources.
 */
#include "lib/mesh/change.h"

/* The addresses are no longer the pod's. 0; MESH_ANEW: another pod has one of them, too. */
int sources_retire(struct mesh *mesh, const struct object *pod);
/* Puts the rows of the new pod in the place of the old one's, which has retired and is mesh->pods'
 * element `at`, or at the end. 0; MESH_ANEW: an address is another pod's; -ENOMEM. */
int sources_change(struct mesh *mesh, const struct object_change *c, size_t at);

#endif
