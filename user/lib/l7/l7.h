/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_L7_L7_H
#define WEFT_LIB_L7_L7_H
/*
 * The mesh -> the bytes of a snapshot.
 */
#include "lib/mesh/mesh.h"

/*
 * Returns 0 and malloc'd bytes in *out; -ENOMEM; -E2BIG. The sources are there, and the checks have
 * found nothing wrong. Namespaces that only requests tell apart are added to w->t's.
 */
int l7_compile(struct world *w, void **out, size_t *size);

#endif
