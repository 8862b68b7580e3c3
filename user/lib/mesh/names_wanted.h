/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_NAMES_WANTED_H
#define WEFT_LIB_MESH_NAMES_WANTED_H
/*
 * The names that DNS must be asked for, because objects have endpoints there.
 */
#include "lib/model/model.h"

/* Calls `want` for each of them, a name possibly more than once, in lower case and without a final
 * dot; it is valid during the call. Ends early with what `want` returns if that is not 0; else
 * returns 0. */
int names_wanted(const struct objects *objects, int (*want)(void *ctx, const char *name),
		 void *ctx);

/* Whether names_wanted() looks at objects of that kind: a change of others leaves it as it was. */
bool names_wanted_by(enum kind kind);

#endif
