/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_COMPILE_INDEX_H
#define WEFT_LIB_COMPILE_INDEX_H
/*
 * What compile.c, patch.c and rules.c share.
 */
#include "lib/compile/compile.h"
#include "lib/mesh/mesh.h"

struct compile_index {
	struct mesh mesh;
	bool policies;	  /* there are NetworkPolicies, which the snapshot has much of */
	unsigned patches; /* each leaves some memory behind in the mesh's pool */
};
DEFINE_CLEANUP(struct compile_index *, compile_index_free);

/* Makes mesh->t of the index. `from`: tables whose sources are of the same pods, or NULL. As
 * compile() returns. */
int compile_index(struct mesh *mesh, enum compile_http http, struct tables *from);
/* Adds the snapshot to mesh->t. 0, -ENOMEM, -E2BIG. */
int compile_http(struct mesh *mesh);

#endif
