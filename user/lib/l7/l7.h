/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_L7_L7_H
#define WEFT_LIB_L7_L7_H
/*
 * The mesh -> the bytes of a snapshot.
 */
#include "lib/mesh/change.h"

/*
 * Returns 0 and malloc'd bytes in *out; -ENOMEM; -E2BIG. The sources are there, and the checks have
 * found nothing wrong. Namespaces that only requests tell apart are added to mesh->t's. `from`: a
 * snapshot of the same pods without NetworkPolicies, or NULL.
 */
int l7_compile(struct mesh *mesh, const struct http_snapshot *from, void **out, size_t *size);

/*
 * The snapshot after a change of pods and endpoints: what l7_compile() would make, of the one that
 * it made last of this mesh, or that this made of it. The change has been made, clusters have their
 * members. Returns 0 and a snapshot in *out, or NULL if nothing is different; MESH_ANEW where
 * l7_compile() has to be called; -ENOMEM; -E2BIG.
 */
int l7_patch(struct mesh *mesh, const struct mesh_change *change, const struct http_snapshot *from,
	     struct http_snapshot **out);

/*
 * The snapshot after a change of what VirtualServices of the mesh alone do with requests: each has
 * the same hosts, and is seen by the same namespaces, as the one whose place it has in the mesh by
 * now. As l7_patch(); what is out of use stays among the rows.
 */
int l7_patch_rules(struct mesh *mesh, const struct mesh_change *change,
		   const struct http_snapshot *from, struct http_snapshot **out);

/* Which routes of a delegate are left out beside the root's http[of_root] that leads to it, because
 * one of their matches goes with none of the root's: one for each, in the mesh's pool; NULL when
 * out of memory. */
const bool *http_delegates_dropped(struct mesh *mesh, const struct object *root, size_t of_root,
				   const struct object *leaf);

#endif
