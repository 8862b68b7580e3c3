/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MODEL_RESOLVED_H
#define WEFT_LIB_MODEL_RESOLVED_H
/*
 * What DNS has answered for the names that objects have endpoints at (ServiceEntry with resolution
 * DNS, Service of type ExternalName).
 */
#include <stddef.h>

#include "lib/base/addr.h"

/* A name and its addresses, in the order of the answer, IPv4 before IPv6. A name that has not been
 * answered yet is not in the set; one whose last good answer was empty never is: the answer before
 * it is kept. */
struct resolved_name {
	const char *name; /* in lower case, without a final dot */
	const struct addr *addrs;
	size_t count;
};

struct resolved {
	const struct resolved_name *names; /* sorted by name, strcmp() */
	size_t count;
};

/* The name's addresses, or NULL: it is not known. `set` may be NULL. */
const struct resolved_name *resolved_find(const struct resolved *set, const char *name);

#endif
