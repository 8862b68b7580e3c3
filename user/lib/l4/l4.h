/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_L4_L4_H
#define WEFT_LIB_L4_L4_H
/*
 * The mesh -> the tables that decide() reads.
 */
#include "lib/mesh/mesh.h"

/* Fills in mesh->t, whose sources are there. What is wrong goes to the mesh's errors. 0 or -ENOMEM.
 */
int l4_compile(struct mesh *mesh);

#endif
