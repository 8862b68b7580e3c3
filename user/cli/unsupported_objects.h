/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_UNSUPPORTED_OBJECTS_H
#define WEFT_CLI_UNSUPPORTED_OBJECTS_H
/*
 * The objects in a cluster that weft does not carry out.
 */
#include "cli/cluster.h"
#include "lib/kube/unsupported.h"

/* Calls each() for every such kind that there is anything of: `detail` says what becomes of it,
 * with the objects' names. A kind that can't be listed has that for a detail, and no count. */
void unsupported_objects(struct kube_client *c,
			 void (*each)(void *arg, const struct unsupported_kind *k, size_t count,
				      const char *detail),
			 void *arg);

#endif
