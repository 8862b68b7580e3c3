/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_TABLES_REGISTRY_H
#define WEFT_LIB_TABLES_REGISTRY_H
/*
 * What the compiler alone asks of the registry: endpoints by their address, of which there may be
 * 100,000.
 */
#include "lib/compile/compile.h"

/* An endpoint that has had an id, found without making its name first. Owned by the registry. */
struct known_endpoint {
	struct endpoint endpoint;
	const char *name;
	__u64 stamp; /* of the last list that was given this endpoint */
};

/* The endpoint at that address and port, with a new id if it has none. NULL when out of memory. */
struct known_endpoint *registry_endpoint(struct registry *r, const struct addr *addr, __u16 port);
/* A number that no known_endpoint has for its stamp. */
__u64 registry_stamp(struct registry *r);

#endif
