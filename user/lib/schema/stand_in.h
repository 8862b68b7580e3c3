/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_SCHEMA_STAND_IN_H
#define WEFT_LIB_SCHEMA_STAND_IN_H
/*
 * What takes the place of an object of the Kubernetes API that weft can't read, where leaving it
 * out would open what policies close:
 *
 * - a NetworkPolicy that selects the same pods (all of its namespace if its podSelector can't be
 *   read) for the same directions (both if its policyTypes can't be read), and lets nothing through
 * - an AuthorizationPolicy that denies everything to the same pods (all of its namespace if its
 *   selector can't be read); nothing, if it audits or is not about pods (targetRefs)
 * - a PeerAuthentication that is STRICT for the same pods (all of its namespace if its selector
 *   can't be read), unless it can be read that it says something else of them
 * - a Pod with as much as can be read of its labels, node, addresses and ports; every policy of its
 *   namespace selects it if its labels can't be read
 */
#include "lib/model/model.h"

/* An object whose identity is known, and what the server has of it. */
struct unreadable {
	enum kind kind;
	const char *file; /* as errors tell of it */
	const char *namespace, *name;
	const char *json;
	size_t size;
};

/* Makes the object with `stands_in`, which the caller frees. 0; -ENOENT: nothing takes the place of
 * such an object; -ENOMEM. */
int stand_in_make(const struct unreadable *from, struct object **out);
/* Whether a policy selects the same pods for the same directions as its stand-in, and is no laxer,
 * where that can be told. */
bool stand_in_selects_same(const struct object *stand_in, const struct object *policy);

#endif
